#!/bin/bash
# Backups: full, incremental, what falls back to a full one, proofs, a restore that boots, and deletes that refuse.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
vm=shop-1 host=$embed repository=$embed-backups

points() { fleetsnap backup list "$vm" --json; }
newest() { points | jq -r 'sort_by(.created_at) | last | .id'; }
repository_seen() { fleetsnap repository show "$1" >/dev/null 2>&1; }
oldest() { points | jq -r 'sort_by(.created_at) | first | .id'; }

test_repository_list_has_it() {
    expect_json 0 repository list
    holds 'map(.name) | index("'"$repository"'") != null'
}

test_repository_show_by_name() {
    expect_json 0 repository show "$repository"
    holds '.name == "'"$repository"'" and (.id | length) == 36'
    expect 2 repository show nowhere
    says nowhere
}

test_repository_init_once() {
    expect 1 repository init "$repository" --host "$host" --path "$(host_folder "$host")/repository/$repository" # it is one already
    says "$repository"
    expect_json 0 repository list
    holds 'map(select(.name == "'"$repository"'")) | length == 1'
    expect 0 repository init other --host "$host" --path "$(host_folder "$host")/repository/other" --dry-run
    truth "a dry run made the folder" test ! -e "$(host_folder "$host")/repository/other"
}

shows_default() { fleetsnap target show "$host/$vm" --json | jq -e '[.. | strings] | index("'"$repository"'")' >/dev/null; }
test_backup_set_default_is_where_backups_go() {
    local each
    expect 0 backup set-default --all --repository "$repository"
    expect 0 backup set-default -l app=shop --repository "$repository"
    expect 0 backup set-default "$host/$vm" --repository "$repository"
    expect_json 0 backup set-default
    holds 'length == 3 and all(.repository == "'"$repository"'")'
    eventually 60 "the machine shows its default" shows_default
    expect 0 backup create "$host/$vm" --dry-run
    says "$repository"
    for each in "$host/$vm" '-l app=shop' --all; do
        # shellcheck disable=SC2086
        expect 0 backup set-default $each --clear
    done
    expect_json 0 backup set-default
    holds 'length == 0'
}

test_a_dry_run_writes_nothing() {
    expect_json 0 backup create "$vm" --repository "$repository" --dry-run
    holds '(.result.steps | length) > 2'
    equal "files in the repository" 0 "$(find "$(host_folder "$host")/repository/$repository" -name '*.qcow2' | wc -l)"
}

test_backup_create_full() {
    expect_json 0 backup create "$vm" --repository "$repository" --kind full --quiesce require
    holds '.state == "SUCCEEDED" and .result.point == .job_id'
    holds '.result.facts.level == "filesystem"'
    expect_json 0 backup show "$(json .result.point)"
    holds '.backup_kind == "full" and .state == "complete" and .chain_length == 1 and .level == "filesystem" and .frozen_ms > 0'
    holds '.disks[0].name == "vda" and .disks[0].stored_bytes > 0'
    truth "$vm does not write after a backup" writes "$host" "$vm"
}

test_backup_create_incremental_is_what_auto_takes() {
    guest "$host" "$vm" 'for n in 201 202 203 204; do echo "order $n" >/data/orders/$n; done; rm /data/orders/001; sync'
    expect_json 0 backup create "$vm" --repository "$repository"
    expect_json 0 backup show "$(json .result.point)"
    holds '.backup_kind == "incremental" and .chain_length == 2 and .parent == "'"$(oldest)"'"'
    holds '.size_bytes < 20000000'
}

test_backup_list_filters() {
    expect_json 0 backup list "$vm"
    holds 'length == 2'
    expect_json 0 backup list "$vm" --full
    holds 'length == 1 and .[0].backup_kind == "full"'
    expect_json 0 backup list "$vm" --children-of "$(oldest)"
    holds 'length == 1 and .[0].backup_kind == "incremental"'
    expect 0 backup list
    says "$vm" full incremental
    expect_json 0 backup list "$vm" --latest --full
    holds 'length == 1'
    expect_json 0 backup list "$vm" --full --limit 1 --since 1h --repository "$repository"
    holds 'length == 1 and .[0].backup_kind == "full"'
    expect_json 0 backup list --gone
    holds 'length == 0'
}

