# shellcheck shell=bash
# What every e2e test starts with: the command `fleetsnap` with its two outputs and exit code kept, assertions that show what was
# seen, and conditions that are waited for. The servers are there already (tests/stack/with gives their addresses).
#
# A file of tests defines functions test_*, each with the story of one behaviour, and ends with `e2e_main "$@"`. They run in the
# order in which they stand; one that fails does not stop the others. Names as arguments: only these.
set -uo pipefail
e2e_here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tests/e2e/lib/settings.sh
. "$e2e_here/lib/settings.sh"
stack=$(cd "$e2e_here/../stack" && pwd)/stack
DIR=${FLEETSNAP_STACK:?the folder of a running stack: start this by tests/stack/with DIR}
tools=${FLEETSNAP_BUILD:?}/tests/e2e
embed=alpha libvirtd=gamma # the two hosts of the stack that tests/e2e/servers starts

# ---- the command, and what it said ----

out='' err='' code=0 asked=''

run() { # ARGS... of fleetsnap
    local errors
    errors=$(mktemp)
    asked="fleetsnap $*"
    out=$(timeout "${E2E_TIMEOUT:-180}" fleetsnap "$@" 2>"$errors" </dev/null)
    code=$?
    err=$(<"$errors")
    rm -f "$errors"
}

seen() {
    printf '    $ %s\n    exit code %s\n' "$asked" "$code"
    sed 's/^/    out: /' <<<"${out:0:1500}"
    sed 's/^/    err: /' <<<"${err:0:1500}"
}

