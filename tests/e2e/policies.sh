#!/bin/bash
# Policies: from a YAML file to backups that are made and deleted by themselves, and a leader that is killed in the middle of a run.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
vm=shop-1 host=$embed repository=$embed-backups
file=$DIR/nightly.yaml
policy=e2e-$$

write_policy() { # LINES... behind what every policy here has
    {
        printf '%s\n' "name: $policy" "select: {names: [$vm], hosts: [$host]}" "operation: backup.create" "repository: $repository" \
            "time_zone: Europe/Berlin" "backup: {kind: full}"
        printf '%s\n' "$@"
    } >"$file"
}

made() { fleetsnap backup list "$vm" --json | jq -r --arg policy "$policy" '[.[] | select(.policy == $policy)] | length'; }
made_is() { [[ $(made) == "$1" ]]; }
run_is() { [[ $(fleetsnap run show "$1" --json | jq -r .outcome) == "$2" ]]; } # RUN OUTCOME
runs_of() { fleetsnap run list --policy "$policy" --json | jq -r --arg schedule "$1" '[.[] | select(.schedule == $schedule and .outcome == "done")] | length'; }
has_run() { (($(runs_of "$1") > ${2:-0})); } # SCHEDULE [MORE_THAN]
jobs_of() { fleetsnap job list --json --limit 500 | jq -r --arg run "$1" '[.[] | select(.run == $run)] | length'; }

test_a_mistake_is_named_by_line_and_column() {
    write_policy "schedules:" "  - {name: daily, cron: 61 1 * * *}"
    expect 2 policy apply "$file"
    says "nightly.yaml:8:25" "schedules[0].cron" "minute: 61"
    write_policy "colour: red"
    expect 2 policy apply "$file"
    says "nightly.yaml:7:1" "colour: unknown name"
    expect 2 policy show "$policy"
}

test_it_is_previewed_compared_and_applied() {
    write_policy "schedules:" "  - {name: yearly, cron: '30 2 1 1 *'}"
    expect_json 0 policy preview -f "$file"
    holds '(.firings | length) == 3 and .firings[0].targets[0].name == "'"$vm"'" and (.firings[0].targets | length) == 1'
    expect 1 policy diff "$file"
    says "policy $policy is new" "+ name: $policy"
    expect 0 policy apply "$file" --dry-run
    says "would be created"
    expect 2 policy show "$policy"
    expect 0 policy apply "$file" --reason 'a try'
    says "created, version 1"
    expect 0 policy apply "$file"
    says "unchanged, version 1"
    expect 0 policy diff "$file"
    expect_json 0 policy show "$policy"
    holds '.version == 1 and .versions[0].reason == "a try" and (.schedules[0].next_at | test("-01-01T01:30:00"))'
    expect 0 policies
    says "$policy" yearly
}

test_policy_run_now_backs_up_what_it_selects() {
    expect_json 0 policy run-now "$policy"
    holds '.outcome == "done" and .done == 1 and .members == 1 and .jobs[0].state == "SUCCEEDED"'
    equal "backups of the policy" 1 "$(made)"
    expect_json 0 job show "$(json '.jobs[0].job_id')"
    holds '.policy == "'"$policy"'" and .schedule == "manual"'
    expect 0 runs
    says "$policy" manual done
}

test_targets_know_their_policies() {
    expect_json 0 target show "$host/$vm"
    holds '(.policies | index("'"$policy"'")) != null and .protection == "protected"'
    expect_json 0 targets --unprotected
    holds 'map(.target.name) | index("twin") != null and index("'"$vm"'") == null or (map(select(.host == "'"$host"'" and .target.name == "'"$vm"'")) | length) == 0'
}

test_the_report_has_what_could_be_restored() {
    expect_json 0 report
    holds '.policies[] | select(.name == "'"$policy"'") | .targets == 1 and .restorable == 1 and .late == 0'
    holds '.targets[] | select(.name == "'"$vm"'" and .host == "'"$host"'") | .age_ms < 3600000 and .protection == "protected"'
    expect 0 report --since 1h
    says "$policy" RESTORABLE
}

