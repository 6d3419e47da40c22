# shellcheck shell=bash
# Our own programs: one coordinator, a worker on each host. FLEETSNAP_BUILD is the build folder they are taken from.
build_dir=${FLEETSNAP_BUILD:-$source_root/build/release}

# A server that says when it is ready (sd_notify); one that ends instead, or takes too long, is a failure.
start_and_wait() { # NAME COMMAND...
    local name=$1 address word= part= status=
    shift
    address=$(mktemp -u /tmp/fs-notify.XXXXXX) # a path: what is abstract cannot be seen from another network
    exec 7< <("$stack_here/wait_ready.py" "$address" 60)
    read -r part <&7 # "listening"
    NOTIFY_SOCKET=$address proc_start "$name" "$@" 7<&-
    while true; do # on a busy machine the time may run out within the word, or right after its last letter
        status=0
        read -r -t 0.1 part <&7 || status=$?
        word+=$part
        ((status > 128)) && proc_pid "$name" >/dev/null || break
    done
    exec 7<&-
    rm -f "$address"
    [[ $word == ready ]] && return
    log_tail "$name"
    proc_pid "$name" >/dev/null && die "$name does not get ready" || die "$name ended while it was starting"
}

programs_up() { # HOST...: those without a worker
    local host idle=()
    proc_pid coordinator >/dev/null || coordinator_start
    for host; do
        enroll "$host"
        proc_pid "worker-$host" >/dev/null || idle+=("$host")
    done
    all worker_start "${idle[@]}"
    for host; do
        wait_until 90 host_is_known "$host" || die "the coordinator does not hear of host $host, see $DIR/logs/worker-$host.log"
    done
}

# The worker is ready before what it says of its machines has gone through Kafka into the view.
host_is_known() { [[ $(fleetsnap host show "$1" --json 2>/dev/null) == *'"backends":[{'*'"alive":true'* ]]; }

# ---- coordinator ----

coordinator_url() { echo "http://127.0.0.1:$(<"$DIR/coordinator/port")"; }

coordinator_create() {
    local port
    mkdir -p -m 700 "$DIR/coordinator"
    read -r port < <(free_ports 1)
    write_private "$DIR/coordinator/coordinator.yaml" <<YAML
name: c1
state_directory: $DIR/coordinator/state
kafka:
  brokers: $(kafka_address)
redis:
  address: $(redis_address)
  user: coordinator
  password_file: $DIR/redis/coordinator.password
master_key_file: $DIR/coordinator/master.key
admin_token_file: $DIR/coordinator/admin.token
http:
  listen: 127.0.0.1:$port
dev: true
worker:
  redis_user: worker
  redis_password_file: $DIR/redis/worker.password
YAML
    mkdir -p "$DIR/coordinator/state"
    echo "$port" >"$DIR/coordinator/port"
}

coordinator_start() {
    [[ -e $DIR/coordinator/port ]] || coordinator_create
    [[ -e $DIR/coordinator/topics ]] || topics_create
    start_and_wait coordinator "$build_dir/coordinator/fleetsnap-coordinator" --config "$DIR/coordinator/coordinator.yaml" ${COORDINATOR_ARGS:-}
}

topics_create() {
    env -u FLEETSNAP_TOKEN_FILE "$build_dir/coordinator/fleetsnap" topic init --config "$DIR/coordinator/coordinator.yaml" >"$DIR/logs/topics.log" 2>&1 ||
        { log_tail topics; die "the topics could not be made"; }
    touch "$DIR/coordinator/topics"
}

coordinator() { # VERB
    case $1 in
    start) coordinator_start ;;
    stop) proc_stop coordinator ;;
    kill) proc_stop coordinator KILL ;;
    restart) proc_stop coordinator; coordinator_start ;;
    *) die "coordinator: unknown $1" ;;
    esac
}

fleetsnap() { # ARGS...: the command, as this fleet's admin
    FLEETSNAP_URL=$(coordinator_url) FLEETSNAP_TOKEN_FILE=$DIR/coordinator/admin.token "$build_dir/coordinator/fleetsnap" "$@"
}

# ---- workers ----

enroll() { # HOST: its bundle in DIR/bundles/HOST
    [[ -e $DIR/bundles/$1/worker.yaml ]] || fleetsnap host enroll "$1" --out "$DIR/bundles" >"$DIR/logs/enroll-$1.log" 2>&1 || { log_tail "enroll-$1"; die "host $1 could not be enrolled"; }
}

# With OWN_NETWORK=1 (root) the worker is in a network namespace of its own; `stack signal DIR network-HOST STOP` cuts it, CONT joins it again.
own_network() { # HOST
    local folder ports
    folder=$(host_dir "$1")/network # short enough for the path of a socket
    ports=($(<"$DIR/kafka/port") $(<"$DIR/redis/port"))
    mkdir -p "$folder"
    proc_pid "network-$1" >/dev/null || proc_start "network-$1" "$stack_here/relay.py" out "$folder" "${ports[@]}"
    within=("$stack_here/own-network" "$folder" "$(IFS=,; echo "${ports[*]}")")
}

worker_start() { # HOST: what the bundle does not know, the paths of the host, comes by the command line
    local host within=()
    host=$(host_dir "$1")
    [[ -z ${OWN_NETWORK:-} ]] || own_network "$1"
    start_and_wait "worker-$1" "$stack_here/in-host" "$host" "${within[@]}" "$build_dir/worker/fleetsnap-worker" --config "$DIR/bundles/$1/worker.yaml" \
        "--state_directory=$host/state" "--libvirt.uri=$(host_uri "$1")" "--pools=$host/disks" "--repositories=$host/repository" ${WORKER_ARGS:-}
}

worker() { # VERB HOST
    case $1 in
    start) worker_start "$2" ;;
    stop) proc_stop "worker-$2" TERM 70 ;;
    kill) proc_stop "worker-$2" KILL ;;
    restart) proc_stop "worker-$2" TERM 70; worker_start "$2" ;;
    *) die "worker: unknown $1" ;;
    esac
}

programs_env() {
    printf 'export FLEETSNAP_BUILD=%q PATH=%q:$PATH\n' "$build_dir" "$build_dir/coordinator:$build_dir/worker"
    [[ ! -e $DIR/coordinator/port ]] ||
        printf 'export FLEETSNAP_URL=%q FLEETSNAP_TOKEN_FILE=%q\n' "$(coordinator_url)" "$DIR/coordinator/admin.token"
}
