#!/bin/bash
# What goes wrong around the programs: records that come twice, are for others or forged; servers that restart or lose their memory;
# a worker that is away, or dies while the guest is frozen, and the guest's agent with it.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
vm=shop-1 host=$embed
record=$tools/kafka_record

names() { fleetsnap snapshot list "$vm" --json | jq -r '[.[].name] | sort | join(" ")'; }
dead_letters() { fleetsnap dlq list --json --limit 1000 | jq length; }

# The record of a job: sets partition and offset.
find_record() { # JOB
    local line
    line=$("$record" list fleetsnap.jobs | jq -c --arg job "$1" 'select(.headers["fs-job"] == $job)' | head -1)
    [[ -n $line ]] || fail "no record of job $1 on fleetsnap.jobs"
    partition=$(jq .partition <<<"$line") offset=$(jq .offset <<<"$line")
}

said_of() { "$record" list fleetsnap.status | jq -c --arg job "$1" 'select(.headers["fs-job"] == $job)' | wc -l; } # JOB

# A harmless job that comes after: what was sent before it has been looked at when it has ended.
# Helpers for `eventually`.
more_said() { (($(said_of "$1") > $2)); }             # JOB THAN
letters_are() { (($(dead_letters) == $1)); }          # COUNT
letters_at_least() { (($(dead_letters) >= $1)); }     # COUNT
it_is_past() { (($(date +%s%3N) > $1)); }             # MS

pass_by() { # VM
    expect 0 snapshot list "$1" --live
}

busy_backup() { backup_at_work "$host" "$vm" "$host-backups" 16MiB; }

backup_went_well() { # JOB
    eventually 90 "the backup $1 ends" job_ended "$1"
    equal "state of the backup" SUCCEEDED "$(job_state "$1")"
    one_end "$1"
    expect 0 backup verify "$1" --depth image
    truth "$vm does not write" writes "$host" "$vm"
}

test_the_same_record_twice() {
    local before
    start_job snapshot create "$vm" --name twice
    expect 0 job watch "$job"
    find_record "$job"
    before=$(said_of "$job")
    "$record" again fleetsnap.jobs "$partition" "$offset" >/dev/null || fail "the record was not sent"
    eventually 60 "the repeat is answered" more_said "$job" "$before"
    equal "snapshots" twice "$(names)"
    equal "state" SUCCEEDED "$(job_state "$job")"
    one_end "$job"
    truth "$vm does not write" writes "$host" "$vm"
}

test_a_repeat_of_what_destroys() {
    start_job snapshot delete "$vm" twice --yes
    expect 0 job watch "$job"
    expect 0 snapshot create "$vm" --name twice
    find_record "$job"
    local before
    before=$(said_of "$job")
    "$record" again fleetsnap.jobs "$partition" "$offset" >/dev/null || fail "the record was not sent"
    eventually 60 "the repeat is answered" more_said "$job" "$before"
    pass_by "$vm"
    equal "snapshots" twice "$(names)"
    expect 0 snapshot delete "$vm" twice --yes
}

test_a_job_for_another_host() {
    local letters before
    letters=$(dead_letters)
    start_job snapshot create shop-2 --name theirs
    expect 0 job watch "$job"
    local foreign=$job
    find_record "$foreign"
    local from=$partition at=$offset
    start_job snapshot create "$vm" --name ours
    expect 0 job watch "$job"
    find_record "$job"
    expect 0 snapshot delete "$vm" ours --yes
    before=$(job_json "$foreign" | jq '.events | length')
    "$record" again fleetsnap.jobs "$from" "$at" --to "$partition" >/dev/null || fail "the record was not sent"
    pass_by "$vm"
    equal "dead letters" "$letters" "$(dead_letters)"
    equal "events of the other host's job" "$before" "$(job_json "$foreign" | jq '.events | length')"
    truth "somebody else answered for it" eval '[[ $(job_json $foreign | jq -r "[.events[].host] | unique | join(\" \")") == gamma ]]'
    expect 0 snapshot delete shop-2 theirs --yes
}