test_retention_deletes_by_itself_and_only_its_own() {
    expect_json 0 backup create "$vm" --repository "$repository" --kind full
    local own
    own=$(json .result.point)
    write_policy "retention: {last: 1}"
    expect 0 policy apply "$file"
    expect 0 policy run-now "$policy"
    expect_json 0 policy preview "$policy"
    holds '[.retention[].points[] | select(.keep) | .rule] | index("last 1 of 1") != null and index("not of this policy") != null'
    eventually 60 "one backup of the policy is left" made_is 1
    eventually 60 "the deletions are a run that is done" has_run retention
    expect 0 backup show "$own"
}

# NAME LINES...: another policy, applied
also() {
    printf '%s\n' "name: $1" "select: {names: [$vm], hosts: [$host]}" "time_zone: UTC" "${@:2}" >"$DIR/also.yaml"
    expect 0 policy apply "$DIR/also.yaml"
}
snapshots_are() { [[ $(fleetsnap snapshot list "$host/$vm" --json --live | jq -r --arg name "$policy-s" '[.[] | select(.name | startswith($name))] | length') == "$1" ]]; }

test_snapshots_expire_by_their_own_rules() {
    local backups
    backups=$(made)
    also "$policy-s" "operation: snapshot.create" "snapshot: {disk_only: true}" "retention: {last: 1}"
    expect 0 policy run-now "$policy-s"
    eventually 60 "the snapshot is there" snapshots_are 1
    sleep 1 # their names hold the second
    expect 0 policy run-now "$policy-s"
    eventually 60 "one snapshot of the policy is left" snapshots_are 1
    expect 0 policy delete "$policy-s" --yes
    expect 0 snapshot delete "$host/$vm" "$(fleetsnap snapshot list "$host/$vm" --json --live | jq -r --arg name "$policy-s" '.[] | select(.name | startswith($name)) | .name')" --yes
    equal "backups of the other policy" "$backups" "$(made)"
}

left_of() { fleetsnap backup list "$vm" --json | jq -c --arg policy "$1" '[.[] | select(.policy == $policy) | {id, parent, backup_kind}]'; } # POLICY
stands_alone() { [[ $(left_of "$1" | jq -r 'length == 1 and .[0].id == "'"$2"'" and .[0].parent == null') == true ]]; }            # POLICY POINT

test_retention_merges_what_is_only_needed() {
    local own=("operation: backup.create" "repository: $repository" "retention: {last: 1, merge: true}" "limits: {per_pool: 1, fulls: 1}") point
    also "$policy-m" "${own[@]}" "backup: {kind: full}"
    expect_json 0 policy run-now "$policy-m"
    holds '.jobs[0].pools | length > 0 and all(startswith("'"$host"':/"))'
    also "$policy-m" "${own[@]}" "backup: {kind: incremental}"
    expect_json 0 policy run-now "$policy-m"
    point=$(json '.jobs[0].job_id')
    eventually 60 "the full one went into the incremental one" stands_alone "$policy-m" "$point"
    expect 0 backup verify "$point" --depth image
    expect 0 policy delete "$policy-m" --yes
}

test_what_is_not_proven_yet_is_verified() {
    also "$policy-v" "operation: backup.verify" "verify: {depth: checksum, newest: 1}"
    expect_json 0 policy run-now "$policy-v"
    holds '.outcome == "done" and .members == 1'
    expect_json 0 backup show "$(json '.jobs[0].point')"
    holds '[.verified[] | select(.ok) | .depth] | index("checksum") != null'
    also "$policy-v" "operation: backup.verify" "verify: {depth: manifest, sample: 2}"
    expect_json 0 policy preview "$policy-v"
    holds '.firings[0].targets | length == 2 and all(.point != null and .skipped == null)'
    expect 0 policy delete "$policy-v" --yes
}