test_backup_show_by_the_beginning_of_its_id() {
    local id
    id=$(newest)
    expect_json 0 backup show "${id:0:8}"
    holds '.id == "'"$id"'" and (.points_of_chain | length) == 2'
    expect 2 backup show ffffffff
    says ffffffff
    expect 0 backup show "$id"
    says "repository    $repository" folder
    expect 0 backup show "$id" --xml
    says '<domainbackup mode="push">' "<uuid>$id</uuid>" '<parent>' "<uuid>$(oldest)</uuid>"
    truth "the XML names a file that is not there" test -e "$(sed -n 's/.*<target file="\(.*\)"\/>.*/\1/p' <<<"$out")"
}

test_backup_verify_by_checksum_and_by_image() {
    expect_json 0 backup verify "$(newest)" --depth checksum
    holds '.state == "SUCCEEDED"'
    expect_json 0 backup verify "$(newest)" --depth image
    expect_json 0 backup show "$(newest)"
    holds '[.verified[] | select(.ok) | .depth] | index("checksum") != null and index("image") != null'
    expect_json 0 backup list --verified
    holds 'map(.id) | index("'"$(newest)"'") != null'
}

# What a backup may be told beside its kind; it is deleted again.
test_backup_create_differential_and_what_it_leaves_out() {
    local id xml=$DIR/told.xml
    expect_json 0 backup create "$vm" --kind differential --parent "$(oldest)" --include vda --isolated --description 'since the full' --quiesce never --max-chain 5 --max-chain-age 7d
    id=$(json .result.point)
    expect_json 0 backup show "$id"
    holds '.backup_kind == "differential" and .parent == "'"$(oldest)"'" and .description == "since the full" and .level == "crash" and (.disks | length) == 1'
    expect 0 backup delete "$id" --yes
    expect_json 0 backup create "$vm" --max-chain 1 --dry-run
    holds '.result.facts.fallback_reason | contains("as many as allowed")'
    expect_json 0 backup create "$vm" --max-chain-age 1ms --dry-run
    holds '.result.facts.fallback_reason | contains("more than allowed")'
    expect 1 backup create "$vm" --exclude vda
    says 'no disk is left'
    printf '%s\n' '<domainbackup>' '  <disks>' '    <disk name="vda"><target file="/tmp/x"/></disk>' '  </disks>' '</domainbackup>' >"$xml"
    expect 2 backup create "$vm" --xml "$xml"
    says 'told.xml:3: <target>: ' --repository
    printf '%s\n' "<domainbackup><description>by its XML</description><parent><uuid>$(oldest)</uuid></parent>" \
        '<disks><disk name="vda" backupmode="incremental"/></disks></domainbackup>' >"$xml"
    expect_json 0 backup create "$vm" --xml "$xml" --dry-run
    holds '.params | .kind == "incremental" and .parent == "'"$(oldest)"'" and .description == "by its XML" and .include == ["vda"]'
    rm "$xml"
    expect 1 backup create "$vm" --compress
    says 'not possible for a guest that runs'
}

kinds_are() { [[ $(fleetsnap backup list "$vm" --repository "$1" --json | jq -r 'map(.backup_kind) | sort | join(" ")') == "$2" ]]; } # REPOSITORY KINDS
points_are() { [[ $(points | jq length) == "$1" ]]; } # COUNT

# A copy whole, a copy of the chain; what the second repository says of them, when it is cleaned, read again, forgotten and gone.
test_backup_copy_flat_and_as_a_chain() {
    local id flat
    id=$(newest)
    expect 0 repository init copies --host "$host" --path "$(host_folder "$host")/repository/copies"
    eventually 60 "the repository is seen" repository_seen copies
    expect_json 0 backup copy "$id" --to copies
    flat=$(json .result.point)
    expect_json 0 backup show "$flat"
    holds '.backup_kind == "full" and .chain_length == 1'
    printf '%s\n' "name: offsite" "select: {names: [$vm], hosts: [$host]}" "operation: backup.copy" "repository: copies" "time_zone: UTC" >"$DIR/offsite.yaml"
    expect 0 policy apply "$DIR/offsite.yaml"
    expect 1 policy run-now offsite # a copy of the newest is there
    says "selects nothing that could be done now"
    expect 0 backup verify "$flat" --depth image
    expect 0 backup delete "$flat" --really-last --yes
    eventually 60 "the copy is in no list" kinds_are copies ""
    expect_json 0 policy run-now offsite
    holds '.outcome == "done" and .done == 1 and .jobs[0].point == "'"$id"'"'
    expect 0 policy delete offsite --yes
    eventually 60 "its copy is in the list" kinds_are copies full
    expect_json 0 backup list "$vm" --repository copies
    holds 'length == 1 and .[0].policy == "offsite" and .[0].copied_point == "'"$id"'"'
    expect 0 backup delete "$(json '.[0].id')" --really-last --yes
    expect_json 0 backup copy "$id" --to copies --chain
    eventually 60 "the chain is there" kinds_are copies "full incremental"
}

