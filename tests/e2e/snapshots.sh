#!/bin/bash
# Snapshots: made, listed, shown, gone back to and deleted, on a running and on a stopped machine.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
vm=shop-1 host=$embed

names() { fleetsnap snapshot list "$1" --json | jq -r '[.[].name] | sort | join(" ")'; } # TARGET
named() { [[ $(names "$1") == "$2" ]]; }
# The list is what the host reported last: a moment behind the end of a job.
snapshots_are() { eventually 60 "the snapshots of $1 are \"$2\", not \"$(names "$1")\"" named "$1" "$2"; } # TARGET NAMES

lose_orders() { # HOST VM
    guest "$1" "$2" 'rm -rf /data/orders; sync'
    equal "orders left on $2" 0 "$(orders_count "$1" "$2")"
}

test_a_dry_run_shows_the_steps_and_changes_nothing() {
    local before
    before=$(names "$vm")
    expect_json 0 snapshot create "$vm" --name never --quiesce require --dry-run
    holds '[.result.steps[].name] | index("freeze") < index("snapshot") and index("snapshot") < index("thaw")'
    holds '[.result.steps[].command | length] | all(. > 0)'
    expect 0 snapshot create "$vm" --name never --dry-run
    says nothing "$host"
    equal "snapshots after a dry run" "$before" "$(names "$vm")"
}

test_snapshot_create_external_and_quiesced_on_a_running_machine() {
    expect_json 0 snapshot create "$vm" --name before-deploy --quiesce require --description 'before 2214'
    holds '.state == "SUCCEEDED" and .op == "snapshot.create"'
    holds '.result.facts.level == "filesystem"'
    holds '.result.facts.frozen_ms | tonumber >= 0'
    holds '.result.snapshots[0].location == "external"'
    truth "$vm does not write after a freeze" writes "$host" "$vm"
    snapshots_are "$vm" before-deploy
    expect_json 0 snapshot list "$vm"
    holds '.[] | select(.name == "before-deploy") | .current and .has_metadata and .description == "before 2214" and .owner != null'
}

test_snapshot_create_with_a_time_to_live() {
    expect_json 0 snapshot create "$libvirtd/twin" --name brief --kind internal --ttl 1s
    eventually 120 "what had a second to live is deleted" named "$libvirtd/twin" ''
    expect_json 0 job list --op snapshot.delete --limit 100
    holds '[.[] | select(.params.name == "brief" and .requested_by == "ttl" and .state == "SUCCEEDED")] | length == 1'
}

test_the_same_name_again_is_refused() {
    expect 1 snapshot create "$vm" --name before-deploy
    says before-deploy
    snapshots_are "$vm" before-deploy
}

test_a_request_id_makes_a_repeat_safe() {
    local first
    expect_json 0 snapshot create "$vm" --name once --request-id "once-$$"
    first=$(json .job_id)
    expect_json 0 snapshot create "$vm" --name once --request-id "once-$$"
    equal "job of the repeated request" "$first" "$(json .job_id)"
    snapshots_are "$vm" "before-deploy once"
}

test_no_wait_prints_the_id_and_watch_follows_it() {
    start_job snapshot create "$vm" --name later
    expect 0 job watch "$job"
    expect_json 0 job show "$job"
    holds '.state == "SUCCEEDED" and .target.name == "'"$vm"'" and .host == "'"$host"'"'
    one_end "$job"
}

test_snapshot_show_one_and_list_the_tree() {
    snapshots_are "$vm" "before-deploy later once"
    expect 0 snapshot list "$vm" --tree
    says before-deploy once later external current
    expect_json 0 snapshot show "$vm" once
    holds '.name == "once" and .parent == "before-deploy" and .children == 1'
    expect 0 snapshot show "$vm" once --xml
    says '<domainsnapshot>' '<name>once</name>'
    expect_json 0 snapshot list "$vm" --live
    holds 'length == 3'
    expect 0 snapshot list "$vm" --name --roots
    equal "roots" before-deploy "$out"
    expect 0 snapshot list "$vm" --name --leaves
    equal "leaves" later "$out"
    expect 2 snapshot show "$vm" onec
    says onec
}

