#!/bin/bash
# The command itself: names, mistakes, exit codes, jobs, tokens, help.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"

as_token() { # TOKEN ARGS...: run with another token
    local FLEETSNAP_TOKEN_FILE=$DIR/token-$1
    export FLEETSNAP_TOKEN_FILE
    shift
    run "$@"
}

new_token() { # NAME ARGS...
    run token revoke "$1" # what a run before has left
    expect_json 0 token create "$@"
    (umask 077 && json .token >"$DIR/token-$1")
}

test_targets() {
    expect_json 0 target list
    holds 'map(.target.name) | index("shop-1") != null and index("shop-2") != null'
    expect_json 0 target list -l app=twin
    holds 'length == 2 and (map(.host) | sort) == ["alpha", "gamma"]'
    expect_json 0 targets --host gamma -l 'app=shop,tier!=web'
    holds 'length == 1 and .[0].target.name == "shop-2"'
    expect_json 0 target show alpha/shop-1
    holds '.disks[0].name == "vda" and .disks[0].backup == "incremental" and .agent == "answers" and .state == "running"'
    expect 0 target show "libvirt:$(fleetsnap target show shop-1 --json | jq -r .target.id)"
    says shop-1
}

test_hosts() {
    expect_json 0 host list
    holds 'map(.host) | sort == ["alpha", "gamma"]'
    expect_json 0 host show alpha
    holds '.alive and ([.backends[].verbs[]] | index("snapshot.create") != null)'
    expect 2 host show beta
}

test_unknown_and_ambiguous_names() {
    expect 2 snapshot create shpo-1
    says 'no target "shpo-1"' 'Did you mean shop-1'
    expect 2 snapshot create twin
    says ambiguous alpha/twin gamma/twin
    expect_json 2 backup create twin
    holds '.kind and (.detail // .text)'
    expect 2 snapshot create nothing-like-it
    says 'no target'
}

waits_for() { [[ $(job_json "$1" | jq -r '.waiting // ""') == *"$2"* ]]; } # JOB TEXT

test_what_is_held_waits() {
    local target=gamma/twin
    expect 0 hold "$target" --reason 'new disk'
    says 'is held: new disk'
    expect 0 snapshot create "$target" --name held --kind internal --no-wait
    job=$out
    eventually 60 "the job waits for the hold" waits_for "$job" 'new disk'
    expect_json 0 holds
    holds 'map(.reason) == ["new disk"]'
    expect 0 release "$target"
    eventually 60 "the job is done" job_in "$job" SUCCEEDED
    expect 0 hold -l app=twin --for 1h --reason audit
    expect 0 snapshot create "$target" --name late --kind internal --no-wait
    job=$out
    eventually 60 "the job waits for the hold of its label" waits_for "$job" audit
    expect 0 release -l app=twin
    eventually 60 "the job is done" job_in "$job" SUCCEEDED
}

test_snapshot_pin_keeps_it() {
    expect 0 snapshot pin gamma/twin held --reason release
    expect 1 snapshot delete gamma/twin held --yes
    says pinned
}

test_snapshot_unpin_lets_it_go() {
    expect 0 snapshot unpin gamma/twin held
    expect 0 snapshot delete gamma/twin held --yes
    expect 0 snapshot delete gamma/twin late --yes
}

test_usage() {
    expect 2 snapshot create shop-1 --running
    says --running 'snapshot revert'
    expect 2 snapshot create
    says TARGET
    expect 2 snapshto create shop-1
    says snapshot
    expect 2 snapshot revert shop-1 x --force=perhaps --yes
    expect 2 snapshot revert shop-1 x --running --paused --yes
    expect 0 snapshot create --help
    says 'fleetsnap snapshot create shop-1'
    expect 0 help topics
    expect 0 version
    expect 0 completion bash
    truth "the completion is no bash" bash -n <<<"$out"
}

test_what_fails_says_what_and_the_way_out() {
    expect 1 snapshot revert shop-1 no-such-snapshot --yes
    says no-such-snapshot
    expect_json 1 snapshot revert shop-1 no-such-snapshot --dry-run
}

