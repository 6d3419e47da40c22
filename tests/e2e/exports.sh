#!/bin/bash
# Exports by NBD, read by tools of others: nbdinfo, nbdcopy and qemu-img see a machine as it was in one moment, while it writes on; with
# a dirty bitmap an incremental copy is the disk again. Only a person's word makes one a success; whatever else ends it leaves nothing.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
host=$libvirtd vm=shop-2 place=$DIR/exports
socket=$(host_folder "$host")/nbd/export.sock uri=nbd+unix:///vda?socket=$(host_folder "$host")/nbd/export.sock
scratch=$(host_folder "$host")/disks/fleetsnap-export

fact() { job_json "$1" | jq -r --arg key "$2" '.result.facts[$key] // ""'; } # JOB KEY
hash_of() { sha256sum <"$1"; }
checkpoints() { fleetsnap target show "$host/$vm" --json | jq -c '[(.checkpoints // [])[].name]'; }
checkpoints_are() { [[ $(checkpoints) == "$1" ]]; }
has_checkpoint() { [[ $(checkpoints) == *"fs-$1"* ]]; } # JOB
connected() { [[ $(fact "$1" clients) == "$2" ]]; }     # JOB COUNT

start_export() { # ARGS...: sets job
    expect_json 0 target export "$host/$vm" --detach "$@"
    holds '.state == "RUNNING"'
    job=$(json .job_id)
}
nothing_is_left() {
    [[ ! -e $socket ]] || fail "the socket is still there"
    [[ ! -e $scratch ]] || fail "scratch is still there"
    equal "who has the machine" "" "$(virsh_on "$host" domjobinfo "$vm" | grep -i '^operation: *backup')"
}
# What a job that was no success leaves of itself.
ended_as() { # STATE TEXT
    eventually 90 "job $job is $1" job_in "$job" "$1"
    [[ $(job_json "$job" | jq -r .error.text) == *"$2"* ]] || fail "it does not say: $2, but $(job_json "$job" | jq -r .error.text)"
    nothing_is_left
    eventually 60 "only the checkpoints of before, $before" checkpoints_are "$before"
}
guest_writes() { guest "$host" "$vm" "dd if=/dev/urandom of=/data/$1 bs=64k count=$2 2>/dev/null; sync" || fail "$vm does not write"; }

test_target_export_full_is_one_moment() {
    mkdir -p "$place"
    make_nbd_folder "$host"
    guest_writes first 16
    virsh_on "$host" suspend "$vm" >/dev/null || fail "virsh suspend"
    qemu-img convert -U -O raw "$(fleetsnap target show "$host/$vm" --json | jq -r '.disks[0].source')" "$place/frozen.raw"
    (start_export --socket "$socket" --kind full --disk vda --quiesce prefer --scratch-limit 256MiB && echo "$job" >"$place/parent")
    virsh_on "$host" resume "$vm" >/dev/null || fail "virsh resume"
    job=$(<"$place/parent") || fail "it is not exported"
    equal "where" "$uri" "$(fact "$job" uri.vda)"
    guest_writes first 32 # over what is exported
    nbdinfo --json "$uri" | jq -e '.exports[0] | .["export-size"] > 0 and .is_read_only' >/dev/null || fail "nbdinfo"
    nbdcopy "$uri" "$place/full.raw" || fail "nbdcopy"
    equal "hash of the copy" "$(hash_of "$place/frozen.raw")" "$(hash_of "$place/full.raw")"
    qemu-img compare -q -f raw -F raw "$uri" "$place/frozen.raw" || fail "qemu-img sees another disk"
    expect 0 target export-finish "$job" --how check
    says RUNNING "$uri"
    expect 0 target export-finish "$job" --how done
    job_in "$job" SUCCEEDED || fail "it is $(job_state "$job")"
    nothing_is_left
    eventually 60 "its checkpoint is kept" has_checkpoint "$job"
}