test_snapshot_list_filters_add_up_and_relatives_are_named() {
    expect 0 snapshot list "$vm"
    says "as $host reported it" DESCRIPTION 'before 2214' current
    expect 0 snapshot list "$vm" --name --parent before-deploy
    equal "children" once "$out"
    expect 0 snapshot list "$vm" --name --from before-deploy --descendants --topological
    equal "descendants, parents first" $'once\nlater' "$out"
    expect 0 snapshot list "$vm" --name --no-leaves --external --disk-only --metadata --topological
    equal "what others stand on" $'before-deploy\nonce' "$out"
    expect 0 snapshot list "$vm" --count --internal
    equal "internal ones" 0 "$out"
    expect 0 snapshot list "$vm" --count --active --no-metadata --live
    equal "with memory and without metadata" 0 "$out"
    expect 2 snapshot list "$vm" --descendants
    says --parent
    expect 2 snapshot list "$vm" --parent onec
    says 'no snapshot "onec"' 'Did you mean once?'
    expect_json 0 snapshot show "$vm" before-deploy
    holds '.children_names == ["once"] and (.descendants | sort) == ["later", "once"] and .has_metadata and (.current | not)'
    holds '.target.name == "'"$vm"'" and .host == "'"$host"'"'
    expect_json 0 snapshot show "$vm" --current --live
    holds '.name == "later" and .current and .descendants == []'
    expect 0 snapshot show "$vm" once
    says "$vm on $host" 'children      later' 'parent        before-deploy'
}

test_a_revert_asks_and_shows_what_is_lost() {
    local hash
    hash=$(orders_hash "$host" "$vm")
    expect 2 snapshot revert "$vm" before-deploy # nobody can be asked here
    says --yes
    expect_json 0 snapshot revert "$vm" before-deploy --dry-run
    holds '(.result.steps | length) > 1 and (.result.lost | length) > 0 and (.result.plan_digest | length) == 64'
    holds '[.result.steps[].class] | index("C") != null'
    equal "orders after a dry run" "$hash" "$(orders_hash "$host" "$vm")"
    truth "$vm does not write after a dry run" writes "$host" "$vm"
}

test_snapshot_revert_to_an_external_one() {
    local hash
    hash=$(orders_hash "$host" "$vm")
    lose_orders "$host" "$vm"
    expect_json 0 snapshot revert "$vm" before-deploy --yes
    holds '.state == "SUCCEEDED"'
    "$stack" guest wait "$DIR" "$host" "$vm" || fail "$vm does not answer after the revert"
    equal "orders after the revert" "$hash" "$(orders_hash "$host" "$vm")"
    truth "$vm does not write after the revert" writes "$host" "$vm"
    one_end "$(json .job_id)"
}

test_what_was_confirmed_is_what_is_done() {
    local digest
    expect_json 0 snapshot delete "$vm" later --dry-run
    digest=$(json .result.plan_digest)
    equal "length of a digest" 64 "${#digest}"
    # Another plan than the one that was confirmed: by the API, since the command asks afresh.
    body=$(jq -n --arg digest "${digest//[0-9]/0}" '{op: "snapshot.delete", target: "shop-1", params: {name: "later"}, plan_digest: $digest}')
    answer=$(curl -sS -H "Authorization: Bearer $(<"$FLEETSNAP_TOKEN_FILE")" -H 'Content-Type: application/json' -H "Idempotency-Key: digest-$$" \
        -d "$body" "$FLEETSNAP_URL/v1/jobs")
    job=$(jq -r .job_id <<<"$answer")
    eventually 60 "the job $job ends ($answer)" job_ended "$job"
    equal "state of a job with another plan" FAILED "$(job_state "$job")"
    equal "kind of its error" conflict "$(job_json "$job" | jq -r .error.kind)"
    truth "the snapshot is gone" eval '[[ " $(names shop-1) " == *" later "* ]]'
}