test_a_wrong_mac_and_a_job_redirected() {
    local letters
    letters=$(dead_letters)
    start_job snapshot create "$vm" --name mine
    expect 0 job watch "$job"
    find_record "$job"
    "$record" again fleetsnap.jobs "$partition" "$offset" --header "fs-mac=1:$(head -c 32 /dev/zero | base64)" >/dev/null
    eventually 60 "the forged record is a dead letter" letters_are $((letters + 1))
    "$record" again fleetsnap.jobs "$partition" "$offset" --header "fs-job=00000000-0000-4000-8000-000000000000" >/dev/null
    eventually 60 "so is one with another job's name" letters_are $((letters + 2))
    expect_json 0 dlq list
    holds 'map(.reason) | all(length > 3)'
    expect 2 job show 00000000-0000-4000-8000-000000000000
    # Another host's order, with our name on it.
    start_job snapshot create shop-2 --name theirs
    expect 0 job watch "$job"
    local to=$partition
    find_record "$job"
    "$record" again fleetsnap.jobs "$partition" "$offset" --to "$to" --header "fs-host=$host" >/dev/null
    eventually 60 "so is another host's order" letters_are $((letters + 3))
    equal "snapshots" mine "$(names)"
    expect 0 snapshot delete "$vm" mine --yes
    expect 0 snapshot delete shop-2 theirs --yes
}

test_rubbish() {
    local letters
    letters=$(dead_letters)
    start_job snapshot create "$vm" --name rubbish
    expect 0 job watch "$job"
    find_record "$job"
    expect 0 snapshot delete "$vm" rubbish --yes
    head -c 3000 /dev/urandom | "$record" put fleetsnap.jobs "$partition" --header "fs-host=$host" --header 'fs-mac=rubbish' >/dev/null
    "$record" put fleetsnap.jobs "$partition" --header "fs-host=$host" </dev/null >/dev/null
    "$record" put fleetsnap.jobs "$partition" --tombstone --key "$host" --header "fs-host=$host" >/dev/null
    echo 'no headers at all' | "$record" put fleetsnap.jobs "$partition" >/dev/null
    eventually 60 "what was for $host is among the dead letters" letters_at_least $((letters + 3))
    head -c 500 /dev/urandom | "$record" put fleetsnap.status 0 --header "fs-host=$host" --header "fs-job=$job" --header 'fs-mac=1:AAAA' >/dev/null
    head -c 500 /dev/urandom | "$record" put fleetsnap.catalog 0 --key rubbish --header "fs-host=$host" >/dev/null
    head -c 500 /dev/urandom | "$record" put fleetsnap.inventory 0 --key "$host" --header "fs-host=$host" >/dev/null
    pass_by "$vm"
    equal "state of a job that a forged status names" SUCCEEDED "$(job_state "$job")"
    expect 0 dlq list
    local first
    first=$(fleetsnap dlq list --json | jq -r '.[0] | "\(.dlq_partition) \(.dlq_offset)"')
    # shellcheck disable=SC2086
    expect_json 0 dlq show $first
    holds '.reason | length > 3'
    expect 0 snapshot list "$vm" --live
    eventually 60 "the doctor is green" doctor_green
}

test_a_worker_that_is_away() {
    local late
    "$stack" worker stop "$DIR" gamma
    start_job snapshot create shop-2 --name late --deadline 1s
    late=$job
    start_job snapshot create shop-2 --name patient
    eventually 60 "the deadline has passed" it_is_past $(($(date +%s%3N) + 1000))
    truth "the job has ended without its worker" eval '! job_ended $job'
    "$stack" worker start "$DIR" gamma || fail "the worker does not start"
    eventually 60 "the job is done" job_in "$job" SUCCEEDED
    one_end "$job"
    equal "state of the job whose deadline has passed" EXPIRED "$(job_state "$late")"
    expect 4 job watch "$late"
    one_end "$late"
    expect 0 snapshot delete shop-2 patient --yes
}