test_repository_check_of_copies() {
    expect_json 0 repository check copies --checksum
    holds '.result.facts.points == "2" and .result.facts.damaged == "0"'
}

test_repository_clean_removes_what_is_left_over() {
    expect_json 0 repository clean copies --yes
    holds '.state == "SUCCEEDED"'
    expect_json 0 repository check copies
    holds '.result.facts.points == "2"'
}

test_repository_import_tells_of_each() {
    expect_json 0 repository import copies
    holds '.state == "SUCCEEDED" and .result.facts.points == "2"'
}

test_backup_pin_keeps_it() {
    local id
    id=$(fleetsnap backup list "$vm" --repository copies --json | jq -r '.[] | select(.backup_kind == "incremental") | .id')
    expect 0 backup pin "$id" --reason audit
    expect 1 backup delete "$id" --yes
    says pinned
}

test_backup_unpin_lets_it_go() {
    local id
    id=$(fleetsnap backup list "$vm" --repository copies --json | jq -r '.[] | select(.backup_kind == "incremental") | .id')
    expect 0 backup unpin "$id"
    expect 0 backup delete "$id" --dry-run
}

test_repository_remove_with_what_is_in_it() {
    expect 0 repository remove copies --delete-backups --yes
    eventually 60 "the copies are gone" points_are 2
    rm -rf "$(host_folder "$host")/repository/copies"
}

copies() { find "$(host_folder "$host")/disks" -name 'fs-boot-*'; }
a_copy_runs() { [[ $(job_json "$1" | jq -r .phase) == verify-boot ]] || job_ended "$1"; } # JOB

test_backup_verify_depth_boot() {
    E2E_TIMEOUT=250
    start_job backup verify "$(newest)" --depth boot
    eventually 120 "a copy is started" a_copy_runs "$job"
    expect_json 0 target list
    holds '[.[] | select(.target.name | startswith("fs-boot"))] == []'
    expect 0 job watch "$job"
    equal "what answered" agent "$(job_json "$job" | jq -r .result.facts.booted)"
    expect_json 0 backup show "$(newest)"
    holds '.verified[-1].depth == "boot" and .verified[-1].ok'
    expect 0 backup verify "$(newest)" --depth boot --console 'guest: ready'
    expect 1 backup verify "$(newest)" --depth boot --console 'never said' --timeout 20s
    says '"never said" is on no console within 20 s'
    expect 0 backup verify "$(newest)" --depth checksum # that it did not boot is no damage
    expect_json 0 backup show "$(newest)"
    holds '.verified[-1].ok and ([.verified[] | select(.depth == "boot" and (.ok | not))] | length) == 1'
    equal "what copies left" '' "$(copies)"
    truth "$vm does not write while a copy of it runs" writes "$host" "$vm"
}

test_backup_restore_to_a_new_machine_that_boots_with_the_same_data() {
    local hash
    hash=$(orders_hash "$host" "$vm")
    expect_json 0 backup restore "$(newest)" --as "$vm-dry" --dry-run
    holds '(.result.steps | length) > 2'
    expect 2 target show "$vm-dry"
    expect_json 0 backup restore "$(newest)" --as "$vm-copy" --start running --yes
    holds '.state == "SUCCEEDED"'
    "$stack" guest wait "$DIR" "$host" "$vm-copy" || fail "$vm-copy does not boot"
    equal "orders of the copy" "$hash" "$(orders_hash "$host" "$vm-copy")"
    equal "orders of the source" "$hash" "$(orders_hash "$host" "$vm")"
    eventually 60 "$vm-copy is a target" eval 'fleetsnap target show shop-1-copy >/dev/null 2>&1'
    expect 1 backup restore "$(newest)" --as "$vm" --yes # the name is taken
}