test_snapshot_delete_merges_what_its_children_need() {
    local hash
    hash=$(orders_hash "$host" "$vm")
    expect 0 snapshot delete "$vm" once --yes
    expect 0 snapshot delete "$vm" once --yes # gone is a success
    expect 0 snapshot delete "$vm" before-deploy --children --yes
    snapshots_are "$vm" ''
    equal "orders after the deletes" "$hash" "$(orders_hash "$host" "$vm")"
    truth "$vm does not write after the deletes" writes "$host" "$vm"
}

test_internal_on_a_machine_that_is_off() {
    expect_json 0 snapshot create "$libvirtd/twin" --name cold --kind internal
    holds '.result.snapshots[0].location == "internal"'
    truth "the image has no snapshot" eval 'qemu-img snapshot -l "$(host_folder $libvirtd)/disks/twin.qcow2" | grep -q cold'
    expect 0 snapshot create "$libvirtd/twin" --name colder
    expect 0 snapshot revert "$libvirtd/twin" cold --yes
    equal "state of twin" shutoff "$(fleetsnap target show "$libvirtd/twin" --json | jq -r .state)"
    snapshots_are "$libvirtd/twin" "cold colder"
    expect_json 0 snapshot list "$libvirtd/twin" --live
    holds '.[] | select(.name == "cold") | .current'
    expect 0 snapshot delete "$libvirtd/twin" colder --yes
    expect 0 snapshot delete "$libvirtd/twin" cold --yes
    truth "the image still has it" eval '! qemu-img snapshot -l "$(host_folder $libvirtd)/disks/twin.qcow2" | grep -q cold'
}

test_snapshot_delete_scope_metadata_and_what_others_made() {
    local target=$libvirtd/twin xml=$DIR/redefine.xml
    expect 0 snapshot create "$target" --name base
    virsh_on "$libvirtd" snapshot-create-as twin theirs >/dev/null || fail "virsh makes no snapshot"
    expect 1 snapshot delete "$target" theirs --yes
    says 'made by others' --foreign
    expect 0 snapshot delete "$target" --current --foreign --yes
    expect 0 snapshot create "$target" --name leaf
    expect 0 snapshot list "$target" --live --name --inactive --leaves
    equal "the leaf" leaf "$out"
    fleetsnap snapshot show "$target" leaf --xml >"$xml"
    expect 0 snapshot delete "$target" leaf --metadata --yes
    truth "the data went with the metadata" eval 'qemu-img snapshot -l "$(host_folder $libvirtd)/disks/twin.qcow2" | grep -q leaf'
    expect 0 snapshot create "$target" --redefine "$xml" --current --validate
    expect_json 0 snapshot show "$target" --current --live
    holds '.name == "leaf" and .parent == "base"'
    expect_json 0 snapshot revert "$target" --current --keep-current --yes
    expect_json 0 snapshot list "$target" --live
    holds 'length == 3'
    expect 0 snapshot delete "$target" base --children-only --yes
    snapshots_are "$target" base
    expect 0 snapshot delete "$target" base --yes
    rm "$xml"
}

source_of() { virsh_on "$libvirtd" domblklist shop-2 | awk '$1 == "vda" {print $2}'; }

# The root of the guest is in its RAM: what is written there goes back only with the memory.
in_memory() { guest "$libvirtd" shop-2 'cat /counter /proc/sys/kernel/random/boot_id'; }

