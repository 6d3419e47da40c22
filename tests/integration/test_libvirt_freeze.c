/*
 * A guest that is frozen for a moment, on a small real guest with the real agent: whatever the agent does, and whatever the worker does, it is thawed, and what the job says of it is true.
 */
#include "support/snapshot_scene.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "worker/backends/libvirt/libvirt.h"

#include <libvirt/libvirt-qemu.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATIENCE_MS = 90000 };

static int open_with_guest(void **state)
{
    open_host(state);
    snap_start_real(&rig);
    return 0;
}

static bool frozen(void)
{
    long long seconds;
    unsigned nanoseconds;

    return virDomainGetTime(rig.host.domain, &seconds, &nanoseconds, 0) <
           0; /* an agent that has frozen refuses all but a few commands */
}

static void a_quiesced_snapshot(void **state)
{
    struct outcome out = {0};
    struct job *job = create("quiet");

    (void)state;
    snap_create_params(job)->quiesce = QUIESCE_REQUIRE;
    snap_ok(&rig, job, &out);
    assert_string_equal(facts_get(&out.report.result->facts, "level"), "filesystem");
    assert_true(facts_get_int(&out.report.result->facts, "frozen_ms", -1) > 0);
    assert_true(facts_get_int(&out.report.result->facts, "frozen", -1) > 0);
    if (getenv("RIG_VERBOSE"))
        fprintf(stderr, "frozen %s ms\n", facts_get(&out.report.result->facts, "frozen_ms"));
    outcome_clear(&out);
    assert_false(frozen());
    snap_ok(&rig, del("quiet"), NULL);
}

static void a_worker_dies_with_a_quiesced_snapshot(void **state)
{
    struct job *job = create("quiet");

    (void)state;
    snap_create_params(job)->quiesce = QUIESCE_REQUIRE;
    assert_true(snap_dies_at(&rig, job, 1));
    assert_false(frozen());
    assert_int_equal(snap_count(&rig), 1);
    snap_ok(&rig, del("quiet"), NULL);
}