# Ends the test. What the last command said belongs to it.
fail() { # TEXT...
    {
        printf '  FAILED: %s\n' "$*"
        local i
        for ((i = 1; i < ${#FUNCNAME[@]}; i++)); do
            [[ ${FUNCNAME[i]} != e2e_main ]] || break
            printf '    in %s, %s:%s\n' "${FUNCNAME[i]}" "${BASH_SOURCE[i]##*/}" "${BASH_LINENO[i - 1]}"
        done
        [[ -z $asked ]] || seen
    } >&2
    exit 1
}

expect() { # CODE ARGS...
    local wanted=$1
    shift
    run "$@"
    [[ $code == "$wanted" ]] || fail "exit code $code instead of $wanted"
}

# With --json: one document that is valid, and no other word on standard output.
expect_json() { # CODE ARGS...
    expect "$@" --json
    [[ $(jq -s length <<<"$out" 2>/dev/null) == 1 ]] || fail "standard output is not one JSON document"
}

json() { jq -r "$@" <<<"$out"; } # FILTER: of what the last command printed

says() { # TEXT...: each is somewhere in what was said
    local text
    for text; do
        [[ $out$'\n'$err == *"$text"* ]] || fail "does not say: $text"
    done
}

says_not() { # TEXT...
    local text
    for text; do
        [[ $out$'\n'$err != *"$text"* ]] || fail "says: $text"
    done
}

holds() { # FILTER: true for what the last command printed as JSON
    jq -e "$@" <<<"$out" >/dev/null 2>&1 || fail "does not hold: ${*: -1}"
}

equal() { # WHAT EXPECTED FOUND
    [[ $2 == "$3" ]] || fail "$1: expected \"$2\", found \"$3\""
}

differs() { # WHAT OLD FOUND
    [[ $2 != "$3" ]] || fail "$1: is still \"$2\""
}

truth() { # WHAT COMMAND...
    local what=$1
    shift
    "$@" || fail "$what"
}

exec {never}<> <(:) # nothing comes here
nap() { read -rt "$1" -u "$never" || true; } # SECONDS: sleep, without a process

# The only way to wait: for a condition, with a limit.
eventually() { # SECONDS WHAT COMMAND...
    local what=$2 limit=$1 end=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift 2
    until "$@"; do
        ((${EPOCHREALTIME/./} < end)) || fail "not within $limit s: $what"
        nap 0.1
    done
}

# ---- the machines ----

guest() { # HOST VM COMMAND...
    "$stack" guest exec "$DIR" "$@"
}

# The numbers that the guest writes go on: it is neither frozen, nor paused, nor stopped.
writes() { # HOST VM
    GUEST_TIMEOUT=${WRITES_TIMEOUT:-10} "$stack" guest exec "$DIR" "$1" "$2" 'echo alive >/data/.alive && sync /data/.alive && echo written' 2>&1 | grep -q written
}

orders_hash() { "$stack" guest hash "$DIR" "$1" "$2" /data/orders; } # HOST VM
orders_count() { guest "$1" "$2" 'ls /data/orders 2>/dev/null | wc -l'; } # HOST VM
host_folder() { "$stack" host-folder "$DIR" "$1"; }

# On a host with libvirtd that is always possible, on an embedded one only while its worker is down.
virsh_on() { # HOST ARGS...
    "$stack" virsh "$DIR" "$@"
}

qemu_of() { # HOST VM: the process
    pgrep -f "qemu-system.*guest=$2,.*$(host_folder "$1")/" || pgrep -f "$(host_folder "$1")/.*domain-[0-9]*-$2/"
}

# ---- jobs ----

job_json() { fleetsnap job show "$1" --json 2>/dev/null; }
job_state() { job_json "$1" | jq -r .state; }

terminal_states='SUCCEEDED FAILED CANCELLED EXPIRED REJECTED PARKED'
job_ended() { [[ " $terminal_states " == *" $(job_state "$1") "* ]]; } # JOB
job_in() { [[ $(job_state "$1") == "$2" ]]; }                          # JOB STATE

# Starts one and prints its id.
start_job() { # ARGS...
    expect 0 "$@" --no-wait
    [[ $out =~ ^[0-9a-f]{8}-[0-9a-f-]{27}$ ]] || fail "--no-wait does not print an id alone"
    job=$out
}

bytes_left() { job_json "$1" | jq '(.total // 0) - (.done // 0)'; }                                  # JOB
much_is_left() { [[ $(job_json "$1" | jq -r .phase) == push ]] && (($(bytes_left "$1") > 16 << 20)); } # JOB
pushing_or_ended() { much_is_left "$1" || job_ended "$1"; }                                          # JOB

# A full backup that is at work when this returns: sets job. QEMU has tens of MiB on their way before libvirt can set a rate, and now and then all: then another is made.
backup_at_work() { # HOST VM REPOSITORY RATE
    GUEST_TIMEOUT=600 guest "$1" "$2" '[ -e /data/ballast ] || dd if=/dev/zero bs=1M count=170 2>/dev/null | tr "\0" x >/data/ballast; sync' || fail "no ballast in the guest"
    for _ in {1..20}; do
        start_job backup create "$2" --repository "$3" --kind full --rate-limit "$4"
        eventually 60 "the backup copies" pushing_or_ended "$job"
        job_ended "$job" || break
    done
    ! job_ended "$job" || fail "twenty backups in a row were too quick"
}

# How many events of the worker say that the job has ended; one that a person resolved says so twice.
ends_of_job='([.events[] | select(.origin == "worker" and (.resolved | not)) |
    select(.state as $state | $states | split(" ") | index($state))] | [.[].seq] | unique | length)'
terminal_events() { # JOB
    job_json "$1" | jq --arg states "$terminal_states" "$ends_of_job"
}

one_end() { # JOB
    equal "ends of job $1" 1 "$(terminal_events "$1")"
}

# ---- the stack ----

# Where the hypervisor's user may make a socket.
make_nbd_folder() { mkdir -p "$(host_folder "$1")/nbd" && chmod 1777 "$(host_folder "$1")/nbd"; } # HOST

# An export with the marks of ours, begun by virsh: no job watches it.
orphan_export() { # HOST VM UUID JOB
    local folder place
    folder=$(host_folder "$1") place=$folder/disks/fleetsnap-export/$3/$4
    mkdir -p "$place" && touch "$place/free" && chmod -R a+rX "$folder/disks/fleetsnap-export" || return 1
    echo "<domainbackup mode='pull'><server transport='unix' socket='$folder/nbd/orphan.sock'/><disks>
        <disk name='vda' type='file' exportname='vda'><scratch file='$place/vda.qcow2'/></disk></disks></domainbackup>" >"$folder/nbd/backup.xml"
    echo "<domaincheckpoint><name>fs-$4</name><disks><disk name='vda' checkpoint='bitmap'/></disks></domaincheckpoint>" >"$folder/nbd/checkpoint.xml"
    virsh_on "$1" backup-begin "$2" "$folder/nbd/backup.xml" "$folder/nbd/checkpoint.xml" >/dev/null
}

restart_worker() { # HOST
    "$stack" worker restart "$DIR" "$1" || fail "the worker of $1 does not start again"
    eventually 60 "host $1 is alive" host_alive "$1"
}

host_alive() { [[ $(fleetsnap host show "$1" --json 2>/dev/null | jq .alive) == true ]]; }

process_ended() { # NAME
    local all
    all=$("$stack" status "$DIR") || return 1
    ! grep -q "^$1  *running" <<<"$all"
}
worker_ended() { process_ended "worker-$1"; } # HOST

doctor_green() { fleetsnap doctor --json 2>/dev/null | jq -e .ok >/dev/null; }

# All that was done since the servers are there, also by the tests before, told by the topics alone.
history_is_read() { run history check --config "$DIR/coordinator/coordinator.yaml" && [[ $code != 5 && $code != 124 ]]; } # not when Kafka, or the machine, is too slow for it
history_holds() {
    eventually 300 "the topics are read" history_is_read
    [[ $code == 0 ]] || fail "exit code $code instead of 0"
}

log_of() { # PROCESS: its last lines, for a failure
    printf '  --- the last lines of %s\n' "$1" >&2
    tail -n "${2:-15}" "$DIR/logs/$1.log" | sed 's/^/    /' >&2
}

# ---- running tests ----

tests_of() { # FILE: names in the order in which they stand
    sed -n 's/^\(test_[a-z0-9_]*\)() *{.*/\1/p' "$1"
}

# A job asked for on Kafka, signed by the token; prints where the record lies.
kafka_request() { # TOKEN_NAME TOKEN ID OP TARGET PARAMS
    "$tools/kafka_record" request "$2" "{\"token\": \"$1\", \"at\": \"$(date -u +%FT%TZ)\", \"request_id\": \"$3\", \"op\": \"$4\", \"target\": \"$5\", \"params\": $6}" ||
        fail "no request was written"
}

e2e_main() { # [TEST...]
    local name begin failed=0 count=0 names
    mapfile -t names < <(tests_of "$0")
    (($# == 0)) || names=("$@")
    for name in "${names[@]}" history_holds; do
        begin=${EPOCHREALTIME/./}
        ("$name")
        local status=$?
        printf '%-8s %5d ms  %s\n' "$( ((status == 0)) && echo ok || echo FAILED)" $(((${EPOCHREALTIME/./} - begin) / 1000)) "$name"
        ((status == 0)) || failed=$((failed + 1))
        count=$((count + 1))
    done
    if ((failed > 0)); then
        log_of coordinator
        log_of "worker-$embed"
        log_of "worker-$libvirtd"
    fi
    printf '%s tests, %s failed\n' "$count" "$failed"
    ((failed == 0 && count > 1))
}
