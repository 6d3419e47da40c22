/*
 * check: the last look before something is taken away: what the job expects, the snapshot, the files that it needs, and that nobody else's job runs.
 * It is journaled although it only looks: a worker that goes on after a crash in a later step would find a world that this plan itself has changed.
 * args: name (absent: no snapshot is meant), file:<n> (must exist)
 */
#include "worker/backends/libvirt/expect.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"

#include "base/file.h"

#include <string.h>

static int render_check(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                        struct err *err)
{
    (void)lost;
    (void)err;
    if (*step_get(step, "name"))
        text_addf(command, "virsh snapshot-info '%s' '%s'; ", step_target(run), step_get(step, "name"));
    text_addf(command, "virsh domjobinfo '%s'", step_target(run));
    return 0;
}

static int check_snapshot(virDomainPtr domain, const char *name, struct err *err)
{
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;

    if (snapshot_lookup(domain, name, &snapshot, err) < 0)
        return -1;
    return snapshot ? 0
                    : err_set(err, ERR_CONFLICT, "snapshot %s/%s: gone since the plan was made",
                              virDomainGetName(domain), name);
}

static int check_files(const struct step *step, struct err *err)
{
    for (size_t i = 0; i < step->args.count; i++) {
        const struct fact *fact = &step->args.items[i];

        if (strncmp(fact->key, "file:", 5) == 0 && !file_exists(fact->value))
            return err_set(err, ERR_CONFLICT, "%s: gone since the plan was made", fact->value);
    }
    return 0;
}

static int execute_check(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)learned;
    if (step_open(run, &domain, err) < 0 || expect_check(domain, run->job, err) < 0 ||
        libvirt_no_foreign_job(domain, err) < 0)
        return -1;
    if (*step_get(step, "name") && check_snapshot(domain, step_get(step, "name"), err) < 0)
        return -1;
    return check_files(step, err);
}

const struct step_type step_check = {
    .name = "check",
    .class = STEP_ADDS,
    .render = render_check,
    .execute = execute_check,
    .settle = settle_by_repeating, /* its successor has not begun: look again */
};