test_backup_restore_of_the_full_alone_where_it_is_told_to() {
    local place
    place=$(host_folder "$host")/disks/elsewhere
    mkdir -p "$place"
    expect 1 backup restore "$(oldest)" --as "$vm-old" --disks vdz --yes
    says 'no disk vdz'
    expect 1 backup restore "$(oldest)" --as "$vm-old" --disks vda --map-network old=new --yes
    says 'no network old to map'
    expect 1 backup restore "$(oldest)" --as "$vm-old" --disks vda --map-machine old=new --yes
    says 'no machine type old to map'
    expect 1 backup restore "$(oldest)" --as "$vm-old" --disks vda --map-pool old="$place" --yes
    says 'was in pool old'
    expect 1 backup restore "$(oldest)" --as "$vm-old" --disks vda --disk-file vda=/etc/vda.img --yes
    says "in none of this worker's pools"
    expect 2 target show "$vm-old"
    expect 0 backup restore "$(oldest)" --as "$vm-old" --disks vda --directory "$place" --disk-file vda="$place/mine.img" --yes
    truth "its disk is where it was told" test -f "$place/mine.img"
    eventually 60 "$vm-old is a target" eval 'fleetsnap target show shop-1-old >/dev/null 2>&1'
    equal "state of a machine that was not asked to start" shutoff "$(fleetsnap target show "$vm-old" --json | jq -r .state)"
}

# A definition of one's own, made from the one that the machine has.
test_backup_restore_with_a_definition_of_ones_own() {
    local xml=$DIR/own.xml
    printf '%s\n' '<domain>' '  <devices>' '    <graphics type="vnc" passwd="x"/>' '  </devices>' '</domain>' >"$xml"
    expect 2 backup restore "$(oldest)" --as "$vm-own" --xml "$xml" --yes
    says 'own.xml:3: <graphics>: passwd'
    printf '%s\n' '<domain>' '  <memory>65536</memory>' '  <os><type>hvm</type></os>' '  <devices/>' '</domain>' >"$xml"
    expect 1 backup restore "$(oldest)" --as "$vm-own" --xml "$xml" --yes
    says 'line 4: <devices>: vda: is restored, and no <disk> has it'
    sed "s|<vcpu[^<]*<|<vcpu>2<|" "$(host_folder "$host")/disks/$vm.xml" >"$xml"
    expect_json 0 backup restore "$(oldest)" --as "$vm-own" --xml "$xml" --dry-run
    holds '[.result.steps[].command] | join("") | contains("<vcpu>2</vcpu>") and contains("<name>'"$vm-own"'</name>")'
    rm "$xml"
}

test_backup_delete_of_what_is_needed_is_refused() {
    expect 1 backup delete "$(oldest)" --yes # a child stands on it
    says '1 later backup' --children
    expect 1 backup delete "$(oldest)" --children --yes # the last good one
    says really-last
    expect_json 0 backup delete "$(newest)" --dry-run
    expect_json 0 backup list "$vm"
    holds 'length == 2'
    expect_json 0 backup verify "$(newest)" --depth checksum
}

test_a_chain_that_is_broken_makes_a_full_one_that_says_why() {
    expect 0 snapshot create "$vm" --name between
    expect 0 snapshot revert "$vm" between --yes
    "$stack" guest wait "$DIR" "$host" "$vm" || fail "$vm does not answer after the revert"
    expect_json 0 backup create "$vm" --repository "$repository" --kind auto
    expect_json 0 backup show "$(json .result.point)"
    holds '.backup_kind == "full" and (.fallback_reason | length) > 5'
    expect 0 snapshot delete "$vm" between --yes
}

