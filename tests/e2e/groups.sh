#!/bin/bash
# Consistency groups: one point in time of two machines on two hosts, or none, whatever dies; and back to it as a whole. Of snapshots, then of backups.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
id=g$$

snapshots_of() { fleetsnap snapshot list "$1" --json --live | jq -r --arg id "$id" '[.[] | select(.name | contains($id)) | .name] | sort | join(" ")'; } # TARGET
last_number() { GUEST_TIMEOUT=90 guest "$1" "$2" 'tail -n 1 /data/numbers'; }                                                                    # HOST VM
group_is() { [[ $(fleetsnap deploy status "$1" --json 2>/dev/null | jq -r .state) == "$2" ]]; } # GROUP STATE

# The next number is written to one machine, then the same to the other: so the first is never behind, nor ahead by more than one.
write_alternately() {
    local n
    for ((n = 1; ; n++)); do
        [[ ! -e $1.stop ]] || return 0
        guest "$embed" shop-1 "echo $n >>/data/numbers" && guest "$libvirtd" shop-2 "echo $n >>/data/numbers" || return
        printf '%s\n' "$n" >"$1"
    done
}
waits() { job_json "$(fleetsnap deploy status "$1" --json | jq -r --arg host "$2" '.targets[] | select(.host == $host) | .snapshot.job_id')" | jq -e '.state == "RUNNING" and .phase == "barrier"' >/dev/null; } # GROUP HOST
written() { local n; n=$(cat "$1" 2>/dev/null); ((${n:-0} >= $2)); } # FILE NUMBER

test_one_point_in_time_of_two_hosts() {
    local progress=$DIR/groups.progress writer first second early n
    rm -f "$progress" "$progress.stop"
    GUEST_TIMEOUT=90 write_alternately "$progress" &
    writer=$!
    trap 'touch "$progress.stop"; "$stack" signal "$DIR" "worker-$libvirtd" CONT' EXIT # the test has a shell of its own
    eventually 60 "the writer writes" written "$progress" 1
    "$stack" signal "$DIR" "worker-$libvirtd" STOP # so that one is ready long before the other
    expect 0 snapshot create -l app=shop --group --group-limit 30s --name "$id-1" --no-wait
    eventually 60 "the first waits for the second" waits "$id-1" "$embed"
    early=$(cat "$progress")
    eventually 60 "the writer writes meanwhile" written "$progress" $((early + 2))
    "$stack" signal "$DIR" "worker-$libvirtd" CONT
    expect_json 0 snapshot create -l app=shop --group --name "$id-1" # the same again waits for it
    holds '.state == "succeeded" and (.targets | length) == 2 and all(.targets[].snapshot; .state == "SUCCEEDED" and .frozen_ms > 0 and .spread_ms >= .skew_ms)'
    n=$(cat "$progress")
    expect_json 0 run show "$(json .runs.begin)"
    holds '.group_limit_ms == 30000 and all(.jobs[]; .frozen_ms > 0 and .frozen_ms < 30000)'
    eventually 60 "the writer writes on" written "$progress" $((n + 1))
    touch "$progress.stop"
    wait "$writer" || fail "the writer failed"
    trap - EXIT
    expect 2 snapshot revert --group "$id-1"
    says "say --yes"
    expect_json 0 snapshot revert --group "$id-1" --yes
    holds '.state == "reverted" and all(.targets[].revert; .state == "SUCCEEDED")'
    first=$(last_number "$embed" shop-1) second=$(last_number "$libvirtd" shop-2)
    ((first - second >= 0 && first - second <= 1)) || fail "not one point in time: $first here, $second there"
    ((second >= early + 1)) || fail "the point in time was before both were ready: $second, not after $early"
    ((first <= n + 1)) || fail "$first was written after the point in time ($n)"
}

test_all_or_nothing() {
    expect 0 snapshot create "$libvirtd/shop-2" --name "$id-2" # its own: in the way, and left alone
    expect 1 snapshot create -l app=shop --group --name "$id-2"
    says "shop-2 on $libvirtd: snapshot FAILED" "exists already" "there is no point in time"
    equal "snapshots of the one" "$id-1" "$(snapshots_of "$embed/shop-1")"
    equal "snapshots of the other" "$id-1 $id-2" "$(snapshots_of "$libvirtd/shop-2")"
    expect 0 snapshot delete "$libvirtd/shop-2" "$id-2" --yes
}

