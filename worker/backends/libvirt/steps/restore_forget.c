/*
 * forget: checkpoints and snapshots belong to the old disks, and libvirt must not believe them of the new ones. Their XML is first saved beside the old disk, so
 * that undo (and whoever puts the old disks back later) can tell libvirt again. The disks themselves are not touched.
 */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/moments.h"

#include <stdio.h>
#include <string.h>

enum { SAVED_MAX = 64 << 20 };

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const char *name = step_subject(run);

    (void)step;
    (void)lost;
    (void)err;
    text_addf(
        command,
        "virsh checkpoint-delete '%s' NAME --metadata   # each\nvirsh snapshot-delete '%s' NAME --metadata   # each",
        name, name);
    return 0;
}

static int write_saved(const char *path, const struct facts *saved, struct err *err)
{
    CLEANUP(freep) char *json = NULL;

    if (facts_to_json(saved, &json, err) < 0)
        return -1;
    return file_write_atomic(path, json, strlen(json), 0600, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(facts_clearp) struct facts saved = {0};
    const char *path = step_arg(step, "saved");

    (void)learned;
    if (step_domain(run, &domain, err) < 0)
        return -1;
    if (!file_exists(path)) { /* a repetition must not save what is left of them */
        if (moments_save(domain, &saved, err) < 0)
            return -1;
        if (saved.count && (kept_add(run->backend->config, run->job->job_id, "moments", path, err) < 0 ||
                            write_saved(path, &saved, err) < 0))
            return -1;
    }
    return moments_forget(domain, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(facts_clearp) struct facts saved = {0};
    CLEANUP(freep) char *json = NULL;
    const char *path = step_arg(step, "saved");
    size_t len;

    (void)learned;
    if (!file_exists(path))
        return kept_remove(run->backend->config, run->job->job_id, "moments", err);
    if (step_domain(run, &domain, err) < 0 || file_read(path, SAVED_MAX, &json, &len, err) < 0 ||
        facts_from_json(&saved, json, err) < 0 || moments_set(domain, &saved, NULL, err) < 0)
        return -1;
    return file_remove(path, err) < 0 ? -1 : kept_remove(run->backend->config, run->job->job_id, "moments", err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    (void)run;
    (void)step;
    (void)learned;
    (void)err;
    *out = SETTLED_NOT_DONE; /* what is saved is saved once; forgetting again is harmless */
    return 0;
}

const struct step_type step_restore_forget = {
    .name = "restore-forget",
    .class = STEP_DESTROYS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