test_a_full_that_is_deleted_is_merged_into_what_builds_on_it() {
    local full heir image before=$DIR/before-merge.qcow2
    full=$(oldest)
    expect_json 0 backup list "$vm" --children-of "$full"
    heir=$(json '.[0].id')
    image=$(find "$(host_folder "$host")/repository/$repository" -path "*/$heir/vda.qcow2")
    qemu-img convert -O qcow2 "$image" "$before" || fail "no copy of $image"
    expect_json 0 backup delete "$full" --merge --dry-run
    holds '[.result.steps[].name] == ["copy-space", "merge-disk", "merge-swap", "delete-mark", "delete-files", "delete-checkpoint"]'
    expect_json 0 backup delete "$full" --merge --yes
    holds '.result.facts.merged_into == "'"$heir"'"'
    expect_json 0 backup show "$heir"
    holds '.backup_kind == "full" and .parent == null and .chain_length == 1 and .disks[0].mode == "full"'
    expect_json 0 backup verify "$heir" --depth image
    expect_json 0 backup list "$vm"
    holds 'length == 2'
    expect_json 0 repository check "$repository"
    equal "what it holds" "Images are identical." "$(qemu-img compare "$before" "$image")"
    rm "$before"
}

test_deleting_the_old_chain_now_is_fine() {
    expect 0 backup delete "$(oldest)" --children --yes
    expect_json 0 backup list "$vm"
    holds 'length == 1'
    equal "images in the repository" 1 "$(find "$(host_folder "$host")/repository/$repository" -name '*.qcow2' | wc -l)"
    expect 1 backup delete "$(newest)" --yes
    says really-last
}

test_a_repository_without_its_marker_is_refused() {
    local folder marker images
    folder=$(host_folder "$libvirtd")/repository/$libvirtd-backups
    marker=$(find "$folder" -maxdepth 1 -type f | head -1)
    images=$(find "$folder" -name '*.qcow2' | wc -l)
    for _ in 1 2 3 4 5; do
        mv "$marker" "$DIR/marker"
        run backup create shop-2 --repository "$libvirtd-backups"
        mv "$DIR/marker" "$marker"
        eventually 60 "the repository is seen again" repository_seen "$libvirtd-backups"
        [[ $code == 2 ]] || break # its host had just told that it is not there, so nobody was asked
    done
    equal "exit code without a marker" 1 "$code"
    says "$libvirtd-backups"
    equal "images in the repository" "$images" "$(find "$folder" -name '*.qcow2' | wc -l)"
}

limit_is() { [[ $(job_json "$1" | jq -r '.rate_limit // "none"') == "$2" ]]; }                         # JOB BYTES
# The rest would take half an hour.
test_job_set_rate_of_a_running_backup() {
    local slow
    backup_at_work "$host" "$vm" "$repository" 64KiB
    slow=$job
    expect_json 0 job set "$slow" --rate 32KiB --reason 'the backbone is full'
    holds '.rate_limit == 32768'
    truth "what it was told is not shown" limit_is "$slow" 32768
    expect 0 job show "$slow"
    says 'at most 32 KiB/s'
    expect 0 job set "$slow" --rate 0 --dry-run
    truth "a dry run told it" limit_is "$slow" 32768
    truth "it has ended" much_is_left "$slow"
    expect 0 job set "$slow" --rate 0
    eventually 120 "the backup ends when nothing holds it" job_ended "$slow"
    equal "state of the backup" SUCCEEDED "$(job_state "$slow")"
    expect 1 job set "$slow" --rate 1MiB
    says 'not RUNNING'
    expect 0 backup verify "$slow" --depth image
    start_job backup verify "$slow" --depth manifest
    expect 1 job set "$job" --rate 1MiB
    says 'no backup but backup.verify'
    guest "$host" "$vm" 'rm /data/ballast; sync'
}

test_backup_create_of_a_machine_that_is_off() {
    eventually 60 "the repository is seen" repository_seen "$libvirtd-backups" # its marker was away a moment ago
    expect_json 0 backup create "$libvirtd/twin" --repository "$libvirtd-backups" --compress
    expect_json 0 backup show "$(json .result.point)"
    holds '.level == "off" and .backup_kind == "full"'
}

test_backup_restore_in_place_of_a_machine_with_snapshots() {
    local id
    id=$(fleetsnap backup list "$libvirtd/twin" --json | jq -r '.[0].id')
    expect 0 snapshot create "$libvirtd/twin" --name gone-with-it
    expect 1 backup restore "$id" --in-place --yes
    says '1 snapshot' --drop-snapshots
    expect_json 0 backup restore "$id" --in-place --drop-snapshots --keep-old-for 2h --yes
    rm -f "$(json '.result.facts["kept.vda"]')"
    expect_json 0 snapshot list "$libvirtd/twin" --live
    holds 'length == 0'
}

