#!/bin/bash
# Deploys: a gate before, and the way back after. A machine that runs and two that are off, on two hosts; what is in the one that runs is compared by hash.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
id=d$$

in_guest() { GUEST_TIMEOUT=90 "$stack" guest "$1" "$DIR" "$libvirtd" shop-2 "${@:2}" || echo failed; } # COMMAND ARGS... of `stack guest`
snapshots_of() { fleetsnap snapshot list "$1" --json --live | jq -r --arg name "deploy-$id" '[.[] | select(.name | startswith($name)) | .name] | sort | join(" ")'; } # TARGET
state_is() { [[ $(fleetsnap deploy status "$1" --json 2>/dev/null | jq -r .state) == "$2" ]]; }                                                        # DEPLOY STATE
cleaned() { [[ $(fleetsnap deploy status "$1" --json | jq -r '.cleaned_at != null') == true ]]; } # DEPLOY
all_targets=("$libvirtd/shop-2" "$embed/twin" "$libvirtd/twin")
all="app in (shop,twin),tier!=web"

test_begin_says_what_it_would_do() {
    expect_json 0 deploy begin --id "$id-1" -l "$all" --dry-run
    holds '(.targets | map(.name) | sort) == ["shop-2", "twin", "twin"] and .refused == null'
    expect 2 deploy begin --id "$id-1" -l app=nothing
    says "no target has the labels"
    expect 2 deploy begin --id 'a b' -l "$all"
    expect 2 deploy status "$id-1"
}

test_a_gate_then_a_revert_by_order() {
    local before target
    before=$(in_guest hash /data/orders)
    [[ $before != *failed* ]] || fail "the machine does not answer"
    expect_json 0 deploy begin --id "$id-1" -l "$all" --wait --timeout 1h
    holds '.state == "ready" and (.targets | length) == 3 and all(.targets[]; .snapshot.state == "SUCCEEDED")'
    expect 0 deploy begin --id "$id-1" -l "$all" # the same again begins nothing
    expect 1 deploy begin --id "$id-1" -l app=twin
    says "another deploy"
    expect 1 deploy begin --id "$id-2" -l tier=db
    says "shop-2 is in deploy $id-1" "--overlap wait"
    equal "what is left of the orders" "" "$(in_guest exec 'rm -rf /data/orders/* && sync && ls /data/orders')"
    expect_json 0 deploy failed "$id-1" --revert --order "$libvirtd/twin,shop-2" --dry-run
    holds '.state == "ready"'
    expect 2 deploy failed "$id-1" --revert --order nobody
    expect_json 0 deploy failed "$id-1" --revert --order "$libvirtd/twin,shop-2"
    holds '.state == "reverted" and all(.targets[]; .revert.state == "SUCCEEDED")'
    local run
    run=$(json .runs.revert)
    expect_json 0 run show "$run"
    holds '[.jobs[].name][0:2] == ["twin", "shop-2"] and .done == 3 and .jobs[0].host == "'"$libvirtd"'"'
    equal "the machine after the revert" "" "$(in_guest wait)"
    equal "orders after the revert" "$before" "$(in_guest hash /data/orders)"
    expect 1 deploy succeeded "$id-1"
    says "is reverted: that stands"
    expect 0 deploys
    says "$id-1" reverted
}

test_what_succeeded_is_deleted_in_its_time() {
    expect 0 deploy begin --id "$id-3" -l "app=twin" --ttl 1s
    expect 0 deploy succeeded "$id-3"
    expect 1 deploy failed "$id-3" --revert
    eventually 60 "its snapshots are deleted" deleted "$id-3"
    equal "snapshots of a twin" "deploy-$id-1" "$(snapshots_of "$embed/twin")"
}
deleted() { [[ $(fleetsnap deploy status "$1" --json | jq -r '.state, (.cleaned_at != null)' | xargs) == "succeeded true" ]]; }

test_what_was_made_is_undone_when_one_fails() {
    expect 0 snapshot create "$embed/twin" --name "deploy-$id-6" # its own: in the way, and left alone
    expect 1 deploy begin --id "$id-6" -l app=twin --wait
    says "twin on $embed: snapshot FAILED" "exists already" "the snapshots that were made are deleted"
    equal "snapshots of the other" "deploy-$id-1" "$(snapshots_of "$libvirtd/twin")"
    equal "snapshots of the one" "deploy-$id-1 deploy-$id-6" "$(snapshots_of "$embed/twin")"
    expect 0 snapshot delete "$embed/twin" "deploy-$id-6" --yes
}

test_one_waits_for_the_other_and_is_reverted_by_itself() {
    expect 0 deploy begin --id "$id-7" -l app=twin --ttl 1s
    expect 0 deploy begin --id "$id-8" -l app=twin --ttl 1s --timeout 5m --overlap wait --no-wait
    expect_json 0 deploy status "$id-8"
    holds '.state == "planning"'
    expect 0 deploy succeeded "$id-7"
    expect 0 deploy begin --id "$id-8" -l app=twin # the same: waits on
    expect 0 deploy succeeded "$id-8"
    eventually 60 "the snapshots of the first are deleted" cleaned "$id-7"
    eventually 60 "the snapshots of the second are deleted" cleaned "$id-8"
    expect 0 deploy begin --id "$id-9" -l app=twin --ttl 1s --timeout 1s --auto-revert --no-wait # it may be ready for less than a look
    eventually 60 "it is reverted by itself" state_is "$id-9" reverted
    eventually 60 "and its snapshots are deleted" cleaned "$id-9"
}

