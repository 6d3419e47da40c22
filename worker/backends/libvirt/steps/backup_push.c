/*
 * push: watches the job that "begin" began until it has ended, and says how. It owns nothing: a restarted worker adopts the job by the folder that it writes to.
 *
 * libvirt says when the job has ended, so nothing is asked for that. What is asked meanwhile is what costs QEMU nothing (is the job there, does the guest run, how much room is
 * left), several times a second; how far it is takes a turn of QEMU's main loop, which is copying, and is asked for twice a second.
 *
 * A worker that is killed while libvirt (inside it, or a libvirtd that is killed) takes in the end of the first of several disks leaves a job that libvirt believes in and
 * QEMU has no more, for ever. So a job without any block job is ended after a while and the backup made again: how it went, nobody knows.
 *
 * A guest must never wait for our disk. Where the target fills up, QEMU fails the guest's own writes and pauses it (its copy-before-write has no other answer before
 * libvirt offers one), so the room is looked at several times a second, and at once when QEMU has written as much as there was room for, and the job ended before; and a guest that is found paused by an I/O error while
 * our job runs is set free at once: first the job is aborted, then the guest is resumed, and its write is repeated by the device.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_threshold.h"
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/news.h"

#include <stdio.h>
#include <string.h>

enum {
    STALLED_MS = 30000, /* libvirt hears of an end late where many ask it much */
    LOOK_MS = 100,
    LOOK_FIRST_MS = 10,
    MEASURE_MS = 500,
    RATE_UNKNOWN = -1,
    OPERATION_BACKUP = VIR_DOMAIN_JOB_OPERATION_BACKUP
};

struct push {
    const struct step_run *run;
    const struct step *step;
    virDomainPtr domain;
    struct repository repository;
    struct chain_lease lease;
    int64_t rate;
    int64_t processed, total;
    int64_t alive_ms;    /* monotonic: when a block job was last seen, or something moved */
    int64_t measured_ms; /* monotonic: when QEMU was last asked how far it is */
    bool threshold_set;
    struct news_listener news;
};

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const char *name = step_subject(run);
    const struct params_backup_create *params = run->job->params;
    CLEANUP(freep) char *disks = strdup(step_arg(step, "disks"));
    char *rest = NULL;

    (void)lost;
    if (!disks)
        return err_memory(err, "disks");
    for (char *disk = strtok_r(disks, " ", &rest); params->rate_limit && disk; disk = strtok_r(NULL, " ", &rest))
        text_addf(command, "virsh blockjob '%s' %s --bandwidth ...\n", name, disk);
    text_addf(command, "virsh domjobinfo '%s'   # until it has ended", name);
    return 0;
}

/* ---- rate ---- */

/* It was set when the push began; here it follows changes. Set once in any case: a worker that died may have set another. */
static void set_rate(struct push *push)
{
    int64_t rate = attempt_rate_limit(push->run->attempt);

    if (rate == push->rate)
        return;
    push->rate = rate;
    backup_set_rate(push->domain, step_arg(push->step, "disks"), rate);
}

/* ---- what must not happen ---- */

static int set_guest_free(struct push *push, struct err *err)
{
    if (!backup_stopped_guest(push->domain))
        return 0;
    if (backup_abort(push->domain, step_arg(push->step, "folder"), err) < 0)
        return -1;
    err_set(err, ERR_RETRY, "the repository did not take the guest's old data, which stopped the guest; it was resumed");
    return err_hint(err, "look at the repository: full, or failing?");
}

static int refuse_room(struct push *push, struct err *err)
{
    err_set(err, ERR_RETRY,
            "repository %s: no room: what must stay free is reached, and a full one would stop the guest",
            push->repository.name);
    return err_hint(err, "delete old backups, or add space");
}

static bool room_left(struct push *push)
{
    int64_t free_bytes, min_free;

    return repository_space(&push->repository, &free_bytes, &min_free, NULL) < 0 || free_bytes >= min_free;
}

static int watch_room(struct push *push, struct err *err)
{
    if (room_left(push))
        return 0;
    if (backup_abort(push->domain, step_arg(push->step, "folder"), err) < 0)
        return -1;
    return refuse_room(push, err);
}

