#!/bin/bash
# The doctor: green when all is well; when something is down it names it and says what to do. Whatever is taken away comes back.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"

finds() { # STATUS SUBJECT: in the doctor's list
    local list
    list=$(fleetsnap doctor --json 2>/dev/null) # its exit code is 1 when something is wrong
    jq -e --arg status "$1" --arg subject "$2" \
        '.checks[] | select(.status == $status and (.subject | contains($subject)) and .hint != null)' <<<"$list" >/dev/null 2>&1
}

not_ok() { ! doctor_green; }

test_green() {
    eventually 60 "the doctor is green" doctor_green
    expect_json 0 doctor
    holds '.ok and ([.checks[].status] | index("fail") == null)'
    holds '[.checks[].subject] | contains(["kafka", "redis", "host alpha", "host gamma"])'
    expect 0 doctor
    says 'coordinator c1' leads 'append-only' 'host alpha' 'libvirt'
}

test_the_guest_agent_is_silent() {
    guest gamma shop-2 'kill -STOP $(pidof qemu-ga)'
    eventually 60 "the doctor names the silent agent" finds warn shop-2
    expect 0 doctor # a warning alone is no illness
    says shop-2 'agent does not answer' qemu-guest-agent
    expect 1 snapshot create shop-2 --name impossible --quiesce require
    says shop-2 agent
    expect_json 0 snapshot create shop-2 --name crash-consistent
    holds '.result.facts.level == "crash"'
    expect 0 snapshot delete shop-2 crash-consistent --yes
    guest gamma shop-2 'kill -CONT $(pidof qemu-ga)'
    eventually 60 "the doctor has nothing against the agent" eval '! finds warn shop-2'
}

test_a_worker_is_down() {
    "$stack" worker stop "$DIR" gamma
    eventually 70 "the doctor names the host" finds fail 'host gamma'
    expect 1 doctor
    says 'host gamma' 'heartbeat' 'fleetsnap-worker'
    expect 1 snapshot revert shop-2 whatever --yes # destroys: not for a host that may not be there
    says gamma
    "$stack" worker start "$DIR" gamma || fail "the worker does not start"
    eventually 60 "the doctor is green again" doctor_green
}

test_redis_is_down() {
    "$stack" redis stop "$DIR"
    eventually 60 "the doctor names redis" finds fail redis
    expect 1 doctor
    says redis
    "$stack" redis start "$DIR"
    eventually 60 "the doctor is green again" doctor_green
    expect 0 snapshot create shop-1 --name after-redis
    expect 0 snapshot delete shop-1 after-redis --yes
}

test_redis_is_filled_anew() {
    "$stack" redis restart "$DIR"
    eventually 60 "the doctor says that redis is rebuilt" finds warn redis
    expect 0 doctor
    says redis 'was restarted or lost its memory' 'It ends by itself'
    eventually 60 "the doctor has nothing against redis" eval '! finds warn redis && doctor_green'
}

test_a_dead_letter() {
    "$tools/kafka_record" put fleetsnap.status 0 --key nonsense --header fs-host=alpha <<<'no status at all' || fail "nothing was written"
    eventually 60 "the doctor names the dead letter" finds warn 'dead letters'
    expect 0 doctor
    says 'dead letters' 'could not be read or trusted' 'fleetsnap dlq list'
}

test_words_wrap_on_a_terminal() {
    local longest
    longest=$(script -qec 'stty cols 80; fleetsnap doctor' /dev/null </dev/null | sed 's/\x1b\[[0-9;]*m//g; s/\r//' | wc -L)
    truth "a line of $longest columns" test "$longest" -le 80
}

heard() { jq -s -e "$1" "$DIR/logs/webhook.out" >/dev/null 2>&1; } # FILTER: over all lines, the port first
leads() { fleetsnap doctor --json 2>/dev/null | jq -e '.checks[] | select((.subject | startswith("coordinator")) and .status == "ok")' >/dev/null; }
told_webhooks() { [[ $(fleetsnap doctor --json 2>/dev/null | jq -r '.checks[] | select(.subject == "webhooks") | .text') == *' 0 events wait'* ]]; }

test_a_webhook_is_told_once_whoever_leads() {
    local plain=$COORDINATOR_ARGS receiver policy=late-$$ failed
    (umask 077 && echo 'a secret of the test' >"$DIR/webhook.secret")
    rm -f "$DIR/logs/webhook.out"
    "$e2e_here/tools/webhook_receiver.py" "$DIR/webhook.secret" 1 >"$DIR/logs/webhook.out" &
    receiver=$!
    trap "kill $receiver 2>/dev/null" EXIT # now: later the variable is gone
    eventually 60 'the receiver listens' test -s "$DIR/logs/webhook.out"
    export COORDINATOR_ARGS="$plain --notify.webhooks.ops=http://127.0.0.1:$(head -1 "$DIR/logs/webhook.out") --notify.secret_file=$DIR/webhook.secret --notify.every=500ms"
    "$stack" coordinator restart "$DIR" || fail 'the coordinator does not start with a webhook'
    eventually 60 'the coordinator leads' leads
    expect 0 snapshot create gamma/twin --name told
    expect 1 snapshot create gamma/twin --name told --quiesce require
    failed=$(fleetsnap jobs --state FAILED --json | jq -r '.[0].job_id')
    printf '%s\n' "name: $policy" "select: {names: [twin], hosts: [gamma]}" "operation: backup.create" "time_zone: UTC" "max_age: 1h" >"$DIR/late.yaml"
    expect 0 policy apply "$DIR/late.yaml"
    eventually 60 'the target is told to be late' heard 'any(.rule? == "late" and .state == "open" and .policy == "'"$policy"'")'
    eventually 60 'what the first answer refused is told' heard 'any(.refused?) and (any(.forged?) | not)'
    "$stack" coordinator kill "$DIR"
    "$stack" coordinator start "$DIR" || fail 'the coordinator does not start again'
    expect 0 policy delete "$policy" --yes
    eventually 60 'it is told that this is over' heard 'any(.rule? == "late" and .state == "over" and .policy == "'"$policy"'")'
    eventually 60 'all is told' told_webhooks
    expect 0 snapshot delete gamma/twin told --yes
    truth 'something was told twice' heard '[.[] | .id? // empty] | length == (unique | length)'
    truth 'the job that failed is not told' heard 'any(.rule? == "failed" and .subject == "job/'"$failed"'")'
    export COORDINATOR_ARGS=$plain
    "$stack" coordinator restart "$DIR" || fail 'the coordinator does not start without it'
    eventually 60 "the doctor is green again" doctor_green
}

test_kafka_is_down() {
    "$stack" kafka stop "$DIR"
    eventually 60 "the doctor names kafka" finds fail kafka
    expect 1 doctor
    says kafka
    "$stack" kafka start "$DIR"
    eventually 60 "the doctor is green again" doctor_green
    expect 0 snapshot create shop-1 --name after-kafka
    expect 0 snapshot delete shop-1 after-kafka --yes
}

e2e_main "$@"
