# shellcheck shell=bash
# One Kafka broker (KRaft, broker and controller in one JVM) on loopback.
kafka_version=4.3.0
kafka_libs=$cache_dir/kafka-$kafka_version

kafka_fetch() { # once per machine; afterwards it needs no network
    [[ ! -e $kafka_libs/.complete ]] || return 0
    mkdir -p "$cache_dir"
    (
        flock 8
        [[ ! -e $kafka_libs/.complete ]] || exit 0
        say "stack: fetching the jars of Kafka $kafka_version into $kafka_libs"
        rm -rf "$kafka_libs.new"
        mvn -B -q -f "$stack_here/kafka/pom.xml" "-Dkafka.version=$kafka_version" \
            org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
            "-DoutputDirectory=$kafka_libs.new" -DincludeScope=runtime >"$cache_dir/kafka-fetch.log" 2>&1 ||
            { cat "$cache_dir/kafka-fetch.log" >&2; exit 1; }
        touch "$kafka_libs.new/.complete"
        rm -rf "$kafka_libs"
        mv "$kafka_libs.new" "$kafka_libs"
    ) 8>"$cache_dir/kafka.lock"
}

# The quick compiler alone: in its first minutes a broker would spend more on the thorough one than on its work.
kafka_jvm() { # MEMORY-MB
    printf '%s\n' java "-Xmx$1m" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Xshare:auto -Djava.awt.headless=true \
        "-Dlog4j2.configurationFile=$stack_here/kafka/log4j2.properties" -cp "$kafka_libs/*"
}

kafka_create() { # configuration and an empty, formatted log
    local port controller_port
    kafka_fetch
    rm -rf "$DIR/kafka"
    mkdir -p "$DIR/kafka"
    read -r port controller_port < <(free_ports 2)
    echo "$port" >"$DIR/kafka/port"
    sed "s#@DIR@#$DIR/kafka#g; s#@PORT@#$port#g; s#@CPORT@#$controller_port#g" "$stack_here/kafka/server.properties.in" >"$DIR/kafka/server.properties"
    kafka_format
}

kafka_format() {
    local id jvm
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 2-22) # what StorageTool random-uuid does, a second faster
    mapfile -t jvm < <(kafka_jvm 128)
    "${jvm[@]}" kafka.tools.StorageTool format -t "x$id" -c "$DIR/kafka/server.properties" --standalone >"$DIR/kafka/format.log" 2>&1 ||
        { cat "$DIR/kafka/format.log" >&2; return 1; }
}

kafka_address() { echo "127.0.0.1:$(<"$DIR/kafka/port")"; }

kafka_start() {
    local jvm
    mapfile -t jvm < <(kafka_jvm "${KAFKA_HEAP_MB:-384}")
    proc_start kafka "${jvm[@]}" kafka.Kafka "$DIR/kafka/server.properties"
    wait_until 240 kafka_up_or_dead || die "kafka does not answer on $(kafka_address), see $DIR/logs/kafka.log"
    proc_pid kafka >/dev/null || { log_tail kafka; die "kafka ended while it was starting"; }
}

kafka_up_or_dead() { port_answers "$(<"$DIR/kafka/port")" || ! proc_pid kafka >/dev/null; }

kafka_up() {
    [[ -e $DIR/kafka/port ]] || kafka_create
    kafka_start
}

kafka_tool() { # CLASS ARGS...: org.apache.kafka.tools.CLASS against this broker
    local jvm class=$1; shift
    mapfile -t jvm < <(kafka_jvm 128)
    "${jvm[@]}" "org.apache.kafka.tools.$class" --bootstrap-server "$(kafka_address)" "$@"
}

kafka_empty() { # as after the loss of its disks: another cluster at the same address, without topics; the coordinator's next start makes them
    proc_stop kafka KILL
    rm -rf "$DIR/kafka/kraft" "$DIR/coordinator/topics"
    kafka_format
    kafka_start
}