test_one_group_on_a_host_at_a_time() {
    local name ended
    for name in "$id-5" "$id-6"; do
        expect 0 snapshot create -l "app=$([[ $name == "$id-5" ]] && echo shop || echo twin)" --group --name "$name" --group-ttl 1s --no-wait
    done
    for name in "$id-5" "$id-6"; do
        expect 0 snapshot create -l "app=$([[ $name == "$id-5" ]] && echo shop || echo twin)" --group --name "$name"
    done
    expect_json 0 run show "$(fleetsnap deploy status "$id-5" --json | jq -r .runs.begin)"
    ended=$(json .ended_at)
    expect_json 0 run show "$(fleetsnap deploy status "$id-6" --json | jq -r .runs.begin)"
    [[ ! $(json .planned_at) < $ended ]] || fail "the second was planned at $(json .planned_at), the first ended at $ended"
    for name in "$id-5" "$id-6"; do eventually 60 "its snapshots are deleted in their time" cleaned "$name"; done
}
cleaned() { [[ $(fleetsnap deploy status "$1" --json | jq -r '.cleaned_at != null') == true ]]; } # GROUP

test_what_a_group_cannot_be() {
    expect 2 snapshot create "$embed/shop-1" --group --name "$id-3"
    expect 2 snapshot create -l app=shop --group
    expect 2 snapshot create -l app=shop --group --name "$id-3" --memory
    says "--memory cannot be said of a group"
    expect 2 snapshot create -l app=shop --group --name "$id-3" --group-limit 2h
    expect 2 snapshot create -l app=shop --group-limit 2s --name "$id-3"
    expect 2 deploy begin --id "$id-3" -l app=shop --group --quiesce never
    expect 2 snapshot revert --group "$id-3" --yes
    expect 1 deploy begin --id "$id-1" -l app=shop
    says "there is \"$id-1\" already"
    expect_json 0 snapshot create -l app=shop --group --name "$id-3" --dry-run
    holds '.refused == null and (.targets | length) == 2'
}

# One worker dies while all stand still, and Redis is silent: the other thaws by its own clock. When they are back there is nothing left.
test_deaths_leave_nobody_frozen() {
    "$stack" worker stop "$DIR" "$libvirtd"
    FLEETSNAP_CRASH=effect.after:freeze "$stack" worker start "$DIR" "$libvirtd" || fail "the worker does not start"
    eventually 60 "the host is there again" host_is_ready "$libvirtd"
    expect 0 snapshot create -l app=shop --group --name "$id-4" --group-limit 3s --no-wait
    eventually 60 "the worker dies" worker_ended "$libvirtd"
    "$stack" signal "$DIR" redis STOP # it is not lost, it does not answer
    trap '"$stack" signal "$DIR" redis CONT' EXIT
    eventually 60 "the other machine writes without Redis" writes "$embed" shop-1
    trap - EXIT
    "$stack" signal "$DIR" redis CONT
    "$stack" worker start "$DIR" "$libvirtd" || fail "the worker does not start again"
    eventually 60 "the machine of the dead worker writes" writes "$libvirtd" shop-2
    eventually 90 "the group comes to nothing" group_is "$id-4" undone
    equal "snapshots of the one" "$id-1" "$(snapshots_of "$embed/shop-1")"
    equal "snapshots of the other" "$id-1" "$(snapshots_of "$libvirtd/shop-2")"
}