test_its_schedule_fires_by_itself() {
    write_policy "retention: {last: 1}" "schedules:" "  - {name: minutely, cron: '* * * * *'}"
    expect 0 policy apply "$file"
    eventually 100 "a run of the schedule is done" has_run minutely
    expect 0 policy pause "$policy" --reason 'enough'
    expect_json 0 policy show "$policy"
    holds '.paused and .schedules[0].next_at == null'
    local count
    count=$(runs_of minutely)
    write_policy "retention: {last: 1}" "schedules:" "  - {name: minutely, cron: '* * * * *'}" "owner: somebody"
    expect 0 policy apply "$file" # a new version stays paused
    expect_json 0 policy show "$policy"
    holds '.paused and .owner == "somebody"'
    expect 0 policy resume "$policy"
    eventually 100 "it goes on" has_run minutely "$count"
    expect 0 policy pause "$policy"
}

test_where_job_after_job_fails_no_more_are_started() {
    also "$policy-b" "operation: backup.create" "repository: $repository" "backup: {include: [vdz]}" "overlap: queue"
    local run i
    for i in 1 2 3 4 5 6; do
        expect 0 policy run-now "$policy-b" --no-wait
        run=$out
    done
    eventually 60 "the doctor names the repository" spared
    expect_json 0 run show "$run"
    holds '.outcome == "running" and .jobs[0].state == "PENDING"'
    expect 0 backup create "$vm" --repository "$repository" # by hand it is not held back
    expect 0 run cancel "$run"
    expect 0 policy delete "$policy-b" --yes
}
spared() { fleetsnap doctor 2>&1 | grep -q "repository $repository.*5 jobs of policies in a row have failed"; }

# The coordinator dies at that point of a run; the next one ends the run with one job for each target.
killed_at() { # POINT
    local before run
    before=$(fleetsnap run list --policy "$policy" --json | jq length)
    "$stack" coordinator stop "$DIR"
    FLEETSNAP_CRASH=$1 "$stack" coordinator start "$DIR" || fail "the coordinator does not start"
    E2E_TIMEOUT=30 run policy run-now "$policy" --no-wait
    eventually 60 "the coordinator dies at $1" process_ended coordinator
    "$stack" coordinator start "$DIR" || fail "the coordinator does not start again"
    expect_json 0 run list --policy "$policy"
    equal "runs" $((before + 1)) "$(json length)"
    run=$(json '.[0].run_id')
    eventually 60 "the run is done" run_is "$run" "done"
    equal "jobs of the run" 1 "$(jobs_of "$run")"
}

test_a_leader_killed_when_the_run_is_planned() { killed_at run.after:manual; }
test_a_leader_killed_before_the_jobs_ticket() { killed_at prepare.after:backup.create; }
test_a_leader_killed_when_the_job_is_published() { killed_at publish.after:backup.create; }

test_a_run_that_was_not_written_is_no_run() {
    local before
    before=$(fleetsnap run list --policy "$policy" --json | jq length)
    "$stack" coordinator stop "$DIR"
    FLEETSNAP_CRASH=run.before:manual "$stack" coordinator start "$DIR" || fail "the coordinator does not start"
    E2E_TIMEOUT=30 run policy run-now "$policy" --no-wait
    differs "exit code" 0 "$code"
    eventually 60 "the coordinator dies" process_ended coordinator
    "$stack" coordinator start "$DIR" || fail "the coordinator does not start again"
    equal "runs" "$before" "$(fleetsnap run list --policy "$policy" --json | jq length)"
}

test_a_run_is_cancelled() {
    expect 0 host drain "$host" # nothing starts there: its members wait
    expect 0 policy run-now "$policy" --no-wait
    local run=$out
    expect_json 0 run show "$run"
    holds '.outcome == "running" and .jobs[0].state == "PENDING"'
    expect 0 run cancel "${run:0:8}" --reason 'not today'
    expect 4 run watch "$run"
    expect_json 0 run show "$run"
    holds '.outcome == "cancelled" and (.cancel | test("not today"))'
    expect 1 run cancel "$run"
    says "has ended already"
    expect 0 host resume "$host"
}

test_a_deleted_policy_leaves_what_it_made() {
    local count
    count=$(made)
    expect 2 policy delete "$policy"
    expect 0 policy delete "$policy" --yes
    expect 2 policy show "$policy"
    equal "backups of the policy" "$count" "$(made)"
    truth "it is in a list" test "$(fleetsnap policies --json | jq --arg policy "$policy" '[.[] | select(.name == $policy)] | length')" = 0
}

e2e_main "$@"