/* Not at the very beginning: it takes a turn of QEMU's main loop, and a short push has ended before. */
static void set_threshold(struct push *push)
{
    int64_t free_bytes, min_free;

    if (!push->threshold_set && repository_space(&push->repository, &free_bytes, &min_free, NULL) == 0)
        backup_threshold_set(push->domain, free_bytes - min_free);
    push->threshold_set = true;
}

static bool any_block_job(struct push *push)
{
    CLEANUP(freep) char *disks = strdup(step_arg(push->step, "disks"));
    char *rest = NULL;
    virDomainBlockJobInfo info;

    if (!disks)
        return true;
    for (char *disk = strtok_r(disks, " ", &rest); disk; disk = strtok_r(NULL, " ", &rest))
        if (virDomainGetBlockJobInfo(push->domain, disk, &info, 0) != 0)
            return true; /* there is one, or it cannot be told */
    return false;
}

static int watch_stall(struct push *push, struct err *err)
{
    int64_t now = clock_monotonic_ms();

    if (any_block_job(push))
        push->alive_ms = now;
    if (now - push->alive_ms < STALLED_MS)
        return 0;
    if (backup_abort(push->domain, step_arg(push->step, "folder"), err) < 0)
        return -1;
    return err_set(err, ERR_RETRY, "libvirt lost the end of the backup job in a restart: it is made again");
}

/* ---- the job ---- */

struct job_stats {
    int type, operation, success;
    char *message;
};

static void stats_end(struct job_stats *stats)
{
    free(stats->message);
}

static int read_stats(struct push *push, unsigned flags, struct job_stats *out, struct err *err)
{
    virTypedParameterPtr params = NULL;
    int count = 0;
    unsigned long long value;
    const char *message = NULL;

    if (virDomainGetJobStats(push->domain, &out->type, &params, &count, flags) < 0)
        return libvirt_err(err, "job of %s", step_subject(push->run));
    virTypedParamsGetInt(params, count, VIR_DOMAIN_JOB_OPERATION, &out->operation);
    virTypedParamsGetBoolean(params, count, VIR_DOMAIN_JOB_SUCCESS, &out->success);
    if (virTypedParamsGetULLong(params, count, VIR_DOMAIN_JOB_DISK_TOTAL, &value) == 1)
        push->total = (int64_t)value;
    if (virTypedParamsGetULLong(params, count, VIR_DOMAIN_JOB_DISK_PROCESSED, &value) == 1)
        push->processed = (int64_t)value;
    if (virTypedParamsGetString(params, count, VIR_DOMAIN_JOB_ERRMSG, &message) == 1 && message)
        out->message = strdup(message);
    virTypedParamsFree(params, count);
    return 0;
}

/*
 * The job has ended for libvirt before QEMU has written and closed the files; until then they are locked and not whole. Statistics wait for libvirt's work on the domain, which
 * closes the files, but no longer than half a minute. 1: all is closed. 0: not yet.
 */
static int look_closed(struct push *push, struct err *err)
{
    CLEANUP(stats_end) struct job_stats stats = {0};

    if (read_stats(push, 0, &stats, err) == 0 || virDomainIsActive(push->domain) == 0)
        return 1;
    return err->code == VIR_ERR_OPERATION_TIMEOUT ? 0 : -1;
}

static int wait_closed(struct push *push, struct err *err)
{
    int closed;

    while ((closed = look_closed(push, err)) == 0) {
        chain_lease_tick(&push->lease);
        if (step_cancelled(push->run))
            return err_set(err, ERR_CANCELLED, "asked to stop");
    }
    return closed < 0 ? -1 : 0;
}

static int verdict(struct push *push, struct err *err)
{
    CLEANUP(stats_end) struct job_stats stats = {0};

    if (read_stats(push, VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED, &stats, err) < 0)
        return -1;
    if (stats.operation != OPERATION_BACKUP)
        return err_set(err, ERR_RETRY, "the backup job is gone, and its end is not known");
    if (stats.success)
        return 0;
    if (push->repository.path && !room_left(push))
        return refuse_room(push, err);
    return err_set(err, ERR_RETRY, "the hypervisor could not finish: %s",
                   stats.message ? stats.message : "no reason given");
}