target_seen() { fleetsnap target show "$1" >/dev/null 2>&1; }                                    # TARGET
disk_can_be() { [[ $(fleetsnap target show "$1" --json | jq -r '.disks[0].backup') == "$2" ]]; } # TARGET WHAT
# A machine like twin, whose disk is a volume.
define_in_pool() { # NAME POOL VOLUME
    virsh_on "$libvirtd" dumpxml twin --inactive | sed "s|<name>twin<|<name>$1<|; /<uuid>/d; s|<disk type='file'|<disk type='volume'|
        s|<source file='[^']*'/>|<source pool='$2' volume='$3'/>|" >"$DIR/$1.xml"
    virsh_on "$libvirtd" define "$DIR/$1.xml" >/dev/null || fail "$1 is not defined"
    rm "$DIR/$1.xml"
}
make_pool() { # NAME
    mkdir -p "$folder/$1"
    virsh_on "$libvirtd" pool-define-as "$1" dir --target "$folder/$1" >/dev/null && virsh_on "$libvirtd" pool-start "$1" >/dev/null || fail "no pool $1"
}
drop_pool() { # NAME
    virsh_on "$libvirtd" pool-destroy "$1" >/dev/null && virsh_on "$libvirtd" pool-undefine "$1" >/dev/null
    rm -r "${folder:?}/$1"
}

merges() { fleetsnap snapshot delete "$libvirtd/twin" below --dry-run --json | jq -e '[.result.steps[].name] | index("commit")' >/dev/null; }

# The machine is a linked clone of twin, of which libvirt knows only the volume: what it stands on is not written by a merge either.
test_backup_restore_from_one_pool_of_libvirt_to_another() {
    local folder place id full each
    folder=$(host_folder "$libvirtd")/disks
    make_pool slow
    make_pool fast
    qemu-img create -q -f qcow2 -F qcow2 -b "$folder/twin.qcow2" "$folder/slow/pooled.qcow2" && virsh_on "$libvirtd" pool-refresh slow >/dev/null || fail "no volume"
    define_in_pool pooled slow pooled.qcow2
    expect 0 snapshot create "$libvirtd/twin" --name below --kind external
    truth "the clone's base would be written" eval '! merges'
    virsh_on "$libvirtd" start pooled >/dev/null || fail "pooled does not start"
    eventually 60 "pooled is a target" target_seen pooled
    truth "the disk cannot be backed up" disk_can_be pooled incremental
    expect_json 0 backup create pooled --repository "$libvirtd-backups" --quiesce never
    full=$(json .result.point)
    virsh_on "$libvirtd" suspend pooled >/dev/null
    expect_json 0 backup create pooled --repository "$libvirtd-backups"
    id=$(json .result.point)
    expect_json 0 backup show "$id"
    holds '.backup_kind == "incremental" and .parent == "'"$full"'" and .disks[0].mode == "incremental"'
    expect 1 backup restore "$id" --as elsewhere --map-pool fast=slow --yes
    says 'was in pool fast' 'vda in pool slow'
    expect 1 backup restore "$id" --as elsewhere --map-pool slow=nowhere --yes
    says 'pool nowhere' 'name a pool that this host has'
    expect 0 backup restore "$id" --as elsewhere --map-pool slow=fast --yes
    place=$folder/fast/elsewhere-vda.qcow2
    truth "it is not in the other pool" test -s "$place"
    virsh_on "$libvirtd" pool-refresh fast >/dev/null
    virsh_on "$libvirtd" vol-list fast | grep -q elsewhere-vda.qcow2 || fail "the other pool does not have it"
    equal "what it holds" "Images are identical." "$(qemu-img compare -U "$folder/slow/pooled.qcow2" "$place")"
    for each in pooled elsewhere; do
        virsh_on "$libvirtd" destroy "$each" >/dev/null 2>&1
        expect 0 target retire "$each" --yes
        virsh_on "$libvirtd" undefine "$each" >/dev/null || fail "$each is not undefined"
    done
    expect 0 backup delete "$id" --all --really-last --yes
    truth "it is not merged when nobody stands on it" merges
    expect 0 snapshot delete "$libvirtd/twin" below --yes
    rm -r "$folder/elsewhere"
    drop_pool slow
    drop_pool fast
}