# Only what the bitmap names is taken from the second copy: with it the first one becomes the second.
test_target_export_incremental_by_its_bitmap() {
    guest_writes second 8
    start_export --address 127.0.0.1:10839 --kind incremental
    equal "parent" "$(<"$place/parent")" "$(fact "$job" parent)"
    equal "bitmap" qemu:dirty-bitmap:dirty "$(fact "$job" bitmap.vda)"
    nbdinfo --json --map=qemu:dirty-bitmap:dirty nbd://127.0.0.1:10839/vda >"$place/map" || fail "nbdinfo --map"
    nbdcopy nbd://127.0.0.1:10839/vda "$place/second.raw" || fail "nbdcopy"
    jq -r '.[] | select(.type == 1) | "\(.offset) \(.length)"' "$place/map" | while read -r offset length; do
        dd if="$place/second.raw" of="$place/full.raw" bs=64k iflag=skip_bytes,count_bytes oflag=seek_bytes \
            skip="$offset" seek="$offset" count="$length" conv=notrunc status=none
    done
    equal "hash of the two together" "$(hash_of "$place/second.raw")" "$(hash_of "$place/full.raw")"
    truth "little was dirty" test "$(jq '[.[] | select(.type == 1) | .length] | add' "$place/map")" -lt 67108864
    expect 0 target export-finish "$host/$vm" --how done
    says 'checkpoint kept'
    nothing_is_left
    eventually 60 "its checkpoint is kept, too" has_checkpoint "$job"
}

test_a_cancelled_one_leaves_nothing() {
    before=$(checkpoints)
    start_export --socket "$socket" --kind incremental --parent "$(<"$place/parent")"
    expect 0 target export-finish "$job" --how cancel
    ended_as CANCELLED ''
    expect 1 target export-finish "$job" --how done
    says 'already ended'
}

# It connects as soon as it can, and is killed when it was seen.
client() { exec /usr/bin/python3 -c 'import socket, sys, time
for _ in range(3000): # a minute: an export that failed leaves no client behind
    s = socket.socket(socket.AF_UNIX)
    try: s.connect(sys.argv[1]); break
    except OSError: time.sleep(0.02)
else: sys.exit(1)
time.sleep(120)' "$socket" >/dev/null 2>&1; }

test_nobody_is_there_any_more() {
    before=$(checkpoints)
    client &
    start_export --socket "$socket" --idle-timeout 3s
    eventually 60 "a client is seen" connected "$job" 1
    kill -KILL $! && wait $! 2>/dev/null
    ended_as FAILED 'nobody was connected for 3 s'
}

test_its_time_is_over() {
    before=$(checkpoints)
    start_export --socket "$socket" --deadline 4s
    ended_as EXPIRED ''
}

test_what_is_refused() {
    before=$(checkpoints)
    touch "$socket"
    expect 1 target export "$host/$vm" --socket "$socket"
    says 'the hypervisor would remove'
    [[ -e $socket ]] || fail "the file is gone"
    rm -f "$socket"
    expect 1 target export "$host/$vm" --address 0.0.0.0:10839
    says 'without TLS'
    expect 1 target export "$host/$vm" --address 127.0.0.1:10839 --tls # it has no certificates
    says certificate
    expect 1 target export "$host/$vm" --socket "$socket" --exclude vda
    says 'no disk is left'
    expect 1 target export "$host/twin" --socket "$socket"
    says 'the guest is off'
    expect 1 target export "$host/$vm" --socket "$socket" --kind incremental --parent 00000000-0000-4000-8000-000000000000
    says 'no checkpoint of job'
    expect 1 target export "$host/$vm" --socket "$socket" --scratch /etc
    says "none of this worker's pools"
    equal "checkpoints" "$before" "$(checkpoints)"
}

# A worker that lost its memory, a job that was given up: nobody watches it, and a job of its own ends it.
test_target_export_finish_of_one_that_nobody_watches() {
    before=$(checkpoints)
    orphan_export "$host" "$vm" "$(fleetsnap target show "$host/$vm" --json | jq -r .target.id)" 11111111-2222-4333-8444-555555555555 || fail "virsh does not export"
    expect 0 target export-finish "$host/$vm"
    says 11111111 'no job watches it'
    expect 0 target export-finish "$host/$vm" --how cancel --yes
    nothing_is_left
    eventually 60 "its checkpoint is gone" checkpoints_are "$before"
    expect 0 target export-finish "$host/$vm" --how check
    says 'nothing of ours is exported'
    expect 1 target export-finish "$host/$vm" --how done --yes
}

test_what_it_left_can_be_taken_back() {
    expect 0 target retire "$host/$vm" --yes
    eventually 60 "no checkpoint is left" checkpoints_are '[]'
    rm -rf "$place"
}

e2e_main "$@"