/* 1: it still runs. 0: it has ended. */
static int look(struct push *push, struct err *err)
{
    enum running_backup running;

    if (backup_running(push->domain, step_arg(push->step, "folder"), &running, err) < 0)
        return virDomainIsActive(push->domain) == 0 ? 0 : -1;
    return running == BACKUP_OURS;
}

static int measure(struct push *push, struct err *err)
{
    CLEANUP(stats_end) struct job_stats stats = {0};
    int64_t before = push->processed;

    if (clock_monotonic_ms() - push->measured_ms < MEASURE_MS)
        return 0;
    if (read_stats(push, 0, &stats, err) < 0)
        return virDomainIsActive(push->domain) == 0 ? 0 : -1;
    push->measured_ms = clock_monotonic_ms();
    set_rate(push);
    set_threshold(push);
    attempt_progress(push->run->attempt, push->processed, push->total);
    if (push->processed == before)
        return watch_stall(push, err);
    push->alive_ms = push->measured_ms;
    return 0;
}

static int watch(struct push *push, struct err *err)
{
    int running, look_ms = LOOK_FIRST_MS;

    push->alive_ms = push->measured_ms = clock_monotonic_ms();
    while ((running = look(push, err)) > 0) {
        chain_lease_tick(&push->lease);
        if (set_guest_free(push, err) < 0 || watch_room(push, err) < 0 || measure(push, err) < 0)
            return -1;
        if (step_cancelled(push->run))
            return err_set(err, ERR_CANCELLED, "asked to stop");
        look_ms = news_flowing() || look_ms > LOOK_MS / 2 ? LOOK_MS : look_ms * 2;
        news_wait(&push->news, look_ms);
    }
    if (running < 0)
        return -1;
    if (virDomainIsActive(push->domain) == 1 && set_guest_free(push, err) < 0)
        return -1;
    return wait_closed(push, err) < 0 ? -1 : verdict(push, err);
}

static void push_end(struct push *push)
{
    news_end(&push->news);
    domain_freep(&push->domain);
    repository_clear(&push->repository);
    chain_lease_endp(&push->lease);
}

static int open_push(struct push *push, struct err *err)
{
    news_listen(&push->news, push->run->job->target.id);
    if (step_domain(push->run, &push->domain, err) < 0 ||
        repository_open(step_arg(push->step, "repository"), NULL, &push->repository, err) < 0)
        return -1;
    return chain_lease_take(&push->lease, push->run, step_arg(push->step, "chain_folder"), err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(push_end) struct push push = {.run = run, .step = step, .rate = RATE_UNKNOWN};

    if (open_push(&push, err) < 0 || watch(&push, err) < 0)
        return -1;
    if (push.total && facts_set_int(learned, "pushed_bytes", push.total, err) < 0)
        return -1;
    return 0;
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    struct err why = {0};

    (void)learned;
    if (step_domain(run, &domain, &why) < 0)
        return why.code == VIR_ERR_NO_DOMAIN ? 0 : (*err = why, -1);
    return backup_abort(domain, step_arg(step, "folder"), err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    CLEANUP(push_end) struct push push = {.run = run, .step = step};
    enum running_backup running;
    int closed = 1;

    (void)learned;
    if (step_domain(run, &push.domain, err) < 0 ||
        backup_running(push.domain, step_arg(step, "folder"), &running, err) < 0 ||
        (running == BACKUP_NONE && (closed = look_closed(&push, err)) < 0))
        return -1;
    if (running == BACKUP_OURS)
        *out = SETTLED_RUNNING;
    else if (!closed)
        *out = SETTLED_BUSY;
    else /* execute() looks at how the job ended, and says so */
        *out = verdict(&push, NULL) == 0 ? SETTLED_DONE : SETTLED_NOT_DONE;
    chain_lease_settle(run, step, *out);
    return 0;
}

const struct step_type step_backup_push = {
    .name = "push",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
