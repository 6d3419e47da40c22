# shellcheck shell=bash
# What the crash matrix asks of each verb. For `snapshot.create`:
#   ask_snapshot_create     the words of the command, in the array `ask` (called by before_)
#   before_snapshot_create  before each point: what the verb needs, and `ask`; names hold $tag, which is new for each point
#   effect_snapshot_create  true when what was asked has happened, once
#   after_snapshot_create   takes it back with ordinary commands, the next job on that machine
# and where needed prepare_ and finish_ (once), unplan_ (after the look at the plan), during_ (beside the job, until it has ended), at_death_ (while the worker is dead). snapshot_create__internal is a variant.
# From the matrix: host, vm, target (of vm), repository, scratch (a folder), tag, job (its id).

declare -A no_plan=([snapshot_list]=1 [snapshot_show]=1) # no --dry-run and no --no-wait: they only read

# What the short set tries besides the heaviest step (OP: the verb). A variant that is not here is not in the short set.
declare -A short_too=(
    [snapshot_create]='accept.after:OP effect.after:freeze#1 accept.after:OP>publish.before:fleetsnap.status#2'
    [snapshot_create__memory]='effect.before:snapshot#1~60'
    [snapshot_list]='accept.before:OP'
    [snapshot_show]='result.before:OP'
    [snapshot_delete]='effect.after:commit#1'
    [snapshot_revert]='result.before:OP effect.before:start#1~100'
    [job_undo]='effect.after:moments#1'
    [job_undo__in_place]='effect.before:exchange#1'
    [backup_create]='result.after:OP result.after:OP>finish.before'
    [backup_verify]='effect.after:verify-record#1'
    [backup_restore__in_place]='effect.after:restore-swap#1'
)

# What it tries instead of the heaviest step, where each point takes long.
declare -A short_instead=([target_export]='effect.before:export#1~300')

# Of the short set the second host's part, where the worker is not the hypervisor's daemon: what asks little of libvirt.
short_rest='snapshot_list snapshot_show backup_restore backup_verify backup_delete backup_copy target_export_finish repository_init repository_check repository_clean repository_import repository_remove target_retire'

# Where the world does not tell, after a death in the middle of the call, whether it was done: then the job may be PARKED, and a person opens its target.
declare -A may_park=([snapshot_revert__off]=1)

# What must not be begun again by itself, once others were told of it: after a death meanwhile the job may be FAILED, for this reason. Its effect then is that nothing is left.
declare -A may_fail=([target_export]='the worker was restarted')

# How many milliseconds after its begin the worker dies in the middle of a call; 10 where nothing is said.
declare -A within=([snapshot_create__memory]=60 [backup_verify__boot]=700 [snapshot_revert]=100 [job_undo]=100 [job_undo__in_place]=1 [backup_restore__in_place]=100)

# On an embedded host the worker must be stopped for virsh.
remove_machine() { # NAME
    local embedded
    embedded=$(<"$(host_folder "$host")/kind")
    [[ $embedded != embed ]] || "$stack" worker stop "$DIR" "$host"
    virsh_on "$host" destroy "$1" >/dev/null 2>&1
    virsh_on "$host" undefine "$1" --nvram --checkpoints-metadata --snapshots-metadata >/dev/null 2>&1
    rm -rf "$(host_folder "$host")/disks/$1"*
    [[ $embedded != embed ]] || start_worker || fail "the worker does not start"
}

quietly() { "$@" >/dev/null 2>&1; }
done_by() { expect 0 "$@"; } # a command that must work: the next job on that machine

live_count() { # NAME [MACHINE]: snapshots of that name, asked from the host
    fleetsnap snapshot list "$host/${2:-$vm}" --live --json | jq --arg name "$1" '[.[] | select(.name == $name)] | length'
}
point_count() { fleetsnap backup list --json --limit 1000 | jq --arg id "$1" '[.[] | select(.id == $id)] | length'; } # ID
folders_of() { find "$(host_folder "$host")/repository/$repository" -name "*$1*" -prune | wc -l; }                                 # ID

# ---- snapshot.create ----

ask_snapshot_create() { ask=(snapshot create "$host/$vm" --name "$tag" --quiesce require); }
before_snapshot_create() { ask_snapshot_create; }
effect_snapshot_create() { [[ $(live_count "$tag") == 1 ]]; }
after_snapshot_create() { done_by snapshot delete "$host/$vm" "$tag" --yes; }