static void nobody_stays_frozen(void **state)
{
    struct facts known = {0};
    struct job *job = create("never");
    struct step step = {.type = &step_freeze, .class = STEP_ADDS};
    struct step_run run = {rig.backend, job, &known, NULL};
    int64_t until = clock_monotonic_ms() + 60000;
    struct err err = {0};

    (void)state;
    rig.host.config.frozen_limit_ms = 2000; /* long enough to be seen frozen on a busy machine */
    facts_set(&step.args, "quiesce", "require", &err);
    if (step_freeze.execute(&run, &step, &known, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(frozen());
    while (frozen() && clock_monotonic_ms() < until)
        ;
    assert_false(frozen());
    assert_int_equal(step_thaw.execute(&run, &step, &known, &err), 0);
    assert_string_equal(facts_get(&known, "thawed_early"), "1");
    rig.host.config.frozen_limit_ms = 5000;
    facts_clear(&known);
    facts_clear(&step.args);
    job_free(job);
}

/* The guard thaws at once: the snapshot is not what was demanded, so it goes, and the job is tried again. */
static void a_required_freeze_lasts_or_nothing_is_made(void **state)
{
    struct job *job = create("never");

    (void)state;
    snap_create_params(job)->quiesce = QUIESCE_REQUIRE;
    rig.host.config.frozen_limit_ms = 1;
    snap_refused(&rig, job, ERR_RETRY, "thawed before the point in time was complete");
    rig.host.config.frozen_limit_ms = 5000;
    assert_false(frozen());
    assert_int_equal(snap_count(&rig), 0);
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* A backup of someone else, which lasts until it is aborted. */
static void begin_foreign_backup(void)
{
    char xml[512];

    snprintf(xml, sizeof xml,
             "<domainbackup mode='pull'><server transport='tcp' name='127.0.0.1' port='%d'/><disks><disk name='vda'>"
             "<scratch file='%s/disks/scratch'/></disk></disks></domainbackup>",
             free_port(), rig.host.root);
    if (virDomainBackupBegin(rig.host.domain, xml, NULL, 0) < 0)
        fail_msg("%s", virGetLastErrorMessage());
}

/* The call after the freeze would wait for libvirt's place for a job, half a minute with a frozen guest. */
static void nothing_freezes_while_a_job_runs(void **state)
{
    struct facts known = {0};
    struct job *job = create("never");
    struct step step = {.type = &step_freeze, .class = STEP_ADDS};
    struct step_run run = {rig.backend, job, &known, NULL};
    struct err err = {0};

    (void)state;
    begin_foreign_backup();
    facts_set(&step.args, "quiesce", "prefer", &err);
    assert_true(step_freeze.execute(&run, &step, &known, &err) < 0);
    assert_non_null(strstr(err.text, "foreign job: another backup runs"));
    assert_false(frozen());
    assert_int_equal(virDomainAbortJob(rig.host.domain), 0);
    facts_clear(&known);
    facts_clear(&step.args);
    job_free(job);
}

/* ---- an agent that freezes, and does not say so ---- */

/* The number behind "key": in an answer of the agent; -1: none. */
static int number(const char *answer, const char *key)
{
    const char *at = answer ? strstr(answer, key) : NULL;

    return at ? atoi(at + strlen(key)) : -1;
}

static char *ask(const char *command)
{
    return virDomainQemuAgentCommand(rig.host.domain, command, 5, 0);
}

/* Runs it in the guest by the agent. The exit code; -1: the agent did not take it, or it does not end. */
static int in_guest(const char *script)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    char command[1024], question[128];

    snprintf(command, sizeof command,
             "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/bin/sh\",\"arg\":[\"-c\",\"%s\"]}}", script);
    CLEANUP(freep) char *begun = ask(command);
    snprintf(question, sizeof question, "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":%d}}",
             number(begun, "\"pid\":"));
    while (begun && clock_monotonic_ms() < until) {
        CLEANUP(freep) char *answer = ask(question);

        if (!answer)
            return -1;
        if (strstr(answer, "\"exited\":true"))
            return number(answer, "\"exitcode\":");
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return -1;
}

static void eventually_in_guest(const char *script)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;

    while (in_guest(script) != 0) {
        if (clock_monotonic_ms() > until)
            fail_msg("in the guest: %s", script);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
}

/* The agent is begun again with a hook: once, what a test puts into /run/trap is done when it is told to freeze, right before it does. */
static void set_hook(void)
{
    eventually_in_guest("mkdir -p /etc/qemu && echo '[general]' >/etc/qemu/qemu-ga.conf &&"
                        " echo 'fsfreeze-hook=/run/hook' >>/etc/qemu/qemu-ga.conf && echo '#!/bin/sh' >/run/hook &&"
                        " echo '! mv /run/trap /run/sprung || . /run/sprung' >>/run/hook && echo 'exit 0' >>/run/hook &&"
                        " chmod 755 /run/hook && pidof qemu-ga >/run/old");
    in_guest("(usleep 100000; kill -9 $(cat /run/old)) >/dev/null 2>&1 &");
    eventually_in_guest("! kill -0 $(cat /run/old)");
}

static void set_trap(const char *script)
{
    char line[256];

    snprintf(line, sizeof line, "echo '%s' >/run/trap", script);
    eventually_in_guest(line);
}

static struct job *backup(int quiesce)
{
    struct job *job = snap_job(&rig, OP_BACKUP_CREATE, NULL);
    struct params_backup_create *params = job->params;

    params->repository = rig_repository(&rig.host);
    params->quiesce = quiesce;
    return job;
}

/* What was done to the guest is over: it writes, and a backup may freeze it. */
static void the_next_one_is_right(void)
{
    struct outcome out = {0};

    eventually_in_guest("[ -e /run/sprung ] && rm /run/sprung && touch /data/written && sync");
    snap_ok(&rig, backup(QUIESCE_REQUIRE), &out);
    assert_string_equal(facts_get(&out.report.result->facts, "level"), "filesystem");
    outcome_clear(&out);
    assert_int_equal(in_guest("touch /data/written && sync"), 0);
}

static void wished(const char *trap)
{
    struct outcome out = {0};

    set_trap(trap);
    snap_ok(&rig, backup(QUIESCE_PREFER), &out);
    assert_string_equal(facts_get(&out.report.result->facts, "level"), "crash");
    assert_non_null(strstr(facts_get(&out.report.result->facts, "level_reason"), "freeze failed"));
    outcome_clear(&out);
    the_next_one_is_right();
}

/* It has frozen, whatever the call says: that a freeze was only wished for is no reason to leave the guest so. */
static void an_agent_dies_with_the_answer(void **state)
{
    static const char trap[] = "fsfreeze --freeze /data; kill -9 $(pidof qemu-ga)";

    (void)state;
    set_hook();
    wished(trap);
    set_trap(trap);
    snap_refused(&rig, backup(QUIESCE_REQUIRE), ERR_RETRY, "freeze");
    the_next_one_is_right();
}

/* Later than anybody waits for the freeze and for one thaw. Then it goes on where it was, and freezes. */
static void an_agent_answers_too_late(void **state)
{
    struct outcome out = {0};
    struct job *job = backup(QUIESCE_PREFER);

    (void)state;
    rig.host.config.agent_timeout_ms = 1000;
    set_trap("fsfreeze --freeze /data; sleep 4");
    snap_run(&rig, job, &out);
    if (out.kind == OUTCOME_ENDED && out.state == STATE_SUCCEEDED)
        assert_string_equal(facts_get(&out.report.result->facts, "level"), "crash");
    else if (out.kind != OUTCOME_RETRY)
        fail_msg("outcome %d, %s: %s", (int)out.kind, job_state_names[out.state], out.err.text);
    rig.host.config.agent_timeout_ms = 2000;
    the_next_one_is_right();
    outcome_clear(&out);
    job_free(job);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiesced_snapshot),
        cmocka_unit_test(a_worker_dies_with_a_quiesced_snapshot),
        cmocka_unit_test(nobody_stays_frozen),
        cmocka_unit_test(a_required_freeze_lasts_or_nothing_is_made),
        cmocka_unit_test(nothing_freezes_while_a_job_runs),
        cmocka_unit_test(an_agent_dies_with_the_answer),
        cmocka_unit_test(an_agent_answers_too_late),
    };

    return possible(argc, argv) ? cmocka_run_group_tests(tests, open_with_guest, close_host) : 77;
}
