# shellcheck shell=bash
# What all parts of the stack share: messages, free ports, and processes that are recorded before they run.
#
# DIR/pids/NAME holds "PID START" of each process, START being its start time in the kernel's clock ticks:
# a number that the kernel gave to another process meanwhile is never signalled.

say() { printf '%s\n' "$*" >&2; }
die() { say "stack: $*"; exit 1; }

stack_here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source_root=$(cd "$stack_here/../.." && pwd)
cache_dir=${FLEETSNAP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetsnap}

# Free loopback ports below the range from which the kernel picks the near end of connections: a server
# that is down for a restart must not find its port taken by somebody's client.
free_ports() { # COUNT
    /usr/bin/python3 - "$1" <<'PYTHON'
import random, socket, sys
low = min(int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0]), 60000)
taken = []
while len(taken) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(min(15000, low - 5000), low)))
        taken.append(s)
    except OSError:
        s.close()
print(*[s.getsockname()[1] for s in taken])
PYTHON
}

random_secret() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

write_private() { # FILE: stdin into a file of mode 0600
    (umask 077 && cat >"$1")
}

wait_until() { # SECONDS COMMAND...: true as soon as the command is
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000)); shift
    until "$@"; do
        ((${EPOCHREALTIME/./} < end)) || return 1
        sleep 0.05
    done
}

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ---- processes ----

start_time() { # PID: empty when it is gone or a zombie
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
    stat=${stat##*) }
    [[ $stat == Z* ]] || cut -d' ' -f20 <<<"$stat"
}

proc_pid() { # NAME: prints the pid if that very process lives
    local pid start
    read -r pid start 2>/dev/null <"$DIR/pids/$1" || return 1
    [[ -n $start && $(start_time "$pid") == "$start" ]] && echo "$pid"
}

proc_start() { # NAME COMMAND...: in a session of its own, output appended to DIR/logs/NAME.log
    local name=$1; shift
    ! proc_pid "$name" >/dev/null || die "$name is already running"
    rm -f "$DIR/pids/$name"
    # It gets none of the caller's own descriptors: a pipe or lock that a server holds does not end with its caller.
    # The child writes its record itself, before it becomes the server: there is no moment in which it runs unrecorded.
    setsid bash -c 'record=$1; shift
        for fd in /proc/$$/fd/*; do
            fd=${fd##*/}
            ((fd < 3)) || eval "exec $fd>&-"
        done
        read -r stat </proc/$$/stat
        fields=(${stat##*) })
        echo "$$ ${fields[19]}" >"$record.new" && mv "$record.new" "$record" && exec "$@"' \
        proc_start "$DIR/pids/$name" "$@" </dev/null >>"$DIR/logs/$name.log" 2>&1 &
    wait_until 60 test -e "$DIR/pids/$name" || die "$name did not start, see $DIR/logs/$name.log"
}

pid_ended() { [[ $(start_time "$1") != "$2" ]]; } # PID START

proc_signal() { # NAME SIGNAL
    local pid
    pid=$(proc_pid "$1") || die "$1 is not running"
    kill "-$2" "$pid"
}

proc_stop() { # NAME [SIGNAL [SECONDS]]: SIGKILL when it has not ended by then; nothing to do is fine
    local pid start
    pid=$(proc_pid "$1") || { rm -f "$DIR/pids/$1"; return 0; }
    start=$(start_time "$pid")
    kill "-${2:-TERM}" "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true
    wait_until "${3:-60}" pid_ended "$pid" "$start" || {
        say "stack: $1 did not end by itself: killed"
        kill -KILL "$pid" 2>/dev/null || true
        wait_until 10 pid_ended "$pid" "$start" || true
    }
    rm -f "$DIR/pids/$1"
}

proc_names() { # [PREFIX]: names of all recorded processes
    local file
    for file in "$DIR/pids/${1:-}"*; do
        [[ ! -e $file ]] || echo "${file##*/}"
    done
}

log_tail() { # NAME [LINES]
    say "--- last lines of $DIR/logs/$1.log"
    tail -n "${2:-20}" "$DIR/logs/$1.log" >&2 || true
}