event() { # JSON: signed by the token; prints where it lies
    "$tools/kafka_record" deploy "$token" "{\"token\": \"events-$$\", \"at\": \"$(date -u +%FT%TZ)\", $1}" || fail "no event was written"
}
refused() { # WHY [TOPIC]
    fleetsnap dlq list --json | jq -e --arg why "$1" --arg topic "${2:-fleetsnap.deploys}" 'any(.[]; .topic == $topic and (.reason | contains($why)))' >/dev/null
}

test_the_same_by_events() {
    local token begin offset
    begin="\"event\": \"begin\", \"selector\": \"app=twin\", \"ttl_ms\": 1000"
    expect 0 token create "events-$$" --role operator --classes ABC --topics
    token=$out
    offset=$(event "\"deploy_id\": \"$id-4\", $begin" | jq .offset)
    eventually 60 "the gate opens" state_is "$id-4" ready
    event "\"deploy_id\": \"$id-4\", $begin" >/dev/null # redelivered
    event "\"deploy_id\": \"$id-5\", $begin" >/dev/null
    "$tools/kafka_record" again fleetsnap.deploys 0 "$offset" --key another >/dev/null
    "$tools/kafka_record" deploy "$token" '{"token": "nobody", "deploy_id": "x", "event": "succeeded", "at": "2026-01-01T00:00:00Z"}' >/dev/null
    eventually 60 "the same machines are refused to another" state_is "$id-5" refused
    eventually 60 "what is signed for another key is not believed" refused "fs-mac"
    eventually 60 "nor what a token says that there is not" refused 'there is no token "nobody"'
    event "\"deploy_id\": \"$id-4\", \"event\": \"failed\", \"revert\": true" >/dev/null
    event "\"deploy_id\": \"$id-4\", \"event\": \"succeeded\"" >/dev/null
    eventually 60 "it is reverted" state_is "$id-4" reverted
    eventually 60 "its snapshots are deleted" cleaned "$id-4"
    truth "succeeded after failed changed something" state_is "$id-4" reverted
    event "\"deploy_id\": \"$id-early\", \"event\": \"succeeded\"" >/dev/null # before its begin
    event "\"deploy_id\": \"$id-early\", $begin" >/dev/null
    eventually 60 "what was said too early counts" state_is "$id-early" succeeded
    eventually 60 "its snapshots are deleted" cleaned "$id-early"
    expect 0 token revoke "events-$$"
}

asked_for() { # OP STATE: how many jobs
    fleetsnap job list --json --limit 1000 | jq --arg op "$1" --arg state "$2" --arg who "asker-$$" '[.[] | select(.requested_by == $who and .op == $op and .state == $state)] | length'
}
have() { [[ $(asked_for "$2" "$3") == "$1" ]]; } # COUNT OP STATE

test_jobs_asked_for_on_kafka() {
    local token offset name=asked-$$
    expect 0 token create "asker-$$" --role operator --classes AB -l app=twin --topics
    token=$out
    offset=$(kafka_request "asker-$$" "$token" "$name" snapshot.create "$embed/twin" "{\"name\": \"$name\", \"disk_only\": true}" | jq .offset)
    "$tools/kafka_record" again fleetsnap.requests 0 "$offset" >/dev/null # redelivered: the same job
    "$tools/kafka_record" again fleetsnap.requests 0 "$offset" --key another >/dev/null
    kafka_request "asker-$$" "$token" "$name-b" backup.create "$embed/twin" '{"repository": {"id": "", "name": "", "path": ""}, "kind": "full", "isolated": true}' >/dev/null
    kafka_request "asker-$$" "$token" "$name-c" snapshot.delete "$embed/twin" "{\"name\": \"$name\"}" >/dev/null
    kafka_request "asker-$$" "$token" "$name-d" snapshot.create "$libvirtd/shop-2" '{"name": "no"}' >/dev/null
    kafka_request "asker-$$" "$token" "$name-e" snapshot.list "$embed/twin" '{}' >/dev/null
    eventually 60 "the snapshot is made" have 1 snapshot.create SUCCEEDED
    eventually 60 "the backup is made, where backups of that machine go" have 1 backup.create SUCCEEDED
    eventually 60 "what is behind the refused is done" have 1 snapshot.list SUCCEEDED
    eventually 60 "what is signed for another key is not believed" refused "fs-mac" fleetsnap.requests
    eventually 60 "what takes away is refused to this token" refused "allows class AB" fleetsnap.requests
    eventually 60 "so is what its selector does not include" refused "asker-$$" fleetsnap.requests
    equal "jobs of the request that came twice" 1 "$(asked_for snapshot.create SUCCEEDED)"
    expect 0 snapshot delete "$embed/twin" "$name" --yes
    expect 0 backup delete "$(fleetsnap job list --json --limit 1000 | jq -r --arg who "asker-$$" '.[] | select(.requested_by == $who and .op == "backup.create") | .job_id')" --yes --really-last
    expect 0 token revoke "asker-$$"
}

test_as_before() {
    local target
    for target in "${all_targets[@]}"; do expect 0 snapshot delete "$target" "deploy-$id-1" --yes; done
}

e2e_main "$@"
