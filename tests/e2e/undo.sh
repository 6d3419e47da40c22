#!/bin/bash
# An undo brings back what a revert took away, as the guest had it: compared by hash.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
host=$libvirtd vm=shop-2
orders() { orders_hash "$host" "$vm"; }
change_orders() { guest "$host" "$vm" "echo $EPOCHREALTIME >/data/orders/$1; sync" || fail "$vm does not write"; } # NAME
boots() { eventually 120 "$vm answers after $1" "$stack" guest wait "$DIR" "$host" "$vm"; }             # WHAT
last_job() { fleetsnap job list --op "$1" --host "$host" --limit 1 --json | jq -r '.[0].job_id'; }    # OP
forget_kept() { # JOB...: what they keep for a day
    local each file
    for each in "$@"; do
        for file in $(job_json "$each" | jq -r '(.result.facts // {}) | to_entries[] | select(.key | startswith("kept.")) | .value'); do
            rm -f "$file"
        done
    done
}

test_job_undo_of_a_revert_and_of_the_undo() {
    local before later after reverted undone redone
    before=$(orders)
    expect 0 snapshot create "$vm" --name for-undo
    change_orders later
    later=$(orders)
    differs "orders" "$before" "$later"
    expect 0 snapshot revert "$vm" for-undo --dry-run
    says 'Undo for'
    expect 0 snapshot revert "$vm" for-undo --yes
    reverted=$(last_job snapshot.revert)
    says "fleetsnap job undo ${reverted:0:8}"
    boots "the revert"
    equal "orders after the revert" "$before" "$(orders)"
    change_orders after
    after=$(orders)

    expect 2 job undo "$reverted" # nobody can be asked here
    says --yes
    expect_json 0 job undo "$reverted" --dry-run
    holds '(.result.lost | length) > 0 and ([.result.steps[].name] | index("remember") < index("stop"))'
    equal "orders after a dry run" "$after" "$(orders)"
    expect_json 0 job undo "${reverted:0:8}" --yes
    undone=$(json .job_id)
    holds '.state == "SUCCEEDED" and .op == "job.undo" and .class == "C"'
    boots "the undo"
    equal "orders after the undo" "$later" "$(orders)"
    truth "$vm does not write after the undo" writes "$host" "$vm"
    one_end "$undone"
    expect 1 job undo "$reverted" --yes
    says 'was undone already' "${undone:0:8}"

    expect_json 0 job undo "$undone" --yes
    redone=$(json .job_id)
    boots "the undo of the undo"
    equal "orders after the undo of the undo" "$after" "$(orders)"
    expect_json 0 job undo "$redone" --yes
    boots "the last undo"
    equal "orders after the last undo" "$later" "$(orders)"
    forget_kept "$(json .job_id)"
    expect 0 snapshot delete "$vm" for-undo --yes
    equal "orders after the snapshot is merged" "$later" "$(orders)"
}

test_job_undo_of_a_restore_in_place() {
    local before later after restored point
    expect_json 0 backup create "$vm" --kind full
    point=$(json .job_id)
    before=$(orders)
    change_orders after-backup
    later=$(orders)
    differs "orders" "$before" "$later"
    expect_json 0 backup restore "$point" --in-place --start running --yes
    restored=$(json .job_id)
    boots "the restore"
    equal "orders after the restore" "$before" "$(orders)"
    change_orders after-restore
    after=$(orders)
    expect 0 backup create "$vm"
    expect 1 job undo "$restored" --yes
    says 'was made since' --force
    expect_json 0 job undo "$restored" --force --yes
    boots "the undo"
    equal "orders after the undo" "$later" "$(orders)"
    truth "$vm does not write after the undo" writes "$host" "$vm"
    expect_json 0 job undo "$(json .job_id)" --yes
    boots "the undo of the undo"
    equal "orders after the undo of the undo" "$after" "$(orders)"
    expect_json 0 job undo "$(json .job_id)" --yes
    boots "the last undo"
    equal "orders after the last undo" "$later" "$(orders)"
    forget_kept "$(json .job_id)"
}

test_a_later_snapshot_refuses_it() {
    local before reverted
    expect 0 snapshot create "$vm" --name one
    change_orders more
    before=$(orders)
    expect 0 snapshot revert "$vm" one --yes
    reverted=$(last_job snapshot.revert)
    boots "the revert"
    expect 0 snapshot create "$vm" --name two
    expect 1 job undo "$reverted" --yes
    says 'snapshot two was made since'
    truth "$vm does not write after a refusal" writes "$host" "$vm"
    expect 0 snapshot delete "$vm" two --yes
    expect_json 0 job undo "$reverted" --yes
    boots "the undo"
    equal "orders after the undo" "$before" "$(orders)"
    forget_kept "$(json .job_id)"
    expect 0 snapshot delete "$vm" one --yes
}

test_other_jobs_cannot_be_undone() {
    expect 0 snapshot create "$vm" --name plain
    expect 1 job undo "$(last_job snapshot.create)" --yes
    says 'only a revert, a restore in place and an undo can be'
    expect 0 snapshot delete "$vm" plain --yes
    expect 2 job undo 0000ffff --yes
    says 0000ffff
}

test_what_is_off_stays_off() {
    local reverted
    expect 0 snapshot create "$host/twin" --name cold --kind external
    expect 0 snapshot revert "$host/twin" cold --yes
    reverted=$(last_job snapshot.revert)
    expect_json 0 job undo "$reverted" --yes
    holds '.result.facts.state == "shutoff"'
    forget_kept "$(json .job_id)"
    expect 0 snapshot delete "$host/twin" cold --yes
}

e2e_main "$@"