# With memory libvirt holds the guest while it saves; who dies then must not leave it so.
ask_snapshot_create__memory() { ask=(snapshot create "$host/$vm" --name "$tag" --memory yes); }
before_snapshot_create__memory() { ask_snapshot_create__memory; }
effect_snapshot_create__memory() { effect_snapshot_create; }
after_snapshot_create__memory() { after_snapshot_create; }

# ---- snapshot.list, snapshot.show: they only look ----

ask_snapshot_list() { ask=(snapshot list "$host/$vm" --live); }
before_snapshot_list() { ask_snapshot_list; }
effect_snapshot_list() { [[ $(job_json "$job" | jq -r .op) == snapshot.list ]]; }
after_snapshot_list() { :; }

ask_snapshot_show() { ask=(snapshot show "$host/$vm" base --xml); }
prepare_snapshot_show() { done_by snapshot create "$host/$vm" --name base; }
before_snapshot_show() { ask_snapshot_show; }
effect_snapshot_show() { [[ $(job_json "$job" | jq -r '.result.snapshots[0].name') == base ]]; }
after_snapshot_show() { :; }
finish_snapshot_show() { done_by snapshot delete "$host/$vm" base --yes; }

# ---- snapshot.revert: what was written after the snapshot is gone, what was written after the revert is not ----

