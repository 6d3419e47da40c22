#!/bin/bash
# One repository that two hosts have, as on a shared mount: both write to it at once, what must stay free stays free, and a folder
# without its marker gets no byte.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
host=$embed vm=shop-1 other=${E2E_OTHER:-$libvirtd} other_vm=shop-2
shared=$(host_folder "$host")/shared

start_with() { # HOST FOLDERS: its worker, with these repositories
    "$stack" worker stop "$DIR" "$1"
    WORKER_ARGS="--repositories=$2" "$stack" worker start "$DIR" "$1" || fail "the worker of $1 does not start"
    eventually 60 "host $1 is alive" host_alive "$1"
}
both_have_it() { [[ $(fleetsnap repository show both --json 2>/dev/null | jq -r '[.hosts[] | select(.ok) | .host] | sort | join(" ")') == "$(printf '%s\n' "$host" "$other" | sort | xargs)" ]]; }
ids_in() { fleetsnap backup list "$1" --json | jq -r --arg repository "$(fleetsnap repository show both --json | jq -r .id)" '.[] | select(.repository == $repository) | .id'; } # TARGET
files_below() { find "$1" -type f | wc -l; }

test_both_hosts_have_it() {
    mkdir -p "$shared"
    for name in "$host" "$other"; do start_with "$name" "$(host_folder "$name")/repository,$shared"; done
    expect 0 repository init both --host "$host" --path "$shared/both"
    eventually 180 "both hosts have it" both_have_it # a host looks at its folders every 30 s, and takes longer where the machine is busy
}

test_both_write_at_once() {
    local jobs=() round
    for round in full incremental; do
        jobs=()
        for target in "$host/$vm" "$other/$other_vm"; do
            start_job backup create "$target" --repository both --kind "$round"
            jobs+=("$job")
        done
        for job in "${jobs[@]}"; do
            eventually 60 "the backup $job ends" job_ended "$job"
            equal "state of the backup $job" SUCCEEDED "$(job_state "$job")"
        done
    done
    for name in "$host" "$other"; do
        expect_json 0 repository check both --checksum --host "$name"
        holds '.result.facts | .targets == "2" and .points == "4" and .damaged == "0"'
        holds '(.result.findings // []) | length == 0'
    done
}

# What one host wrote the other one reads: its restore needs nothing but the folder.
test_one_reads_what_the_other_wrote() {
    local id
    id=$(ids_in "$host/$vm" | head -1)
    expect 0 backup verify "$id" --depth image --host "$other"
    says "on $other"
}

test_what_must_stay_free_stays_free() {
    expect 0 repository init tight --host "$host" --path "$shared/tight" --min-free-percent 90
    start_job backup create "$host/$vm" --repository tight --kind full
    eventually 90 "the backup is refused" job_ended "$job"
    equal "state of the backup" FAILED "$(job_state "$job")"
    run job show "$job"
    says 'no room' 'above what must stay free'
    equal "files beside the marker" 1 "$(files_below "$shared/tight")"
    expect 0 repository remove tight --yes
}

is_target() { fleetsnap target show "$1" >/dev/null 2>&1; } # HOST/NAME

# The worker of one host is killed for good: its machine is on the other, with what its newest backup holds.
test_a_dead_hosts_machine_is_restored_on_another() {
    local id disk
    expect_json 0 backup create "$host/$vm" --repository both --kind full
    id=$(json .result.point)
    expect 1 recover --host "$host" --onto "$other"
    says 'is alive' 'there twice' --force
    "$stack" signal "$DIR" "worker-$host" KILL
    eventually 60 "the worker of $host is gone" worker_ended "$host"
    expect_json 7 recover --host "$host" --onto "$other" --dry-run
    holds '.run_id == null and ([.targets[] | select(.name == "'"$vm"'") | .onto, .point] == ["'"$other"'", "'"$id"'"])'
    holds '[.targets[] | select(.name == "twin")][0] | .onto == null and .why != null'
    truth "a dry run restores nothing" eval '! is_target "$other/$vm"'
    expect 2 recover --host "$host" --onto nowhere
    expect 7 recover --host "$host" --onto "$other" --start no --force # its claim has some seconds left
    says "$vm on $other  SUCCEEDED" 'twin on' 'REFUSED' "fleetsnap host remove $host"
    disk=$(virsh_on "$other" domblklist "$vm" | awk '$1 == "vda" {print $2}')
    truth "$vm on $other holds what was backed up" qemu-img compare -q "$(find "$shared/both" -path "*/$id/vda.qcow2")" "$disk"
    eventually 60 "it is the same machine as before" same_target
    virsh_on "$other" undefine "$vm" >/dev/null || fail "$vm of $other cannot be undefined"
    rm -r "$(host_folder "$other")/disks/$vm"
    start_with "$host" "$(host_folder "$host")/repository,$shared"
    eventually 60 "$vm is on $host alone" eval 'is_target "$host/$vm" && ! is_target "$other/$vm"'
}
same_target() { [[ $(fleetsnap target show "$other/$vm" --json | jq -r .target.id) == "$(fleetsnap target show "$host/$vm" --json | jq -r .target.id)" ]]; }

test_without_its_marker_it_gets_no_byte() {
    local before
    mv "$shared/both/fleetsnap-repository.json" "$shared/marker"
    before=$(files_below "$shared/both")
    for target in "$host/$vm" "$other/$other_vm"; do
        run backup create "$target" --repository both --kind full
        [[ $code != 0 ]] || fail "a backup into a folder without a marker succeeded"
    done
    equal "files in the folder" "$before" "$(files_below "$shared/both")"
    mv "$shared/marker" "$shared/both/fleetsnap-repository.json"
}

test_as_before() {
    eventually 180 "both hosts have it again" both_have_it
    expect 0 repository remove both --delete-backups --yes
    says_not 'failed'
    for name in "$host" "$other"; do start_with "$name" "$(host_folder "$name")/repository"; done
    rm -rf "$shared"
    eventually 60 "doctor has nothing to say" doctor_green
}

e2e_main "$@"
