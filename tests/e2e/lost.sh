#!/bin/bash
# Kafka is lost (in ./check --all), and then all but the repositories and a journal: an export and the repositories bring the fleet back, and nothing is done twice.
. "$(dirname "$(readlink -f "$0")")/lib/e2e.sh"
host=$embed vm=shop-1 other=$libvirtd repository=$embed-backups
file=$DIR/export.json secret=$DIR/lost-bot.token request=lost-$$

backups() { fleetsnap backup list "$host/$vm" --repository "$repository" --json | jq -c '[.[].id] | sort'; }
of_request() { fleetsnap backup list "$host/$vm" --json | jq -r --arg description "$request" '[.[] | select(.description == $description)] | length'; }
both_alive() { host_alive "$host" && host_alive "$other"; }
the_backup() { expect_json 0 backup create "$host/$vm" --repository "$repository" --kind full --description "$request" --request-id "$request"; }
repository_seen() { [[ $(fleetsnap repository show "$1" --json 2>/dev/null | jq '.hosts | length') -gt 0 ]]; } # NAME

stop_all() {
    "$stack" worker stop "$DIR" "$host" &
    "$stack" worker stop "$DIR" "$other" &
    "$stack" coordinator stop "$DIR" &
    "$stack" kafka empty "$DIR" || fail "kafka does not start again"
    wait
    rm -rf "$DIR/coordinator/state"
    mkdir "$DIR/coordinator/state"
}

# What an operator does: the coordinator with the old master key, the export, the workers, the repositories.
bring_back() {
    local name
    COORDINATOR_ARGS='--holders_grace=2s --heartbeat_poll=1s' "$stack" coordinator start "$DIR" || fail "the coordinator does not start" # nobody holds a lock
    expect 0 admin import "$file" --dry-run
    says 'would be added'
    expect 0 admin import "$file"
    says host key token pin policy epoch 'repository import'
    expect_json 0 admin import "$file"
    holds '.epoch == null and ([.kinds[].added] | add) == 0'
    "$stack" worker start "$DIR" "$host" &
    "$stack" worker start "$DIR" "$other" || fail "the worker of $other does not start"
    wait $! || fail "the worker of $host does not start"
    eventually 90 "both hosts are alive" both_alive
    for name in "$host" "$other"; do
        eventually 90 "the repository of $name is seen" repository_seen "$name-backups"
        expect 0 repository import "$name-backups"
    done
}

it_is_all_there() { # EPOCH: and above that
    equal "backups" "$known" "$(backups)"
    FLEETSNAP_TOKEN_FILE=$secret expect 0 targets
    expect_json 0 policy show lost
    holds '.version == 1 and .paused'
    expect_json 0 backup show "$pinned"
    holds '.pinned.reason == "stays"'
    expect 1 backup delete "$pinned" --really-last --children --yes
    says pinned
}

test_what_is_nowhere_else_is_exported() {
    printf '%s\n' 'name: lost' "select: {names: [$vm]}" 'operation: backup.create' "repository: $repository" 'time_zone: UTC' \
        'schedules: [{name: yearly, cron: "30 2 1 1 *"}]' >"$DIR/lost.yaml"
    expect 0 policy apply "$DIR/lost.yaml"
    expect 0 policy pause lost
    fleetsnap token create lost-bot --role viewer --json | jq -r .token | install -m 600 /dev/stdin "$secret"
    the_backup
    json .result.point >"$DIR/lost.pinned"
    expect 0 backup pin "$(<"$DIR/lost.pinned")" --reason stays
    expect 0 admin export "$file"
    equal "mode of the file" 600 "$(stat -c %a "$file")"
    truth "the file holds no token" eval '! grep -qF "$(<"$secret")" "$file"'
    backups >"$DIR/lost.known"
}

# Signed with the host's own key: only what it contradicts shows that it is a lie. It is gone with Kafka.
forge() { # JQ...: changes the end of the backup
    "$tools/kafka_record" status "$DIR/bundles/$host/host.key" "$(jq -c "$@" <<<"$event")" >/dev/null || fail "nothing was written"
}
stranger_found() {
    forge --arg id "$(</proc/sys/kernel/random/uuid)" '.job_id = $id | .accepted_at = (now | todate)'
    run history check --config "$config"
    [[ $out == *'a host had it, and the ledger does not know it'* ]]
}
test_history_check_finds_what_was_forged() {
    local config=$DIR/coordinator/coordinator.yaml event
    event=$(fleetsnap job show "$(<"$DIR/lost.pinned")" --json | jq -c '.events | map(select(.state == "SUCCEEDED")) | last')
    expect 0 history check --config "$config"
    says 'each job ends once' 'of them not ended yet'
    forge '.seq += 1 | .state = "FAILED"'
    expect_json 1 history check --config "$config"
    holds --arg id "$(<"$DIR/lost.pinned")" '.broken == 1 and .findings[0].rule == "ends" and .findings[0].subject == $id and (.findings[0].records | length) == 2'
    holds '.findings[0].text == "it ended as SUCCEEDED, and once more as FAILED"'
    eventually 60 "a job that nobody asked for is found" stranger_found # once the ledger is old enough to tell it from one that it had lost
    equal "exit code" 1 "$code"
    expect 2 history check
}

test_kafka_is_lost() {
    known=$(<"$DIR/lost.known") pinned=$(<"$DIR/lost.pinned")
    stop_all
    bring_back
    it_is_all_there
    the_backup # asked for again: the host's journal answers
    equal "backups of that request" 1 "$(of_request)"
}

test_all_is_lost_but_the_repositories_and_a_journal() {
    known=$(<"$DIR/lost.known") pinned=$(<"$DIR/lost.pinned")
    stop_all
    "$stack" redis empty "$DIR" || fail "redis does not start again"
    rm -rf "$(host_folder "$other")/state" # the journal of the other host is what tells a repeat
    bring_back
    it_is_all_there
    the_backup
    equal "backups of that request" 1 "$(of_request)"
    expect 0 backup create "$host/$vm" --repository "$repository"
}

test_as_before() {
    pinned=$(<"$DIR/lost.pinned")
    expect 0 backup unpin "$pinned"
    expect 0 policy delete lost --yes
    expect 0 token revoke lost-bot
    rm -f "$file" "$secret" "$DIR"/lost.*
    eventually 60 "doctor has nothing to say" doctor_green
}

e2e_main "$@"