test_not_reachable_is_5() {
    expect 5 targets --url http://127.0.0.1:1
    expect 5 snapshot create shop-1 --url http://127.0.0.1:1
    says 127.0.0.1:1
}

test_jobs_are_listed_cancelled_and_retried() {
    start_job snapshot create shop-1 --name too-late --not-before 1h
    eventually 60 "the job is at its host" eval '[[ $(job_state $job) == WAITING || $(job_state $job) == ACCEPTED ]]'
    expect_json 0 job list --open
    holds 'map(.job_id) | index("'"$job"'") != null'
    expect 0 job cancel "${job:0:8}" --reason 'wrong machine'
    eventually 60 "the job is cancelled" job_in "$job" CANCELLED
    one_end "$job"
    expect 4 job watch "$job"
    expect 1 job cancel "$job"
    expect_json 0 job list --state CANCELLED
    holds 'map(.job_id) | index("'"$job"'") != null'
    expect_json 0 snapshot list shop-1
    holds 'map(select(.name == "too-late")) | length == 0'
    run job retry "$job" --no-wait
    equal "exit code of a retry" 0 "$code"
    differs "the id of the retried job" "$job" "$out"
    equal "what it replaces" "$job" "$(job_json "$out" | jq -r .replaces)"
    local retried=$out
    run job cancel "$retried" # the retry begins at once: this may come too late
    eventually 60 "the retried job ends" job_ended "$retried"
    expect_json 0 snapshot list shop-1 --live
    [[ $(jq 'map(select(.name == "too-late")) | length' <<<"$out") == 0 ]] || expect 0 snapshot delete shop-1 too-late --yes
    expect 2 job show ffffffff
}

test_two_jobs_on_one_machine_follow_each_other() {
    local first
    start_job snapshot create shop-2 --name one
    first=$job
    start_job snapshot create shop-2 --name two
    expect 0 job watch "$first"
    expect 0 job watch "$job"
    expect_json 0 snapshot list shop-2
    holds '.[] | select(.name == "two") | .parent == "one"'
    expect 0 snapshot delete shop-2 one --children --yes
}

test_many_targets_by_label() {
    expect 0 snapshot create -l app=twin --name together
    expect_json 0 snapshot list gamma/twin
    holds 'map(.name) | index("together") != null'
    expect 0 snapshot delete alpha/twin together --yes
    expect 7 backup create -l app=twin --repository gamma-backups # which alpha does not have
    expect 0 snapshot delete gamma/twin together --yes
    expect 2 snapshot create -l app=nothing
}

test_a_viewer_may_look_and_change_nothing() {
    new_token looker --role viewer
    as_token looker targets
    equal "exit code of a viewer's list" 0 "$code"
    as_token looker snapshot create shop-1 --name forbidden
    equal "exit code of a viewer's snapshot" 8 "$code"
    as_token looker token list
    equal "exit code of a viewer's token list" 8 "$code"
    expect_json 0 snapshot list shop-1
    holds 'map(select(.name == "forbidden")) | length == 0'
}

test_a_token_for_some_machines_and_classes() {
    new_token web --role operator --classes AB -l tier=web
    as_token web snapshot create shop-1 --name allowed
    equal "exit code inside the selector" 0 "$code"
    as_token web snapshot create shop-2 --name forbidden
    [[ $code == 8 || $code == 2 ]] || fail "exit code $code outside the selector"
    as_token web snapshot delete shop-1 allowed --yes
    equal "exit code of class C" 8 "$code"
    as_token web targets --json
    holds 'length > 0 and all(.labels.tier == "web")'
    expect 0 token revoke web
    as_token web targets
    equal "exit code of a token that ended" 8 "$code"
    expect_json 0 token list
    holds 'map(.name) | index("looker") != null'
    expect 0 snapshot delete shop-1 allowed --yes
    says_not "$(cat "$DIR/token-web")"
}

test_a_wrong_token_is_refused() {
    (umask 077 && echo wrong >"$DIR/token-wrong")
    as_token wrong targets
    equal "exit code of a wrong token" 8 "$code"
}

