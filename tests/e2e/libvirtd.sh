#!/bin/bash
# A libvirtd that is killed and comes back while a worker works through it.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"

test_libvirtd_is_killed_in_the_middle_of_a_backup() {
    backup_at_work "$libvirtd" shop-2 "$libvirtd-backups" 16MiB
    "$stack" libvirtd kill "$DIR" "$libvirtd"
    truth "shop-2 does not write while its libvirtd is dead" writes "$libvirtd" shop-2
    truth "the job has ended while nobody could know how" eval '! job_ended "$job"'
    "$stack" libvirtd start "$DIR" "$libvirtd" || fail "libvirtd does not start again"
    eventually 120 "the backup ends" job_ended "$job"
    equal "state of the backup" SUCCEEDED "$(job_state "$job")"
    one_end "$job"
    expect 0 backup verify "$job" --depth image
    truth "shop-2 does not write" writes "$libvirtd" shop-2
    guest "$libvirtd" shop-2 'rm /data/ballast; sync'
    start_job backup create shop-2 --repository "$libvirtd-backups"
    expect 0 job watch "$job"
    expect 0 backup verify "$job" --depth image
}

e2e_main "$@"
