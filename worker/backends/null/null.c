/*
 * The null backend: targets "null:<name>" that exist when they are named. Its one verb, noop, goes through the whole safe path and has no effect of its own, so that the cost of
 * that path can be measured and the loop tested without a hypervisor. Enabled only by configuration.
 *
 * Parameters make it behave: spin_us works for that long in a step that reads; fail ends that step with an error of that kind; destroys adds a step of class C whose effect, a line
 * in <state directory>/null/<target>, a test can count.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "model/inventory.h"
#include "model/job.h"
#include "worker/backend.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { NULL_SPIN_MAX_US = 60 * 1000000 };

extern const struct backend_ops null_backend_ops;

static enum err_kind failure_kind(const char *word)
{
    if (strcmp(word, "permanent") == 0)
        return ERR_PERMANENT;
    return strcmp(word, "unknown") == 0 ? ERR_UNKNOWN : ERR_RETRY;
}

static int spin_render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "spin %s µs", facts_get_or(&step->args, "us", "0"));
    return 0;
}

static int spin_execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    int64_t us = facts_get_int(&step->args, "us", 0);
    int64_t until = clock_monotonic_us() + us;
    const char *fail = facts_get(&step->args, "fail");

    while (clock_monotonic_us() < until) {
        if (attempt_cancelled(run->attempt))
            return err_set(err, ERR_CANCELLED, "spin: asked to stop");
        attempt_progress(run->attempt, us - (until - clock_monotonic_us()), us);
    }
    if (fail)
        return err_set(err, failure_kind(fail), "spin: told to fail");
    return facts_set_int(learned, "spun_us", us, err);
}

static const struct step_type step_spin = {
    .name = "spin", .class = STEP_READS, .render = spin_render, .execute = spin_execute};

static int mark_path(const struct step_run *run, char *out, size_t size, struct err *err)
{
    char folder[4096];

    snprintf(folder, sizeof folder, "%s/null", run->backend->config->state_directory);
    if (file_make_directories(folder, 0700, err) < 0)
        return -1;
    if ((size_t)snprintf(out, size, "%s/%s", folder, run->job->target.id) >= size)
        return err_set(err, ERR_PERMANENT, "null:%s: path too long", run->job->target.id);
    return 0;
}

static int mark_read(const struct step_run *run, bool *out_found, struct err *err)
{
    CLEANUP(freep) char *data = NULL;
    char path[4200];
    size_t len;

    *out_found = false;
    if (mark_path(run, path, sizeof path, err) < 0)
        return -1;
    if (!file_exists(path))
        return 0;
    if (file_read(path, 64 << 20, &data, &len, err) < 0)
        return -1;
    *out_found = strstr(data, run->job->job_id) != NULL;
    return 0;
}

static int mark_render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    (void)step;
    (void)err;
    text_addf(command, "mark null:%s", run->job->target.id);
    text_add(lost, "nothing, but it counts as if");
    return 0;
}

static int mark_execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(closep) int fd = -1;
    char path[4200], line[64];
    bool found;

    (void)step;
    if (mark_read(run, &found, err) < 0 || mark_path(run, path, sizeof path, err) < 0)
        return -1;
    if (found)
        return facts_set(learned, "mark", "found", err);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    snprintf(line, sizeof line, "%s\n", run->job->job_id);
    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line) || fsync(fd) < 0)
        return err_set(err, ERR_RETRY, "%s: cannot be written", path);
    return facts_set(learned, "mark", "made", err);
}

static int mark_settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                       struct err *err)
{
    bool found;

    (void)step;
    if (mark_read(run, &found, err) < 0)
        return -1;
    *out = found ? SETTLED_DONE : SETTLED_NOT_DONE;
    return found ? facts_set(learned, "mark", "found", err) : 0;
}

static const struct step_type step_mark = {
    .name = "mark",
    .class = STEP_DESTROYS,
    .final = true,
    .render = mark_render,
    .execute = mark_execute,
    .settle = mark_settle,
};

static int plan_noop(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    const struct params_noop *params = job->params;
    char us[32];

    (void)backend;
    if (strchr(job->target.id, '/') || job->target.id[0] == '.')
        return err_set(err, ERR_PERMANENT, "null:%s: no such target", job->target.id);
    if (params->spin_us < 0 || params->spin_us > NULL_SPIN_MAX_US)
        return err_set(err, ERR_PERMANENT, "noop: spin_us is 0 to %d", NULL_SPIN_MAX_US);
    snprintf(us, sizeof us, "%lld", (long long)params->spin_us);
    if ((params->spin_us || (params->fail && *params->fail)) &&
        !plan_add(plan, &step_spin, err, "us", us, "fail", params->fail && *params->fail ? params->fail : NULL, NULL))
        return -1;
    if (params->destroys && !plan_add(plan, &step_mark, err, NULL))
        return -1;
    return 0;
}

static int null_open(const struct backend_config *config, struct backend **out, struct err *err)
{
    struct backend *backend = calloc(1, sizeof *backend);

    if (!backend)
        return err_memory(err, "null backend");
    *backend = (struct backend){&null_backend_ops, config};
    *out = backend;
    return 0;
}

static void null_close(struct backend *backend)
{
    free(backend);
}

static int null_inventory(struct backend *backend, struct inventory_host *host, inventory_target_found *found,
                          void *context, struct err *err)
{
    struct inventory_backend *entry = list_add(&host->backends, &inventory_backend_record, err);

    (void)backend;
    (void)found;
    (void)context;
    if (!entry || string_set(&entry->kind, "null", err) < 0 || strings_add(&entry->verbs, op_names[OP_NOOP], err) < 0)
        return -1;
    entry->ok = true;
    return 0;
}

static const struct verb null_verbs[] = {{.op = OP_NOOP, .plan = plan_noop}, {0}};
static const struct step_type *const null_steps[] = {&step_spin, &step_mark, NULL};

const struct backend_ops null_backend_ops = {
    .kind = "null",
    .verbs = null_verbs,
    .steps = null_steps,
    .open = null_open,
    .close = null_close,
    .inventory = null_inventory,
    .only_here = true,
};