ask_snapshot_revert() { ask=(snapshot revert "$host/$vm" "$tag" --yes); }
before_snapshot_revert() {
    rm -f "$scratch/written"
    guest "$host" "$vm" "rm -f /data/mistake /data/later; sync" || fail "$vm does not answer"
    done_by snapshot create "$host/$vm" --name "$tag"
    guest "$host" "$vm" "echo $tag >/data/mistake; sync" || fail "$vm does not take the mistake"
    ask_snapshot_revert
}
unplan_snapshot_revert() { done_by snapshot delete "$host/$vm" "$tag" --yes; }
# Reverted already, and running again: then what is written now must survive.
at_death_snapshot_revert() {
    qemu_of "$host" "$vm" >/dev/null || return 0
    GUEST_TIMEOUT=8 quietly guest "$host" "$vm" '[ ! -e /data/mistake ] && echo kept >/data/later && sync' && touch "$scratch/written"
    return 0
}
effect_snapshot_revert() {
    quietly "$stack" guest wait "$DIR" "$host" "$vm"
    guest "$host" "$vm" '[ ! -e /data/mistake ]' || fail "the mistake is still there"
    [[ ! -e $scratch/written ]] || guest "$host" "$vm" '[ -e /data/later ]' || fail "what was written after the revert is gone: it was done twice"
}
after_snapshot_revert() { # in this order, so that the delete merges and the chain does not grow from point to point
    forget_kept
    done_by snapshot delete "$host/$vm" "$tag" --yes
}
# A revert keeps what it replaced for a day; its job names the files.
forget_kept() {
    local file
    for file in $(job_json "$job" | jq -r '(.result.facts // {}) | to_entries[] | select(.key | startswith("kept")) | .value' | tr ',' '\n'); do
        [[ $file != /* ]] || rm -f "$file"
    done
}

# ---- job.undo: what was written before the revert is back, what was written after the undo is not gone ----

ask_job_undo() { ask=(job undo "$reverted" --yes); }
before_job_undo() {
    rm -f "$scratch/written"
    eventually 120 "$vm answers" quietly "$stack" guest wait "$DIR" "$host" "$vm" # an undo of before may have started it just now
    guest "$host" "$vm" "rm -f /data/mistake /data/later; sync" || fail "$vm does not answer"
    done_by snapshot create "$host/$vm" --name "$tag"
    guest "$host" "$vm" "echo $tag >/data/wanted; sync" || fail "$vm does not write"
    done_by snapshot revert "$host/$vm" "$tag" --yes
    reverted=$(fleetsnap job list --op snapshot.revert --host "$host" --limit 1 --json | jq -r '.[0].job_id')
    eventually 120 "$vm answers" quietly "$stack" guest wait "$DIR" "$host" "$vm"
    guest "$host" "$vm" "echo $tag >/data/mistake; sync" || fail "$vm does not take the mistake"
    ask_job_undo
}
unplan_job_undo() {
    done_by job undo "$reverted" --yes
    job=$(fleetsnap job list --op job.undo --host "$host" --limit 1 --json | jq -r '.[0].job_id')
    after_job_undo
}
at_death_job_undo() { at_death_snapshot_revert; }
effect_job_undo() {
    effect_snapshot_revert
    equal "what was written before the revert" "$tag" "$(guest "$host" "$vm" 'cat /data/wanted')"
    expect 1 job undo "$reverted" --dry-run
    says 'was undone already'
}
after_job_undo() { after_snapshot_revert; }

# The disk of the machine that is off: its first sector, which no file system uses.
twin_disk() { fleetsnap target show "$host/twin" --json | jq -r '.disks[0].source'; }
mark_disk() { qemu-io -c "write -P $1 0 512" "$(twin_disk)" >/dev/null || fail "the disk of twin cannot be written"; }   # NUMBER
disk_is_marked() { ! qemu-io -r -c "read -P $1 0 512" "$(twin_disk)" 2>&1 | grep -q 'verification failed'; }            # NUMBER

# By libvirt itself: an internal one.
ask_snapshot_revert__off() { ask=(snapshot revert "$host/twin" "$tag" --yes); }
before_snapshot_revert__off() {
    mark_disk 0
    done_by snapshot create "$host/twin" --name "$tag" --kind internal
    mark_disk 7
    ask_snapshot_revert__off
}
unplan_snapshot_revert__off() { done_by snapshot delete "$host/twin" "$tag" --yes; }
effect_snapshot_revert__off() { disk_is_marked 0 || fail "what was written after the snapshot is still there"; }
after_snapshot_revert__off() { done_by snapshot delete "$host/twin" "$tag" --yes; }

# ---- snapshot.delete ----

ask_snapshot_delete() { ask=(snapshot delete "$host/$vm" "$tag" --yes); }
unplan_snapshot_delete() { done_by snapshot delete "$host/$vm" "$tag" --yes; }
before_snapshot_delete() {
    fleetsnap snapshot show "$host/$vm" "$tag" >/dev/null 2>&1 || done_by snapshot create "$host/$vm" --name "$tag"
    guest "$host" "$vm" "echo $tag >/data/newest; sync" || fail "$vm does not write"
    ask_snapshot_delete
}
effect_snapshot_delete() {
    [[ $(live_count "$tag") == 0 ]] || fail "the snapshot is still there"
    equal "what was written after the snapshot" "$tag" "$(guest "$host" "$vm" 'cat /data/newest')"
}
after_snapshot_delete() { :; }

# An external one of a machine that is off, which libvirt cannot delete: it is merged by hand.
ask_snapshot_delete__off() { ask=(snapshot delete "$host/twin" "$tag" --yes); }
unplan_snapshot_delete__off() { done_by snapshot delete "$host/twin" "$tag" --yes; }
before_snapshot_delete__off() {
    fleetsnap snapshot show "$host/twin" "$tag" >/dev/null 2>&1 || done_by snapshot create "$host/twin" --name "$tag" --kind external
    mark_disk 7
    ask_snapshot_delete__off
}
effect_snapshot_delete__off() {
    equal "snapshots of that name" 0 "$(live_count "$tag" twin)"
    disk_is_marked 7 || fail "what was written after the snapshot is gone"
}
after_snapshot_delete__off() { mark_disk 0; }

# ---- backup.create ----

ask_backup_create() { ask=(backup create "$host/$vm" --repository "$repository" --kind full); }
# One backup more than what the matrix makes, so that none of those is the last good one.
anchor() { fleetsnap backup list "$host/$vm" --json --full | jq -e 'length > 0' >/dev/null || done_by backup create "$host/$vm" --repository "$repository" --kind full; }
prepare_backup_create() { anchor; }
before_backup_create() { ask_backup_create; }
effect_backup_create() {
    equal "backups of the job" 1 "$(point_count "$job")"
    equal "folders of the job" 1 "$(folders_of "$job")"
    done_by backup verify "$job" --depth checksum
}
after_backup_create() { done_by backup delete "$job" --yes; }

ask_backup_create__incremental() { ask=(backup create "$host/$vm" --repository "$repository" --kind incremental); }
prepare_backup_create__incremental() { done_by backup create "$host/$vm" --repository "$repository" --kind full; }
before_backup_create__incremental() { ask_backup_create__incremental; }
effect_backup_create__incremental() { effect_backup_create; }
after_backup_create__incremental() { after_backup_create; }

# Of a machine that is off: converted, because nobody runs who could push.
ask_backup_create__off() { ask=(backup create "$host/twin" --repository "$repository" --kind full); }
before_backup_create__off() { ask_backup_create__off; }
effect_backup_create__off() { effect_backup_create; }
after_backup_create__off() { done_by backup delete "$job" --yes --really-last; }

# ---- backup.verify ----

newest_backup() { fleetsnap backup list "$host/$vm" --json | jq -r 'sort_by(.created_at) | last | .id'; }

ask_backup_verify() { ask=(backup verify "$newest" --depth checksum); }
prepare_backup_verify() { anchor; newest=$(newest_backup); }
before_backup_verify() { ask_backup_verify; }
effect_backup_verify() { [[ $(fleetsnap backup show "$newest" --json | jq --arg job "$job" '[.verified[] | select(.job_id == $job)] | length') == 1 ]]; }
after_backup_verify() { :; }

# By starting a copy: whatever happens, no copy and no disk of one is left.
ask_backup_verify__boot() { ask=(backup verify "$newest" --depth boot); }
prepare_backup_verify__boot() { prepare_backup_verify; }
before_backup_verify__boot() { ask_backup_verify__boot; }
effect_backup_verify__boot() {
    equal "verifications by the job" "true boot" "$(fleetsnap backup show "$newest" --json | jq -r --arg job "$job" '.verified[] | select(.job_id == $job) | "\(.ok) \(.depth)"')"
    equal "folders of copies" 0 "$(find "$(host_folder "$host")/disks" -name 'fs-boot-*' | wc -l)"
    truth "a copy still runs" test -z "$(qemu_of "$host" "fs-boot-$job")"
}
after_backup_verify__boot() { :; }

# ---- backup.delete ----

ask_backup_delete() { ask=(backup delete "$doomed" --yes); }
prepare_backup_delete() { anchor; }
before_backup_delete() {
    done_by backup create "$host/$vm" --repository "$repository" --kind full
    doomed=$(newest_backup)
    ask_backup_delete
}
unplan_backup_delete() { done_by backup delete "$doomed" --yes; }
effect_backup_delete() {
    equal "backups of that id" 0 "$(point_count "$doomed")"
    equal "folders of that id" 0 "$(folders_of "$doomed")"
}
after_backup_delete() { :; }

# A full that another stands on, which then holds what it held, and is one itself.
ask_backup_delete__merge() { ask=(backup delete "$doomed" --merge --yes); }
prepare_backup_delete__merge() { anchor; }
before_backup_delete__merge() {
    before_backup_delete
    done_by backup create "$host/$vm" --repository "$repository" --kind incremental
    heir=$(newest_backup)
    image=$(find "$(host_folder "$host")/repository/$repository" -path "*/$heir/vda.qcow2")
    qemu-img convert -O qcow2 "$image" "$scratch/before.qcow2" || fail "no copy of $image"
    ask_backup_delete__merge
}
unplan_backup_delete__merge() { done_by backup delete "$doomed" --children --yes; }
effect_backup_delete__merge() {
    equal "backups of that id" 0 "$(point_count "$doomed")"
    equal "what is left" "full null" "$(fleetsnap backup show "$heir" --json | jq -r '"\(.backup_kind) \(.parent)"')"
    equal "what it holds" "Images are identical." "$(qemu-img compare "$scratch/before.qcow2" "$image")"
    done_by backup verify "$heir" --depth checksum
}
after_backup_delete__merge() {
    done_by backup delete "$heir" --yes
    rm -f "$scratch/before.qcow2"
}

# ---- backup.restore ----

ask_backup_restore() { ask=(backup restore "$newest" --as "$tag" --start running --disk-file vda="$(host_folder "$host")/disks/$tag.own" --yes); }
prepare_backup_restore() { anchor; newest=$(newest_backup); }
before_backup_restore() { ask_backup_restore; }
effect_backup_restore() {
    "$stack" guest wait "$DIR" "$host" "$tag" || fail "the restored machine does not answer"
    equal "machines of that name" 1 "$(fleetsnap target list --host "$host" --json | jq --arg name "$tag" '[.[] | select(.target.name == $name)] | length')"
}
after_backup_restore() {
    truth "its disk is where it was told" test -s "$(host_folder "$host")/disks/$tag.own"
    remove_machine "$tag"
}

# In place: what was written after the backup is gone, what was written after the restore is not.
ask_backup_restore__in_place() { ask=(backup restore "$newest" --in-place --start running --yes); }
drop_old_disks() { find "$(host_folder "$host")/disks" -name '*.fs-*.old' -delete; }
prepare_backup_restore__in_place() {
    guest "$host" "$vm" "rm -f /data/mistake /data/later; sync" || fail "$vm does not answer"
    done_by backup create "$host/$vm" --repository "$repository" --kind full
    newest=$(newest_backup)
    # From the first one on the disk stands alone: what it stood on before is left, and belongs to no point.
    done_by backup restore "$newest" --in-place --start running --yes
    drop_old_disks
}
before_backup_restore__in_place() {
    rm -f "$scratch/written"
    guest "$host" "$vm" "rm -f /data/later; echo $tag >/data/mistake; sync" || fail "$vm does not take the mistake"
    ask_backup_restore__in_place
}
at_death_backup_restore__in_place() { at_death_snapshot_revert; }
effect_backup_restore__in_place() { effect_snapshot_revert; }
after_backup_restore__in_place() { # the old disks are kept for a day
    equal "old disks" 1 "$(find "$(host_folder "$host")/disks" -name "*.fs-$job.old" | wc -l)"
    drop_old_disks
    done_by snapshot list "$host/$vm" --live
}

# The same, undone: the old disk has its name again.
ask_job_undo__in_place() { ask=(job undo "$restored" --yes); }
prepare_job_undo__in_place() { prepare_backup_restore__in_place; }
before_job_undo__in_place() {
    rm -f "$scratch/written"
    eventually 120 "$vm answers" quietly "$stack" guest wait "$DIR" "$host" "$vm"
    guest "$host" "$vm" "rm -f /data/later; echo $tag >/data/wanted; sync" || fail "$vm does not write"
    done_by backup restore "$newest" --in-place --start running --yes
    restored=$(fleetsnap job list --op backup.restore --host "$host" --limit 1 --json | jq -r '.[0].job_id')
    eventually 120 "$vm answers" quietly "$stack" guest wait "$DIR" "$host" "$vm"
    guest "$host" "$vm" "echo $tag >/data/mistake; sync" || fail "$vm does not take the mistake"
    ask_job_undo__in_place
}
unplan_job_undo__in_place() {
    done_by job undo "$restored" --yes
    drop_old_disks
}
at_death_job_undo__in_place() { at_death_snapshot_revert; }
effect_job_undo__in_place() {
    effect_snapshot_revert
    equal "what was written before the restore" "$tag" "$(guest "$host" "$vm" 'cat /data/wanted')"
}
after_job_undo__in_place() {
    equal "disks of the undone restore" 1 "$(find "$(host_folder "$host")/disks" -name "*.fs-$job.old" | wc -l)"
    drop_old_disks
    done_by snapshot list "$host/$vm" --live
}

# ---- repository.init ----

ask_repository_init() { ask=(repository init "$tag" --host "$host" --path "$(host_folder "$host")/repository/$tag"); }
before_repository_init() { ask_repository_init; }
effect_repository_init() {
    eventually 60 "the repository is listed" eval 'fleetsnap repository show $tag >/dev/null 2>&1'
    equal "markers" 1 "$(find "$(host_folder "$host")/repository/$tag" -maxdepth 1 -type f | wc -l)"
}
after_repository_init() {
    done_by repository remove "$tag" --yes
    rm -rf "$(host_folder "$host")/repository/$tag"
}

# ---- repository.check: it only looks ----

ask_repository_check() { ask=(repository check "$repository" --checksum); }
prepare_repository_check() { anchor; }
before_repository_check() { ask_repository_check; }
effect_repository_check() { [[ $(job_json "$job" | jq -r '.result.facts | "\(.damaged) \(.points | tonumber > 0)"') == "0 true" ]]; }
after_repository_check() { :; }

# ---- repository.clean: of a job that the ledger knows as ended ----

left_folder() { echo "$(host_folder "$host")/repository/$repository/${target#*:}/$failed/$failed"; }
ask_repository_clean() { ask=(repository clean "$repository" --yes); }
before_repository_clean() {
    start_job backup create "$host/$vm" --repository "$repository" --kind full --include vdz
    failed=$job
    eventually 60 "a backup of no disk fails" job_in "$failed" FAILED
    mkdir -p "$(left_folder)"
    echo half >"$(left_folder)/vda.qcow2.part"
    ask_repository_clean
}
unplan_repository_clean() { rm -rf "$(dirname "$(left_folder)")"; }
effect_repository_clean() {
    truth "what the job left is still there" test ! -e "$(dirname "$(left_folder)")"
    equal "things removed" 1 "$(job_json "$job" | jq -r '.result.facts.removed')"
}
after_repository_clean() { :; }

# ---- repository.import ----

ask_repository_import() { ask=(repository import "$repository" --host "$host"); }
prepare_repository_import() { anchor; }
before_repository_import() { ask_repository_import; }
effect_repository_import() {
    equal "backups in the catalogue" "$(job_json "$job" | jq -r '.result.facts.points')" \
        "$(fleetsnap repository show "$repository" --json | jq -r .points)"
}
after_repository_import() { :; }

# ---- repository.remove: one of its own, with a backup in it, whose data stays ----

ask_repository_remove() { ask=(repository remove "$tag" --yes); }
before_repository_remove() {
    done_by repository init "$tag" --host "$host" --path "$(host_folder "$host")/repository/$tag"
    done_by backup create "$host/$vm" --repository "$tag" --kind full --isolated
    removed_point=$(fleetsnap backup list "$host/$vm" --json --repository "$(fleetsnap repository show "$tag" --json | jq -r .id)" | jq -r '.[0].id')
    ask_repository_remove
}
unplan_repository_remove() {
    done_by repository remove "$tag" --yes
    rm -rf "$(host_folder "$host")/repository/$tag"
}
repository_gone() { ! fleetsnap repository show "$tag" >/dev/null 2>&1; }
effect_repository_remove() {
    eventually 60 "the repository is in no list" repository_gone
    equal "backups of it in the catalogue" 0 "$(point_count "$removed_point")"
    equal "folders of its backup" 1 "$(find "$(host_folder "$host")/repository/$tag" -path "*/$removed_point/vda.qcow2" | wc -l)"
}
after_repository_remove() { rm -rf "$(host_folder "$host")/repository/$tag"; }

# ---- backup.copy: to a repository of its own, as one full backup and as a chain ----

copies_folder() { echo "$(host_folder "$host")/repository/$host-copies"; }
ask_backup_copy() { ask=(backup copy "$copied" --to "$host-copies"); }
prepare_backup_copy() {
    anchor
    copied=$(fleetsnap backup list "$host/$vm" --repository "$(fleetsnap repository show "$repository" --json | jq -r .id)" --json | jq -r 'sort_by(.created_at) | last | .id')
    done_by repository init "$host-copies" --host "$host" --path "$(copies_folder)"
}
before_backup_copy() { ask_backup_copy; }
effect_backup_copy() {
    equal "copies of the job" 1 "$(point_count "$job")"
    equal "whose copy it is" "$copied" "$(fleetsnap backup show "$job" --json | jq -r .copied_point)"
    done_by backup verify "$job" --depth image
    expect_json 0 repository check "$host-copies" --checksum
    holds '.result.findings // [] | length == 0'
}
after_backup_copy() { done_by backup delete "$job" --all --really-last --yes; }
finish_backup_copy() {
    done_by repository remove "$host-copies" --yes
    rm -rf "$(copies_folder)"
}

ask_backup_copy__chain() { ask=(backup copy "$copied" --to "$host-copies" --chain); }
prepare_backup_copy__chain() {
    prepare_backup_create__incremental
    done_by backup create "$host/$vm" --repository "$repository" --kind incremental
    prepare_backup_copy
}
before_backup_copy__chain() { ask_backup_copy__chain; }
effect_backup_copy__chain() {
    effect_backup_copy
    equal "length of the copied chain" "$(fleetsnap backup show "$copied" --json | jq .chain_length)" "$(fleetsnap backup show "$job" --json | jq .chain_length)"
}
after_backup_copy__chain() { after_backup_copy; }
finish_backup_copy__chain() { finish_backup_copy; }

# ---- target.retire: of the machine that is off, with all that Fleetsnap can leave in one; its backups too ----

ask_target_retire() { ask=(target retire "$host/twin" --snapshots delete --backups delete --repository "$repository" --really-last --yes); }
before_target_retire() {
    mark_disk 7
    done_by backup create "$host/twin" --repository "$repository" --kind full
    retired_point=$(fleetsnap backup list "$host/twin" --json | jq -r 'sort_by(.created_at) | last | .id')
    done_by snapshot create "$host/twin" --name "$tag" --kind external
    ask_target_retire
}
unplan_target_retire() { done_by "${ask[@]}"; }
effect_target_retire() {
    equal "snapshots of that name" 0 "$(live_count "$tag" twin)"
    equal "backups of that id" 0 "$(point_count "$retired_point")"
    equal "folders of that id" 0 "$(folders_of "$retired_point")"
    equal "what is in the way" null "$(job_json "$job" | jq -r .result.facts.in_the_way)"
    disk_is_marked 7 || fail "what was written after the snapshot is gone"
}
after_target_retire() { mark_disk 0; }

# One that runs: its checkpoints go, with their bitmaps, and its snapshot; the backup stays and is good.
ask_target_retire__up() { ask=(target retire "$host/$vm" --snapshots delete --yes); }
before_target_retire__up() {
    done_by backup create "$host/$vm" --repository "$repository" --kind full
    retired_point=$(newest_backup)
    done_by snapshot create "$host/$vm" --name "$tag"
    ask_target_retire__up
}
unplan_target_retire__up() {
    done_by "${ask[@]}"
    after_target_retire__up
}
effect_target_retire__up() {
    equal "snapshots of that name" 0 "$(live_count "$tag")"
    equal "what is in the way" null "$(job_json "$job" | jq -r .result.facts.in_the_way)"
    done_by backup verify "$retired_point" --depth checksum
}
after_target_retire__up() { done_by backup delete "$retired_point" --yes --really-last; }

# ---- target.export: somebody reads it and says that the copy is whole, if it is still there ----

export_socket() { echo "$(host_folder "$host")/nbd/$tag.sock"; }
ask_target_export() { ask=(target export "$host/$vm" --socket "$(export_socket)"); }
prepare_target_export() { make_nbd_folder "$host"; }
before_target_export() { ask_target_export; }
# Without words: the job may have ended.
during_target_export() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        case $(job_state "$job") in
        RUNNING) ! quietly fleetsnap target export-finish "$job" --how done --no-wait || return 0 ;;
        SUCCEEDED | FAILED | CANCELLED | EXPIRED | REJECTED | PARKED) return 0 ;;
        esac
        nap 0.2
    done
}
kept_checkpoint() { [[ $(fleetsnap target show "$host/$vm" --json | jq --arg name "fs-$job" '[(.checkpoints // [])[] | select(.name == $name)] | length') == "$1" ]]; }
effect_target_export() {
    local kept=0
    [[ $(job_state "$job") != SUCCEEDED ]] || kept=1
    eventually 60 "$kept checkpoint of it" kept_checkpoint "$kept"
    [[ ! -e $(export_socket) ]] || fail "the socket is still there"
    [[ ! -e $(host_folder "$host")/disks/fleetsnap-export ]] || fail "scratch is still there"
}
# The next job on that machine: it takes the checkpoint of the one before away, and its own is what a retire takes.
after_target_export() {
    done_by target retire "$host/$vm" --yes
}

# ---- target.export_finish: what the hypervisor exports, and no job watches, ends and leaves nothing ----

ask_target_export_finish() { ask=(target export-finish "$host/$vm" --how cancel --yes); }
before_target_export_finish() {
    local embedded
    orphan=$(</proc/sys/kernel/random/uuid)
    embedded=$(<"$(host_folder "$host")/kind")
    make_nbd_folder "$host"
    [[ $embedded != embed ]] || "$stack" worker stop "$DIR" "$host"
    orphan_export "$host" "$vm" "${target#*:}" "$orphan" || fail "virsh does not export"
    [[ $embedded != embed ]] || start_worker || fail "the worker does not start"
    ask_target_export_finish
}
unplan_target_export_finish() { done_by "${ask[@]}"; }
effect_target_export_finish() {
    [[ $(job_json "$job" | jq -r '.result.facts.job') == "$orphan" ]] || fail "it was not that export"
    [[ ! -e $(host_folder "$host")/disks/fleetsnap-export ]] || fail "scratch is still there"
}
after_target_export_finish() { done_by target export-finish "$host/$vm" --how check; }