test_a_machine_that_is_gone_has_its_backups() {
    local id old
    eventually 60 "the repository is seen" repository_seen "$libvirtd-backups"
    expect_json 0 backup list "$libvirtd/twin"
    expect 0 backup restore "$(json '.[0].id')" --as vanished --yes
    eventually 60 "vanished is a target" target_seen vanished
    expect_json 0 backup create vanished --repository "$libvirtd-backups"
    id=$(json .job_id)
    virsh_on "$libvirtd" undefine vanished >/dev/null || fail "vanished does not vanish"
    eventually 60 "vanished is no target" eval '! target_seen vanished'
    expect_json 0 backup list --gone
    holds 'map(.id) == ["'"$id"'"]'
    expect_json 0 backup list vanished # its name still names its backups
    holds 'map(.id) == ["'"$id"'"]'
    old=vanished@$(json '.[0].target.id[0:8]')
    virsh_on "$libvirtd" dumpxml twin --inactive | sed '/<uuid>/d; s|<name>twin<|<name>vanished<|; s|/twin.qcow2|/nothing.qcow2|' >"$DIR/again.xml"
    virsh_on "$libvirtd" define "$DIR/again.xml" >/dev/null || fail "no other vanished"
    rm "$DIR/again.xml"
    eventually 60 "the other vanished is a target" target_seen vanished
    expect 0 backup list vanished
    says 'no backups' "A machine that is gone had this name, and has backups: $old"
    expect_json 0 backup list "$old"
    holds 'map(.id) == ["'"$id"'"]'
    expect 2 backup restore vanished --as risen --on "$libvirtd" --dry-run
    says "$old"
    expect 0 backup restore "$old" --as risen --on "$libvirtd" --dry-run
    virsh_on "$libvirtd" undefine vanished >/dev/null
    eventually 60 "the other vanished is no target" eval '! target_seen vanished'
    expect_json 0 backup restore vanished --at latest --as risen --on "$libvirtd" --keep-identity --dry-run
    holds '.result.steps | length > 2'
    expect 1 backup delete "$id" --all --yes
    says really-last
    expect 0 backup delete "$id" --all --really-last --yes
    expect_json 0 backup list --gone
    holds 'length == 0'
}

test_target_retire_then_undefine_and_restore() {
    local id
    expect_json 0 backup list "$libvirtd/twin"
    expect 0 backup restore "$(json '.[0].id')" --as retiree --start running --yes
    eventually 60 "retiree is a target" eval 'fleetsnap target show retiree >/dev/null 2>&1'
    expect_json 0 backup create retiree --repository "$libvirtd-backups"
    id=$(json .job_id)
    expect 0 snapshot create retiree --name ours
    virsh_on "$libvirtd" checkpoint-create-as retiree theirs --diskspec vda >/dev/null || fail "no checkpoint by hand"
    expect_json 0 target retire retiree --dry-run
    holds '(.result.steps | map(.name) | index("drop_checkpoints")) != null'
    holds '.result.facts.in_the_way == "checkpoint theirs (made by others), snapshot ours"'
    expect 0 target retire retiree --snapshots delete --yes
    says 'Still in the way of virsh undefine: checkpoint theirs (made by others).'
    virsh_on "$libvirtd" destroy retiree >/dev/null
    ! virsh_on "$libvirtd" undefine retiree >/dev/null 2>&1 || fail "undefined, although a checkpoint of others was there"
    expect 0 target retire retiree --foreign --yes
    says 'Nothing is in the way'
    virsh_on "$libvirtd" undefine retiree >/dev/null || fail "retiree cannot be undefined"
    eventually 60 "retiree is no target" eval '! fleetsnap target show retiree >/dev/null 2>&1'
    expect_json 0 backup restore retiree --at latest --as second --on "$libvirtd" --yes
    holds '.result.point == "'"$id"'"'
    eventually 60 "second is a target" eval 'fleetsnap target show second >/dev/null 2>&1'
    expect 0 target retire second --backups delete --repository "$libvirtd-backups" --really-last --yes # it has none
    virsh_on "$libvirtd" undefine second >/dev/null
    eventually 60 "second is no target" eval '! fleetsnap target show second >/dev/null 2>&1'
    expect 0 backup delete "$id" --really-last --yes
}

e2e_main "$@"
