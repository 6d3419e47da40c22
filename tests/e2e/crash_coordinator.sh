#!/bin/bash
# The coordinator is killed between any two of ledger, ticket, publish and ledger: the next one finishes what was begun, under the same id, once.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
target=$libvirtd/twin

named() { fleetsnap snapshot list "$target" --json --live | jq -r --arg name "$1" '[.[] | select(.name == $name)] | length'; }

# Whether the first request has ended or hangs: the same request again is the same job.
killed_at() { # POINT
    local name=${1//./-}-$$ first=''
    "$stack" coordinator stop "$DIR"
    FLEETSNAP_CRASH=$1 "$stack" coordinator start "$DIR" || fail "the coordinator does not start"
    E2E_TIMEOUT=20 run snapshot create "$target" --name "$name" --kind internal --request-id "$name" --no-wait
    [[ $code != 0 ]] || first=$out
    eventually 60 "the coordinator dies at $1" process_ended coordinator
    "$stack" coordinator start "$DIR" || fail "the coordinator does not start again"
    expect 0 snapshot create "$target" --name "$name" --kind internal --request-id "$name" --no-wait
    job=$out
    [[ -z $first ]] || equal "id of the repeated request" "$first" "$job"
    eventually 60 "the job is done" job_in "$job" SUCCEEDED
    one_end "$job"
    equal "snapshots of that name" 1 "$(named "$name")"
    equal "jobs for that name" 1 "$(fleetsnap job list --op snapshot.create --json --limit 100 | jq --arg name "$name" '[.[] | select(.params.name == $name)] | length')"
    expect 0 snapshot delete "$target" "$name" --yes
}

test_before_the_ledger() { killed_at prepare.before; }
test_between_ledger_and_ticket() { killed_at prepare.after; }
test_between_ticket_and_publish() { killed_at ticket.after; }
test_right_before_publish() { killed_at publish.before; }
test_right_after_publish() { killed_at publish.after; }
test_between_publish_and_ledger() { killed_at published.before; }
test_after_all_of_it() { killed_at published.after; }

e2e_main "$@"
