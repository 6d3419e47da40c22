#!/bin/bash
# Deploys: a gate before, and the way back after. Two machines that run and two that are off, on two hosts; what is in those that run is compared by hash.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
id=d$$

orders_hash() { "$stack" guest hash "$DIR" "$1" "$2" /data/orders; } # HOST VM
snapshots_of() { fleetsnap snapshot list "$1" --json --live | jq -r --arg name "deploy-$id" '[.[] | select(.name | startswith($name)) | .name] | sort | join(" ")'; } # TARGET
all_targets=("$embed/shop-1" "$libvirtd/shop-2" "$embed/twin" "$libvirtd/twin")
all="app in (shop,twin)"

test_begin_says_what_it_would_do() {
    expect_json 0 deploy begin --id "$id-1" -l "$all" --dry-run
    holds '(.targets | map(.name) | sort) == ["shop-1", "shop-2", "twin", "twin"] and .refused == null'
    expect 2 deploy begin --id "$id-1" -l app=nothing
    says "no target has the labels"
    expect 2 deploy begin --id 'a b' -l "$all"
    expect 2 deploy status "$id-1"
}

test_a_gate_then_a_revert_by_order() {
    local before='' after='' target
    for target in "${all_targets[@]:0:2}"; do before+=" $(orders_hash "${target%/*}" "${target#*/}")"; done
    expect_json 0 deploy begin --id "$id-1" -l "$all" --wait --timeout 1h
    holds '.state == "ready" and (.targets | length) == 4 and all(.targets[]; .snapshot.state == "SUCCEEDED")'
    expect 0 deploy begin --id "$id-1" -l "$all" # the same again begins nothing
    expect 1 deploy begin --id "$id-1" -l tier=web
    says "another deploy"
    expect 1 deploy begin --id "$id-2" -l tier=db
    says "shop-2 is in deploy $id-1" "--overlap wait"
    for target in "${all_targets[@]:0:2}"; do
        guest "${target%/*}" "${target#*/}" 'rm -rf /data/orders/* && sync && ! ls /data/orders/* 2>/dev/null' || fail "$target: nothing is lost"
    done
    expect_json 0 deploy failed "$id-1" --revert --order "$libvirtd/twin,shop-2" --dry-run
    holds '.state == "ready"'
    expect 2 deploy failed "$id-1" --revert --order nobody
    expect_json 0 deploy failed "$id-1" --revert --order "$libvirtd/twin,shop-2"
    holds '.state == "reverted" and all(.targets[]; .revert.state == "SUCCEEDED")'
    local run
    run=$(json .runs.revert)
    expect_json 0 run show "$run"
    holds '[.jobs[].name][0:2] == ["twin", "shop-2"] and .done == 4 and .jobs[0].host == "'"$libvirtd"'"'
    for target in "${all_targets[@]:0:2}"; do
        "$stack" guest wait "$DIR" "${target%/*}" "${target#*/}" || fail "$target does not answer after the revert"
        after+=" $(orders_hash "${target%/*}" "${target#*/}")"
    done
    equal "orders after the revert" "$before" "$after"
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

event() { # JSON: signed by the token; prints where it lies
    "$tools/kafka_record" deploy "$token" "{\"token\": \"events-$$\", \"at\": \"$(date -u +%FT%TZ)\", $1}" || fail "no event was written"
}
state_is() { [[ $(fleetsnap deploy status "$1" --json 2>/dev/null | jq -r .state) == "$2" ]]; }                                                        # DEPLOY STATE
cleaned() { [[ $(fleetsnap deploy status "$1" --json | jq -r '.cleaned_at != null') == true ]]; }                                                      # DEPLOY
refused() { fleetsnap dlq list --json | jq -e --arg why "$1" 'any(.[]; .topic == "fleetsnap.deploys" and (.reason | contains($why)))' >/dev/null; } # WHY

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
    expect 0 token revoke "events-$$"
}

test_as_before() {
    local target
    for target in "${all_targets[@]}"; do expect 0 snapshot delete "$target" "deploy-$id-1" --yes; done
}

e2e_main "$@"
