#!/bin/bash
# Everything is gone but the repository: coordinator, Kafka, Redis, and then the worker too. What comes back is compared bit for bit
# with the disk of a machine that is off: by fleetsnap-worker restore, and as docs/restore-without-fleetsnap.md says, by qemu-img alone.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
host=${E2E_HOST:-$embed} vm=${E2E_OFF:-twin}
folder=$(host_folder "$host")
repository=$folder/repository/alone place=$DIR/alone
uri=STACK_URI_$host
options=(--config "$DIR/bundles/$host/worker.yaml" "--state_directory=$folder/state" "--libvirt.uri=${!uri}" "--pools=$folder/disks")

on_host() { "$(dirname "$stack")/in-host" "$folder" "$@"; }
# The command, as on that host.
restore() { # CODE ARGS...
    local wanted=$1 errors
    shift
    errors=$(mktemp)
    asked="fleetsnap-worker restore $*"
    out_text=$(on_host fleetsnap-worker restore "${options[@]}" --repository "$repository" "$@" 2>"$errors" </dev/null)
    code=$? err=$(<"$errors")
    out=$out_text
    rm -f "$errors"
    [[ $code == "$wanted" ]] || fail "exit code $code instead of $wanted"
}
same() { # WHAT A B
    qemu-img compare -U -q "$2" "$3" || fail "$1: $3 differs from $2"
}
forget() { # NAME: a restored machine, while no worker runs on the host
    virsh_on "$host" undefine "$1" --nvram >/dev/null 2>&1
    rm -rf "${folder:?}/disks/$1"
}
journaled() { ls "$folder"/state/restores/*.json >/dev/null 2>&1; }
not_journaled() { ! journaled; }
silent() { ! fleetsnap job list >/dev/null 2>&1; }

test_backups_of_a_machine_that_is_off() {
    rm -rf "$place"; mkdir -p "$place"
    expect 0 repository init alone --host "$host" --path "$repository"
    expect_json 0 backup create "$host/$vm" --repository alone
    json .result.point >"$DIR/alone.point"
    expect 0 backup verify "$(<"$DIR/alone.point")" --depth checksum
    fleetsnap target show "$host/$vm" --json | jq -r '.disks[0].source' >"$DIR/alone.disk"
}

test_everything_but_the_worker_stops() {
    "$stack" coordinator stop "$DIR"
    "$stack" redis kill "$DIR"
    "$stack" kafka kill "$DIR"
    truth "the coordinator answers" silent
}

test_the_list() {
    restore 0 --json
    holds 'length == 1 and .[0].state == "complete"'
    holds --arg id "$(<"$DIR/alone.point")" '.[0].id == $id'
    restore 0
    says "$vm" full
}

test_wrong_words_are_said() {
    restore 2 nothing --to other
    says 'no backup "nothing"' 'what is there'
    restore 2 "$vm"
    says '--to'
    restore 2 "$vm" --to other --nonsense
    says '--nonsense' '--help'
    restore 1 "$vm" --to "$vm" # the machine exists
    says "$vm exists"
}

test_by_the_worker_that_runs() {
    restore 0 "$vm" --to alone-1 --dry-run
    says restore-check restore-disk restore-define 'nothing has been changed'
    truth "a dry run made a folder" test ! -e "$folder/disks/alone-1"
    restore 0 "$(head -c 8 "$DIR/alone.point")" --to alone-1 --json
    holds '.state == "SUCCEEDED" and .to == "alone-1" and .result.facts.checksums == "compared"'
    same "restored by the worker" "$(<"$DIR/alone.disk")" "$(echo "$folder"/disks/alone-1/vda.*)"
}

test_without_any_of_our_programs() {
    "$stack" worker stop "$DIR" "$host"
    restore 0 "$vm" --to alone-2
    says 'restored machine alone-2'
    same "restored alone" "$(<"$DIR/alone.disk")" "$(echo "$folder"/disks/alone-2/vda.*)"
    truth "libvirt does not know it" eval 'virsh_on $host dominfo alone-2 >/dev/null'
    restore 0 "$vm" --to "$place/files"
    same "the disks alone" "$(<"$DIR/alone.disk")" "$(echo "$place"/files/vda.*)"
    truth "the definition is not beside them" test -s "$place/files/domain.xml"
    restore 1 "$vm" --to "$place/files"
    says 'exists already'
}

# Killed in the middle: the same command goes on, and nothing is left twice.
test_an_interrupted_one_goes_on() {
    asked='fleetsnap-worker restore, killed after the disk'
    FLEETSNAP_CRASH=effect.after:restore-disk on_host fleetsnap-worker restore "${options[@]}" --repository "$repository" "$vm" --to alone-3 >/dev/null 2>&1
    truth "it did not die" journaled
    restore 0 "$vm" --to alone-3
    says 'interrupted' 'restored machine alone-3'
    same "restored in two parts" "$(<"$DIR/alone.disk")" "$(echo "$folder"/disks/alone-3/vda.*)"
    truth "its journal is still there" not_journaled
}

# Single files out of it: mounted without a copy, read by somebody else's tools, and gone when it is to end. It ends with this test, however that ends.
mount_backup() { # ARGS..., in a shell of its own
    exec setpriv --pdeathsig TERM fleetsnap-worker mount --repository "$repository" "$@"
}
no_mount() { [[ ! -e $place/mount ]] && ! grep -q " $place/mount" /proc/self/mountinfo; }
leases() { find "$repository" -path '*/leases/*' | wc -l; }
test_backup_mount_for_single_files_out_of_it() {
    [[ $EUID == 0 && -w /dev/fuse ]] || { echo "  not tried: it needs root and /dev/fuse"; return 0; }
    local point said=$place/mount.said mounter before
    point=$(<"$DIR/alone.point") before=$(leases)
    mount_backup "${point:0:8}" --directory "$place/mount" --json >"$said" 2>"$place/mount.errors" &
    mounter=$!
    eventually 60 "the backup is mounted" test -s "$said"
    equal "what it says" "$point $place/mount/vda.raw" "$(jq -r '"\(.backup) \(.images[0].path)"' "$said")"
    qemu-img compare -U -q "$place/mount/vda.raw" "$(<"$DIR/alone.disk")" || fail "the image differs from the disk"
    equal "leases while it is mounted" $((before + 1)) "$(leases)"
    equal "mode" 400 "$(stat -c %a "$place/mount/vda.raw")"
    exec {file}<"$place/mount/vda.raw"
    kill "$mounter" # who reads is not waited for
    wait "$mounter" || fail "it ends with $?: $(<"$place/mount.errors")"
    exec {file}<&-
    truth "it is still mounted" no_mount
    equal "leases afterwards" "$before" "$(leases)"

    (mount_backup "$point" --directory "$place/mount" --idle-timeout 1s >/dev/null) ||
        fail "it does not end by itself: $?"
    truth "it is still mounted after its time" no_mount

    mount_backup "$vm" --directory "$place/mount" --json >"$said.2" 2>"$place/mount.errors" &
    mounter=$!
    eventually 60 "the backup is mounted again" test -s "$said.2"
    kill -9 "$mounter"
    wait "$mounter" 2>/dev/null
    eventually 60 "its server ends when it was killed" eval '! grep -q " $place/mount" /proc/self/mountinfo'
    rm -f "$repository"/*/*/leases/* # stale in ten minutes

    (mount_backup "$point" >/dev/null 2>&1)
    equal "exit code without a directory" 2 $?
    (mount_backup "$point" --directory "$said" >/dev/null 2>&1)
    equal "exit code for a file" 1 $?
}

# docs/restore-without-fleetsnap.md, word for word.
test_by_qemu_img_alone() {
    local point chain
    point=$(<"$DIR/alone.point")
    cd "$repository"/*/ || fail "not one machine in the repository"
    equal "what jq lists" "complete" "$(jq -r '[.created_at, .state, .backup_kind, .level, .id, .parent] | @tsv' */*/manifest.json | sort | cut -f2)"
    chain=$(dirname "$(dirname "$(echo */"$point"/manifest.json)")")
    truth "the chain does not open" eval 'qemu-img info --backing-chain $chain/$point/vda.qcow2 >/dev/null'
    truth "a file is not sound" eval 'qemu-img check -q $chain/$point/vda.qcow2'
    equal "checksum" "$(jq -r '.disks[0].sha256' "$chain/$point/manifest.json")" "$(sha256sum "$chain/$point/vda.qcow2" | cut -d' ' -f1)"
    mkdir -p "$place"
    qemu-img convert -f qcow2 -O qcow2 "$chain/$point/vda.qcow2" "$place/by-hand.qcow2" || fail "qemu-img convert fails"
    same "by qemu-img" "$(<"$DIR/alone.disk")" "$place/by-hand.qcow2"
}

test_everything_is_back() {
    for name in alone-1 alone-2 alone-3; do forget "$name"; done
    rm -rf "$place"
    "$stack" redis start "$DIR" && "$stack" kafka start "$DIR" && "$stack" programs start "$DIR" || fail "the servers do not start again"
    eventually 60 "host $host is alive" host_alive "$host"
    expect 0 repository remove alone --delete-backups --yes
    rm -rf "$repository"
    eventually 60 "doctor has nothing to say" doctor_green
}

e2e_main "$@"
