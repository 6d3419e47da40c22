# shellcheck shell=bash
# One Redis on loopback: append-only, never evicts, a user for each role and no default user.
redis_roles=(coordinator worker admin)

# Functions run with the rights of who calls them, so the worker may read and write fs:* keys; the rest of
# what it may do is to call functions and to look at the server. admin is for the tests alone.
redis_rights() { # ROLE
    case $1 in
    coordinator) echo '~fs:* &fs:* -@all +@read +@write +@connection +@scripting +@transaction +@pubsub -@dangerous +info +time +role +config|get +memory|usage' ;;
    worker) echo '~fs:* resetchannels -@all +@read +@write +@connection -@dangerous +fcall +fcall_ro +info +time +role' ;;
    admin) echo '~* &* +@all' ;;
    esac
}

redis_create() {
    local port role
    rm -rf "$DIR/redis"
    mkdir -p -m 700 "$DIR/redis"
    read -r port < <(free_ports 1)
    echo "$port" >"$DIR/redis/port"
    for role in "${redis_roles[@]}"; do
        random_secret | write_private "$DIR/redis/$role.password"
    done
    {
        echo "user default off ~* &* +@all" # cannot log in; but Redis 7.0 replays its append-only file with these rights
        for role in "${redis_roles[@]}"; do
            echo "user $role on #$(tr -d '\n' <"$DIR/redis/$role.password" | sha256sum | cut -d' ' -f1) $(redis_rights "$role")"
        done
    } | write_private "$DIR/redis/users.acl"
    write_private "$DIR/redis/redis.conf" <<CONF
bind 127.0.0.1
port $port
dir $DIR/redis
aclfile $DIR/redis/users.acl
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
CONF
}

redis_version() { redis-server --version | sed 's/.* v=\([0-9.]*\).*/\1/'; }
redis_address() { echo "127.0.0.1:$(<"$DIR/redis/port")"; }

redis_cli() { # ARGS...: as admin
    REDISCLI_AUTH=$(<"$DIR/redis/admin.password") redis-cli -h 127.0.0.1 -p "$(<"$DIR/redis/port")" --user admin "$@"
}

redis_answers() { [[ $(redis_cli ping 2>/dev/null) == PONG ]]; }
redis_up_or_dead() { redis_answers || ! proc_pid redis >/dev/null; }

redis_start() {
    proc_start redis redis-server "$DIR/redis/redis.conf"
    wait_until 60 redis_up_or_dead || die "redis does not answer on $(redis_address), see $DIR/logs/redis.log"
    proc_pid redis >/dev/null || { log_tail redis; die "redis ended while it was starting"; }
}

redis_up() {
    [[ -e $DIR/redis/port ]] || redis_create
    redis_start
}

redis_empty() { # as after the loss of its disk
    proc_stop redis KILL
    rm -rf "$DIR"/redis/appendonlydir "$DIR"/redis/*.rdb
    redis_start
}