# One worker is stopped while all stand still, and the other's network is cut: Kafka and Redis are silent for it alone, and it hears that the group goes on no more.
test_a_cut_network_leaves_nobody_frozen() {
    ((EUID == 0)) || { echo "  a network namespace needs root"; return; }
    "$stack" worker stop "$DIR" "$libvirtd"
    OWN_NETWORK=1 "$stack" worker start "$DIR" "$libvirtd" || fail "the worker does not start in a network of its own"
    "$stack" worker stop "$DIR" "$embed"
    FLEETSNAP_CRASH=effect.after:freeze=STOP "$stack" worker start "$DIR" "$embed" || fail "the worker does not start"
    eventually 60 "both hosts are there again" host_is_ready
    expect 0 snapshot create -l app=shop --group --name "$id-7" --group-limit 15s --no-wait
    eventually 60 "the one worker stops" worker_is_stopped "$embed"
    eventually 60 "the machine of the other stands still" stands_still "$libvirtd" shop-2
    "$stack" signal "$DIR" "network-$libvirtd" STOP
    trap '"$stack" signal "$DIR" "network-$libvirtd" CONT; "$stack" signal "$DIR" "worker-$embed" CONT' EXIT
    "$stack" signal "$DIR" "worker-$embed" CONT
    eventually 60 "the machine of the cut-off worker writes" writes "$libvirtd" shop-2
    eventually 60 "the other writes" writes "$embed" shop-1
    expect_json 0 deploy status "$id-7"
    holds '.ended == false' # without a word from there nobody knows
    trap - EXIT
    "$stack" signal "$DIR" "network-$libvirtd" CONT
    eventually 180 "the group comes to nothing" group_is "$id-7" undone
    equal "snapshots of the one" "$id-1" "$(snapshots_of "$embed/shop-1")"
    equal "snapshots of the other" "$id-1" "$(snapshots_of "$libvirtd/shop-2")"
    "$stack" worker stop "$DIR" "$libvirtd"
    "$stack" worker start "$DIR" "$libvirtd" || fail "the worker does not start again"
}
worker_is_stopped() { # HOST
    local stat
    read -r stat <"/proc/$(cut -d' ' -f1 "$DIR/pids/worker-$1")/stat" && [[ ${stat##*) } == T* ]]
}
stands_still() { virsh_on "$1" qemu-agent-command "$2" '{"execute":"guest-fsfreeze-status"}' 2>/dev/null | grep -q frozen; } # HOST VM

host_is_ready() { [[ $(fleetsnap snapshot create -l app=shop --group --name "$id-0" --dry-run --json | jq -r .refused) == null ]]; }

# ---- backups ----

backups_of() { fleetsnap backup list "$1" --json | jq -r '[.[] | select(.state == "complete") | .group_name // "-"] | sort | join(" ")'; } # TARGET
member_of() { fleetsnap backup list --group "$1" --json | jq -r --arg name "$2" '.[] | select(.target.name == $name) | .id'; }                # GROUP MACHINE

# A guest that writes without end may be too slow for its agent's time limit, on a machine that is busy: then there is no group, as it should be, and it is asked for again. Sets made.
make_group_of_backups() { # ARGS... of backup create
    for made in "$id-b1" "$id-b1-again" "$id-b1-at-last"; do
        run backup create -l app=shop --group --name "$made" "$@" --json
        [[ $code == 1 && $out == *"Guest agent is not responding"* ]] || break
        equal "backups after a group that came to nothing" "- -" "$(backups_of "$embed/shop-1") $(backups_of "$libvirtd/shop-2")"
    done
    [[ $code == 0 ]] || fail "exit code $code instead of 0"
    printf '%s\n' "$made" >"$DIR/groups.made"
}

image_of() { fleetsnap backup show "$1" --json | jq -r '.folder + "/vda.qcow2"'; } # BACKUP
number_in() { # BACKUP: the last one in its own copy of the disk, which a frozen file system left whole
    qemu-img convert -O raw "$(image_of "$1")" "$DIR/groups.raw" && /sbin/debugfs -R 'cat /numbers' "$DIR/groups.raw" 2>/dev/null | tail -n 1
    rm -f "$DIR/groups.raw"
}

test_backup_create_of_one_point_in_time_of_two_hosts() {
    local progress=$DIR/groups.backups writer before after first second
    rm -f "$progress" "$progress.stop" "$DIR/groups.made"
    expect 0 backup create "$embed/shop-1" # without a good one before, what comes to nothing would be the last good one, and stay
    expect 0 backup create "$libvirtd/shop-2"
    GUEST_TIMEOUT=90 write_alternately "$progress" &
    writer=$!
    trap 'touch "$progress.stop"' EXIT
    eventually 60 "the writer writes" written "$progress" 1
    before=$(cat "$progress")
    make_group_of_backups --group-limit 30s --kind incremental --rate-limit 1GiB
    holds '.state == "succeeded" and .operation == "backup.create" and (.targets | length) == 2'
    holds 'all(.targets[].backup; .state == "SUCCEEDED" and .frozen_ms > 0 and .frozen_ms < 30000 and .spread_ms >= .skew_ms)'
    after=$(cat "$progress")
    eventually 60 "the writer writes on" written "$progress" $((after + 1))
    touch "$progress.stop"
    wait "$writer" || fail "the writer failed"
    trap - EXIT
    expect_json 0 run show "$(fleetsnap deploy status "$made" --json | jq -r .runs.begin)"
    holds '.operation == "backup.create" and .group_limit_ms == 30000 and all(.jobs[]; .frozen_ms > 0)'
    expect_json 0 backup list --group "$made"
    holds 'length == 2 and (map(.group) | unique | length) == 1 and all(.group_members == 2 and .level == "filesystem" and .backup_kind == "incremental" and .group_spread_ms >= .group_skew_ms)'
    expect 0 backup show "$(member_of "$made" shop-1)"
    says "$made, of 2 machines"
    expect 1 snapshot revert --group "$made" --yes # it is restored
    says "fleetsnap backup restore --group"
    expect 0 backup restore --group "$made" --as %-copy --dry-run
    says shop-1-copy shop-2-copy "nothing has been changed"
    first=$(number_in "$(member_of "$made" shop-1)") second=$(number_in "$(member_of "$made" shop-2)")
    ((first - second >= 0 && first - second <= 1)) || fail "not one point in time: $first here, $second there"
    ((second >= before && first <= after + 1)) || fail "not of the time between $before and $after: $first, $second"
}

died_or_undone() { worker_ended "$libvirtd" || group_is "$1" undone; } # GROUP

# Killed while its guest stands still and its backup has begun: it thaws first when it is started again, and the other's backup, which was good, is deleted.
test_backup_create_in_a_group_whose_member_dies() {
    local dead
    made=$(cat "$DIR/groups.made")
    "$stack" worker stop "$DIR" "$libvirtd"
    FLEETSNAP_CRASH=effect.after:backup-begin "$stack" worker start "$DIR" "$libvirtd" || fail "the worker does not start"
    eventually 60 "the host is there again" host_is_ready
    for dead in "$id-b2" "$id-b2-again" "$id-b2-at-last"; do
        expect 0 backup create -l app=shop --group --name "$dead" --no-wait
        eventually 90 "the worker dies, or an agent is too slow" died_or_undone "$dead"
        ! worker_ended "$libvirtd" || break
    done
    truth "the worker did not die" worker_ended "$libvirtd"
    eventually 60 "the other machine writes" writes "$embed" shop-1
    "$stack" worker start "$DIR" "$libvirtd" || fail "the worker does not start again"
    eventually 60 "the machine of the dead worker writes" writes "$libvirtd" shop-2
    eventually 180 "the group comes to nothing" group_is "$dead" undone
    expect 1 backup create -l app=shop --group --name "$dead" # the same again says what became of it
    says "there is no point in time" "shop-2 on $libvirtd: backup FAILED"
    equal "backups of the one" "- $made" "$(backups_of "$embed/shop-1")"
    equal "backups of the other" "- $made" "$(backups_of "$libvirtd/shop-2")"
    expect_json 0 backup create "$embed/shop-1" # what they stood on is as good as before
    holds '.result.facts.kind == "incremental"'
    expect_json 0 backup create "$libvirtd/shop-2"
    holds '.result.facts.kind == "incremental"'
}

disk_of() { fleetsnap target show "$1" --json | jq -r '.disks[] | select(.name == "vda") | .source'; } # TARGET

# Machines that are off are in a group too. Both go back: what was written to their disks since is gone.
test_backup_restore_of_a_group() {
    local host image
    expect 0 backup create -l app=twin --group --name "$id-b3" --group-ttl 7d
    expect_json 0 backup list --group "$id-b3"
    holds 'length == 2 and all(.level == "off" and .frozen_ms == 0)'
    for host in "$embed" "$libvirtd"; do
        qemu-io -f qcow2 -c 'write -P 7 32M 64k' "$(disk_of "$host/twin")" >/dev/null || fail "the disk of $host/twin cannot be written"
    done
    expect 2 backup restore --group "$id-b3" --in-place
    says "say --yes"
    run backup restore --group "$id-b3" --in-place --yes --json
    [[ $code == 0 && $(jq -s 'length == 2 and all(.state == "SUCCEEDED")' <<<"$out") == true ]] || fail "not both are restored"
    jq -r '.result.facts["kept.vda"]' <<<"$out" | tr '\n' '\0' | xargs -0 rm -f
    for host in "$embed" "$libvirtd"; do
        image=$(image_of "$(fleetsnap backup list "$host/twin" --json | jq -r '.[0].id')")
        qemu-img compare -q "$image" "$(disk_of "$host/twin")" || fail "the disk of $host/twin is not what was backed up"
    done
}

# One whose backup is missing is not restored without the other.
test_backup_restore_of_a_group_that_is_not_whole() {
    expect_json 0 backup list --group "$id-b3"
    expect 0 backup delete "$(json '.[0].id')" --really-last --yes
    expect 1 backup restore --group "$id-b3" --in-place --yes
    says "group $id-b3 has 2 machines, and there is a backup of twin only; nothing was done"
    expect_json 1 backup create -l app=twin --group --name "$id-b4" --repository nowhere --dry-run
    holds '.refused | contains("no repository nowhere")'
}

test_as_before() {
    local target
    for target in "$embed/shop-1" "$libvirtd/shop-2"; do
        expect 0 snapshot delete "$target" "$id-1" --yes
        guest "${target%/*}" "${target#*/}" 'rm -f /data/numbers'
    done
    for target in "$embed/shop-1" "$libvirtd/shop-2" "$embed/twin" "$libvirtd/twin"; do
        expect_json 0 backup list "$target"
        [[ $(json length) == 0 ]] || expect 0 backup delete "$(json '.[0].id')" --all --really-last --yes
    done
}

e2e_main "$@"