test_the_status_topic_is_followed_and_checked() {
    local config="$DIR/coordinator/coordinator.yaml" offset
    expect 0 snapshot create shop-1 --name followed --no-wait
    job=$out
    expect 0 job watch "$job"
    expect 0 status tail --config "$config" --since 1h --job "${job:0:13}" --state SUCCEEDED --limit 1 --json
    holds '.job_id == "'"$job"'" and .state == "SUCCEEDED" and .origin == "worker" and .target.name == "shop-1"'
    expect 0 status tail --config "$config" --since 1h -l app=shop,tier=web --op snapshot.create --job "$job" --limit 1
    says "${job:0:8}" snapshot.create shop-1
    offset=$("$tools/kafka_record" list fleetsnap.status | jq -s 'map(select(.headers["fs-job"] == "'"$job"'")) | .[-1]')
    "$tools/kafka_record" again fleetsnap.status "$(jq .partition <<<"$offset")" "$(jq .offset <<<"$offset")" --header fs-host=gamma
    fleetsnap status tail --config "$config" --since 1h --host gamma >"$DIR/logs/tail.out" 2>"$DIR/logs/tail.err" &
    local tail=$!
    trap "kill $tail 2>/dev/null" EXIT
    eventually 60 'the forged event is refused' grep -q 'is not believed: fs-host is not the host of the job' "$DIR/logs/tail.err"
    kill -INT $tail
    wait $tail
    equal 'exit code after ^C' 0 $?
    truth 'the forged event is shown' eval '! grep -q "${job:0:8}" "$DIR/logs/tail.out"'
    expect 2 status tail --config "$config" --state BROKEN
    expect 2 status tail
    expect 0 snapshot delete shop-1 followed --yes
}

# Another language, from docs/protocol.md alone: what it believes and what not.
test_a_consumer_in_python() {
    local examples=$e2e_here/../../docs/examples python record consumer
    python=$("${stack%/*}/python" "$examples/requirements.txt")
    if [[ $? == 69 && ${CI:-} != true ]]; then
        echo 'skipped: the packages of the example cannot be installed, see above' >&2
        return
    fi
    truth 'the packages of the example cannot be installed' test -x "$python"
    expect 0 snapshot create shop-1 --name for-python --no-wait
    job=$out
    expect 0 job watch "$job"
    record=$("$tools/kafka_record" list fleetsnap.status | jq -c -s 'map(select(.headers["fs-job"] == "'"$job"'")) | .[-1]')
    "$tools/kafka_record" again fleetsnap.status "$(jq .partition <<<"$record")" "$(jq .offset <<<"$record")" --header fs-host=gamma
    "$python" "$examples/follow_status.py" "$FLEETSNAP_KAFKA" "$DIR/coordinator/master.key" "$e2e_here/../../schemas" \
        >"$DIR/logs/python.out" 2>"$DIR/logs/python.err" &
    consumer=$!
    trap "kill $consumer 2>/dev/null" EXIT # now: later the variable is gone
    eventually 60 'the consumer shows the job' grep -q "^$job alpha snapshot.create shop-1 SUCCEEDED" "$DIR/logs/python.out"
    eventually 60 'the consumer doubts the forged event' grep -q '^not believed' "$DIR/logs/python.err"
    expect 0 snapshot delete shop-1 for-python --yes
}

test_the_audit_log_says_who_asked_and_proves_itself() {
    local config="$DIR/coordinator/coordinator.yaml" newest
    new_token auditor --role viewer
    as_token auditor snapshot create shop-1 --name forbidden
    audit_has_refusal() { fleetsnap audit list --config "$config" --who auditor --refused --json | jq -e 'length > 0 and all(.who == "auditor")' >/dev/null; }
    eventually 60 'the refusal is in the audit log' audit_has_refusal
    expect 0 audit check --config "$config"
    says 'each names the hash of the one before'
    expect 0 audit list --config "$config" --action token.put --subject auditor
    says auditor
    expect 2 audit list
    newest=$("$tools/kafka_record" list fleetsnap.audit | tail -1 | jq .offset)
    "$tools/kafka_record" again fleetsnap.audit 0 "$newest"
    expect 1 audit check --config "$config"
    says 'one too many'
}

e2e_main "$@"
