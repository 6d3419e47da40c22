/* The disk of the journal fills up: jobs are left in Kafka, what runs ends, and with room again everything goes on. The state directory is a small file system of its own. */
#include "tests/integration/support/fleet.h"

#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 90000 };

static void in_state(const struct fleet *fleet, char out[400], const char *name)
{
    snprintf(out, 400, "%s/state%s", fleet_directory(fleet), name);
}

static struct fleet *open_small(const char *host)
{
    struct fleet *fleet = fleet_open(host);
    char path[400];

    in_state(fleet, path, "");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mount("fleetsnap-test", path, "tmpfs", 0, "size=24m,mode=0700"), 0);
    return fleet;
}

static void close_small(struct fleet *fleet)
{
    char path[400];

    fleet_kill(fleet, SIGKILL);
    fleet_wait_exit(fleet, 60000);
    in_state(fleet, path, "");
    umount2(path, MNT_DETACH);
    fleet_close(fleet);
}

/* Leaves `left` bytes. */
static void fill(const struct fleet *fleet, uint64_t left)
{
    static const char block[4096];
    struct statvfs about;
    char path[400];

    in_state(fleet, path, "/ballast");
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (fstatvfs(fd, &about) == 0 && (uint64_t)about.f_bavail * about.f_frsize > left &&
           write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

static void make_room(const struct fleet *fleet)
{
    char path[400];

    in_state(fleet, path, "/ballast");
    assert_int_equal(unlink(path), 0);
}

static bool log_says(const struct fleet *fleet, const char *what)
{
    char path[400], line[1024];
    bool found = false;

    snprintf(path, sizeof path, "%s/log", fleet_directory(fleet));
    FILE *file = fopen(path, "r");
    while (file && !found && fgets(line, sizeof line, file))
        found = strstr(line, what) != NULL;
    if (file)
        fclose(file);
    return found;
}

static void begin(struct fleet *fleet, struct job *out, const char *target, int64_t spin_us)
{
    fleet_job(fleet, out, target);
    ((struct params_noop *)out->params)->spin_us = spin_us;
    ((struct params_noop *)out->params)->destroys = true;
    fleet_submit(fleet, out, NULL);
    fleet_flush(fleet);
}

static void ends_once(struct fleet *fleet, struct job *job)
{
    struct seen *seen = fleet_wait_end(fleet, job->job_id, PATIENCE_MS);

    if (seen->state != STATE_SUCCEEDED)
        fail_msg("%s %s", job_state_names[seen->state], seen->error);
    fleet_read(fleet, 300);
    assert_int_equal(seen->terminal, 1);
    job_clear(job);
}

static void with_little_room_jobs_stay_in_kafka(void **state)
{
    static const char *const options[] = {"--min_free=8MiB", "--heartbeat=1s", NULL};
    struct fleet *fleet = open_small("little");
    struct job running, left;

    (void)state;
    fleet_start(fleet, options);
    begin(fleet, &running, "r", 4000000);
    fleet_wait_state(fleet, running.job_id, STATE_RUNNING, PATIENCE_MS);
    fill(fleet, 4 << 20);
    for (int i = 0; i < 30 && !log_says(fleet, "no new job is accepted"); i++)
        fleet_read(fleet, 100);
    assert_true(log_says(fleet, "no new job is accepted"));
    begin(fleet, &left, "l", 0);
    ends_once(fleet, &running);
    fleet_read(fleet, 1000);
    assert_null(fleet_seen(fleet, left.job_id));
    assert_true(fleet_running(fleet));
    make_room(fleet);
    ends_once(fleet, &left);
    assert_true(log_says(fleet, "there is space again"));
    close_small(fleet);
}

/* Others filled it quicker than the worker looks: nothing can be written. It stops, and the next start goes on from what was written. */
static void without_room_it_stops_and_loses_nothing(void **state)
{
    static const char *const options[] = {"--min_free=0", NULL};
    struct fleet *fleet = open_small("none");
    struct job running, left;

    (void)state;
    fleet_start(fleet, options);
    begin(fleet, &running, "r", 2000000);
    fleet_wait_state(fleet, running.job_id, STATE_RUNNING, PATIENCE_MS);
    fill(fleet, 0);
    begin(fleet, &left, "l", 0);
    for (int i = 0; i < 4000; i++) { /* the log of the database may still have room for these */
        struct job job;
        if (!fleet_running(fleet))
            break;
        fleet_job(fleet, &job, "many");
        job.not_before_ms = clock_real_ms() + 3600000;
        fleet_submit(fleet, &job, NULL);
        job_clear(&job);
        if (i % 100 == 0)
            fleet_read(fleet, 10);
    }
    fleet_flush(fleet);
    int status = fleet_wait_exit(fleet, 60000);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    fleet_start(fleet, options); /* as systemd does: no room yet, it does not begin, or ends again */
    fleet_read(fleet, 2000);
    if (!fleet_running(fleet))
        fleet_wait_exit(fleet, 1000);
    make_room(fleet);
    if (!fleet_pid(fleet))
        fleet_start(fleet, options);
    ends_once(fleet, &running);
    ends_once(fleet, &left);
    close_small(fleet);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_little_room_jobs_stay_in_kafka),
        cmocka_unit_test(without_room_it_stops_and_loses_nothing),
    };

    if (unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) { /* mounts that end with this process */
        print_message("skipped: only root can mount (%s)\n", strerror(errno));
        return 0;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