# What each option does to the machine that runs: where its disk and its memory go, and whether it goes on.
test_snapshot_create_where_disk_and_memory_go() {
    local folder disk memory
    folder=$(host_folder "$libvirtd")/disks disk=$(source_of)
    expect 1 snapshot create shop-2 --name said --current
    says 'a new snapshot is current by itself'
    expect 0 snapshot create shop-2 --name said --diskspec "vda,snapshot=external,driver=qcow2,file=$folder/said.qcow2" --disk-only --atomic --quiesce never
    equal "the disk" "$folder/said.qcow2" "$(source_of)"
    expect 0 snapshot delete shop-2 said --yes

    qemu-img create -q -f qcow2 -F qcow2 -b "$(source_of)" "$folder/made.qcow2" || fail "no overlay by hand"
    chown --reference="$(source_of)" "$folder/made.qcow2"
    expect 2 snapshot create shop-2 --name reused --diskspec "vda,file=$folder/made.qcow2" --reuse-external
    says --yes
    expect 0 snapshot create shop-2 --name reused --diskspec "vda,file=$folder/made.qcow2" --reuse-external --yes
    equal "the disk" "$folder/made.qcow2" "$(source_of)"
    expect 0 snapshot delete shop-2 reused --yes

    expect 0 snapshot create shop-2 --diskspec "vda,file=$folder/bare.qcow2" --no-metadata --no-atomic
    equal "the disk" "$folder/bare.qcow2" "$(source_of)"
    snapshots_are shop-2 ''
    virsh_on "$libvirtd" blockcommit shop-2 vda --shallow --active --pivot --wait >/dev/null || fail "virsh does not commit"
    rm "$folder/bare.qcow2"
    equal "the disk" "$disk" "$(source_of)"

    guest "$libvirtd" shop-2 'echo 1 >/counter'
    memory=$(in_memory)
    expect 0 snapshot create shop-2 --name awake --memspec "file=$folder/awake.mem" --live
    eventually 60 "shop-2 goes on" writes "$libvirtd" shop-2
    guest "$libvirtd" shop-2 'echo 2 >/counter'
    expect 0 snapshot revert shop-2 awake --keep-old-for 0 --yes
    eventually 60 "shop-2 goes on where it was" writes "$libvirtd" shop-2
    equal "what is in its memory" "$memory" "$(in_memory)"
    expect 0 snapshot delete shop-2 awake --yes
    expect_json 0 snapshot create shop-2 --name asleep --memspec "file=$folder/asleep.mem" --halt --yes
    holds '.result.facts.level == "memory"'
    truth "there is no memory in the file" test -s "$folder/asleep.mem"
    equal "state of the machine" "shut off" "$(virsh_on "$libvirtd" domstate shop-2 | head -1)"
    expect 0 snapshot revert shop-2 --current --yes
    eventually 60 "shop-2 goes on where it was" writes "$libvirtd" shop-2
    equal "what is in its memory" "$memory" "$(in_memory)"
    expect 0 snapshot delete shop-2 asleep --yes
    truth "its memory is left" test ! -e "$folder/asleep.mem"
    snapshots_are shop-2 ''
}

test_snapshot_revert_through_libvirtd_with_what_it_may_lose_and_keep() {
    local hash
    hash=$(orders_hash "$libvirtd" shop-2)
    expect 0 snapshot create shop-2 --name before-deploy --quiesce require
    lose_orders "$libvirtd" shop-2
    virsh_on "$libvirtd" checkpoint-create-as shop-2 theirs --diskspec vda >/dev/null || fail "no checkpoint by hand"
    expect 1 snapshot revert shop-2 before-deploy --yes
    says theirs --drop-checkpoint
    expect_json 0 snapshot revert shop-2 before-deploy --drop-checkpoint theirs --keep-old-for 2h --reset-nvram --running --yes
    holds '.result.facts.undo_for_ms == "7200000"'
    rm -f "$(json '.result.facts["kept.vda"]')"
    "$stack" guest wait "$DIR" "$libvirtd" shop-2 || fail "shop-2 does not answer after the revert"
    equal "orders after the revert" "$hash" "$(orders_hash "$libvirtd" shop-2)"
    expect 0 snapshot delete shop-2 before-deploy --yes
    snapshots_are shop-2 ''
    eventually 60 "shop-2 writes" writes "$libvirtd" shop-2
}

e2e_main "$@"
