/*
 * What fails around a backup, with a guest that writes all the time: the repository's disk, the room in it, QEMU itself. Whatever becomes of the job, the guest goes on (or is not stopped
 * by us), the outcome is true, and the next backup is right.
 */
#include "support/backup_rig.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { RUNS_AGAIN_MS = 5000 };

static struct rig rig;
static void (*fault)(struct rig *rig);

/* ---- the guest ---- */

static bool runs(void)
{
    int state;

    assert_int_equal(virDomainGetState(rig.domain, &state, NULL, 0), 0);
    return state == VIR_DOMAIN_RUNNING;
}

/* For as long as a job runs, how long the guest did not: looked at from beside the job. */
static struct watch {
    pthread_t thread;
    virDomainPtr domain;
    volatile bool over;
    int64_t longest_ms;
} watched;

static void *watch(void *context)
{
    int64_t since = 0;
    int state;

    (void)context;
    while (!watched.over) {
        bool stopped = virDomainGetState(watched.domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_PAUSED;

        if (stopped && !since)
            since = clock_monotonic_ms();
        if (since && clock_monotonic_ms() - since > watched.longest_ms)
            watched.longest_ms = clock_monotonic_ms() - since;
        if (!stopped)
            since = 0;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return NULL;
}

/* ---- jobs ---- */

static const char *fault_at; /* the step that has just begun */

static void at_phase(struct rig *host, const char *name)
{
    if (strcmp(name, fault_at) == 0)
        fault(host);
}

static struct job *full(const char *repository)
{
    struct job *job = rig_job(&rig, OP_BACKUP_CREATE);
    struct params_backup_create *params = job->params;

    params->kind = BACKUP_FULL;
    string_set(&params->repository->path, repository, NULL);
    return job;
}

static void watch_begin(void)
{
    watched = (struct watch){.domain = rig.domain};
    assert_int_equal(pthread_create(&watched.thread, NULL, watch, NULL), 0);
}

static void watch_end(void)
{
    watched.over = true;
    pthread_join(watched.thread, NULL);
}

static void with_fault(const char *step, void (*what)(struct rig *rig), const char *repository, struct outcome *out)
{
    static int pattern = 0x40;

    fault_at = step;
    fault = what;
    rig.on_phase = at_phase;
    rig_write(&rig, "vda", pattern++, "96M", "96M");
    watch_begin();
    rig_run(&rig, full(repository), out);
    watch_end();
    if (getenv("RIG_VERBOSE"))
        fprintf(stderr, "stopped for %d ms\n", (int)watched.longest_ms);
    rig.on_phase = NULL;
}

/* The guest was never stopped for long, and goes on; the job says what happened, and asks to be tried again. */
static void fails(const char *step, void (*what)(struct rig *rig), const char *repository, const char *text)
{
    struct outcome out;

    with_fault(step, what, repository, &out);
    if (out.kind != OUTCOME_RETRY || !strstr(out.err.text, text))
        fail_msg("outcome %d, state %d: %s", (int)out.kind, (int)out.state, out.err.text);
    assert_true(watched.longest_ms < RUNS_AGAIN_MS);
    outcome_clear(&out);
}

static void hang_and_kill(struct rig *host);

/* The guest holds still, so that its disk can be compared: with what it wrote, and with the next backup. */
static void next_is_right(void)
{
    struct restore_point point;
    char id[37], file[PATH_MAX], live[PATH_MAX];

    rig_wait_for_writes(&rig, 5);
    assert_int_equal(virDomainSuspend(rig.domain), 0);
    if (fault != hang_and_kill) /* what QEMU had in memory is lost with it, as in a power failure */
        rig_check_writes(&rig);
    rig_succeed(&rig, full(rig.repository), id);
    rig_manifest(&rig, id, &point);
    snprintf(file, sizeof file, "%s/%s/%s/%s/vda.qcow2", rig.repository, rig.uuid, point.chain, id);
    assert_true(rig_same(rig_disk(&rig, "vda.img", live), "qcow2", file, "qcow2"));
    restore_point_clear(&point);
    assert_int_equal(virDomainResume(rig.domain), 0);
    rig_wait_for_writes(&rig, 2);
}

/* ---- faults ---- */

static void open_disk(void)
{
    if (access("/dev/loop-control", F_OK) != 0)
        skip(); /* in a container, say: there is no file system that could fail */
    rig_disk_repository(&rig);
}

static pthread_t beside;

static void in_a_moment(struct rig *host, void *(*what)(void *host))
{
    assert_int_equal(pthread_create(&beside, NULL, what, host), 0);
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static void *break_it(void *host)
{
    pause_ms(500); /* the guest writes where the push has not been, several times */
    rig_break_repository(host);
    rig_hang_repository(host, false);
    return NULL;
}

/* What QEMU has on its way, of the push and of the guest's own writes, waits, and then fails all at once. */
static void hang_and_fail(struct rig *host)
{
    rig_hang_repository(host, true);
    in_a_moment(host, break_it);
}

static void the_disk_of_the_repository_fails(void **state)
{
    (void)state;
    open_disk();
    fails("push", hang_and_fail, rig.small, "Input/output error");
    pthread_join(beside, NULL);
    assert_true(runs());
    rig_drop_small_repository(&rig);
    next_is_right();
}

/* Somebody else takes the room that was found, but for a little. */
static void nearly_fill(struct rig *host)
{
    char path[PATH_MAX];
    struct stat filler;

    rig_fill_repository(host);
    snprintf(path, sizeof path, "%s/filler", host->small);
    assert_int_equal(stat(path, &filler), 0);
    assert_int_equal(truncate(path, filler.st_size - (8 << 20)), 0);
}

static void the_repository_fills(void **state)
{
    (void)state;
    rig_small_repository(&rig, 300);
    fails("backup-begin", nearly_fill, rig.small, "");
    assert_true(runs());
    rig_drop_small_repository(&rig);
    next_is_right();
}

static void *come_back(void *host)
{
    pause_ms(1500);
    rig_hang_repository(host, false);
    return NULL;
}

static void hang_for_a_while(struct rig *host)
{
    rig_hang_repository(host, true);
    in_a_moment(host, come_back);
}

/* As a mount hangs whose server is away: for as long as that is, nobody can end what waits for it. */
static void the_repository_hangs(void **state)
{
    struct outcome out;

    (void)state;
    open_disk();
    with_fault("push", hang_for_a_while, rig.small, &out);
    pthread_join(beside, NULL);
    assert_int_equal(out.kind, OUTCOME_ENDED);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_true(watched.longest_ms < RUNS_AGAIN_MS);
    outcome_clear(&out);
    assert_true(runs());
    rig_drop_small_repository(&rig);
    next_is_right();
}

/* It dies when what it waits for comes back. */
static void hang_and_kill(struct rig *host)
{
    hang_for_a_while(host);
    rig_kill_qemu(host);
}

static void qemu_is_killed(void **state)
{
    (void)state;
    open_disk();
    fails("push", hang_and_kill, rig.small, "could not finish");
    pthread_join(beside, NULL);
    rig_drop_small_repository(&rig);
    rig_power(&rig, true);
    next_is_right();
}

static int set_up(void **state)
{
    (void)state;
    rig_prepare(&rig, "web-1");
    rig_boot_writer(&rig);
    rig.error_policy = "stop";
    rig_connect(&rig);
    rig_power(&rig, true);
    rig_wait_for_writes(&rig, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_disk_of_the_repository_fails),
        cmocka_unit_test(the_repository_fills),
        cmocka_unit_test(the_repository_hangs),
        cmocka_unit_test(qemu_is_killed),
    };

    if (!rig_possible()) {
        fprintf(stderr, "skipped: needs root and qemu-system-x86_64\n");
        return 0;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("libvirt faults", tests, set_up, tear_down);
}