refusals() { fleetsnap dlq list --json | jq --arg who "$1" '[.[] | select(.reason | contains($who))] | length'; } # WHOSE
asked_is_done() { fleetsnap job list --json | jq -e --arg who "$1" 'any(.[]; .requested_by == $who and .state == "SUCCEEDED")' >/dev/null; }

test_redis_restarts_empty_in_the_middle() {
    local asker=asker-$$ token
    expect 0 token create "$asker" --role operator --classes AB --topics
    token=$out
    busy_backup
    "$stack" redis empty "$DIR" || fail "redis does not start again"
    kafka_request "$asker" "$token" "$asker-1" snapshot.delete "$vm" '{"name": "nothing"}' >/dev/null # refused at once, once
    kafka_request "$asker" "$token" "$asker-2" snapshot.list "$vm" '{}' >/dev/null                    # waits for Redis
    backup_went_well "$job"
    eventually 90 "what was asked for on Kafka meanwhile is done" asked_is_done "$asker"
    equal "dead letters of the one that may not" 1 "$(refusals "$asker")"
    expect 0 token revoke "$asker"
    eventually 60 "the doctor is green" doctor_green
    E2E_TIMEOUT=120 expect 0 snapshot create "$vm" --name after
    expect 0 snapshot delete "$vm" after --yes
}

test_the_broker_restarts_in_the_middle() {
    busy_backup
    "$stack" kafka kill "$DIR"
    "$stack" kafka start "$DIR" || fail "kafka does not start again"
    backup_went_well "$job"
    eventually 60 "the doctor is green" doctor_green
    expect 0 snapshot create "$vm" --name after
    expect 0 snapshot delete "$vm" after --yes
}

test_a_worker_killed_in_the_middle_of_a_backup() {
    busy_backup
    "$stack" worker kill "$DIR" "$host"
    truth "$vm does not write while its worker is dead" writes "$host" "$vm"
    "$stack" worker start "$DIR" "$host" || fail "the worker does not start again"
    backup_went_well "$job"
    guest "$host" "$vm" 'rm /data/ballast; sync'
}

test_a_cancel_in_the_middle_leaves_nothing() {
    local before
    busy_backup
    before=$(fleetsnap backup list "$vm" --json | jq length)
    expect 0 job cancel "$job"
    eventually 60 "the backup is cancelled" job_in "$job" CANCELLED
    one_end "$job"
    equal "backups" "$before" "$(fleetsnap backup list "$vm" --json | jq length)"
    truth "its folder is still there" eval '! find "$(host_folder $host)/repository/$host-backups" -path "*$job*" | grep -q .'
    truth "$vm does not write" writes "$host" "$vm"
}

test_the_worker_dies_while_the_guest_is_frozen() {
    "$stack" worker stop "$DIR" gamma
    FLEETSNAP_CRASH=effect.after:freeze "$stack" worker start "$DIR" gamma || fail "the worker does not start"
    eventually 60 "the host is alive" host_alive gamma
    start_job snapshot create shop-2 --name frozen --quiesce require
    eventually 60 "the worker dies" worker_ended gamma
    truth "shop-2 is not frozen, so this test shows nothing" eval '! WRITES_TIMEOUT=2 writes gamma shop-2'
    # The agent dies, too: the one that takes its place thaws what it did not freeze.
    guest gamma shop-2 'killall -9 qemu-ga' || fail "the agent was not killed"
    # What it dies of before it can even look is not the job's doing, however often.
    for _ in 1 2; do
        FLEETSNAP_CRASH=connect.before:libvirt "$stack" worker start "$DIR" gamma 2>/dev/null
        eventually 60 "the worker dies as it connects" worker_ended gamma
    done
    "$stack" worker start "$DIR" gamma || fail "the worker does not start again"
    eventually 60 "the guest writes again" writes gamma shop-2
    eventually 60 "the job is done" job_in "$job" SUCCEEDED
    one_end "$job"
    expect 0 snapshot delete shop-2 frozen --yes
}

e2e_main "$@"
