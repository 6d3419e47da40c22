/*
 * folder: makes the folder of the new restore point with its manifest in state incomplete: from here on whatever lies in it has a name, and clean knows whose it is.
 * Where the repository fails it cannot be taken back, and need not be: what lies there says of itself that it is incomplete. The target stays open for the next backup.
 * A parent is looked at again here, after our own manifest names it: a delete of the parent sees either ours, or we see that it is gone.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "mkdir -p '%s'\ncat > '%s/manifest.json' <<END\n%s\nEND", step_arg(step, "folder"),
              step_arg(step, "folder"), step_arg(step, "manifest"));
    return 0;
}

static int check_parent(const struct step *step, const struct restore_point *point, struct err *err)
{
    CLEANUP(point_endp) struct restore_point parent = {0};
    char folder[PATH_MAX];

    if (!point->parent || facts_get(&step->args, "own_chain")) /* a copy of a chain makes the parent itself */
        return 0;
    snprintf(folder, sizeof folder, "%s/%s", step_arg(step, "chain_folder"), point->parent);
    if (manifest_read(folder, &parent, err) < 0 || parent.state != POINT_COMPLETE)
        return err_set(err, ERR_RETRY, "the parent %s was deleted meanwhile", point->parent);
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(point_endp) struct restore_point point = {0}, found = {0};
    CLEANUP(chain_lease_endp) struct chain_lease lease = {0};
    const char *folder = step_arg(step, "folder"), *manifest = step_arg(step, "manifest");

    if (record_from_json_lenient(&restore_point_record, &point, manifest, strlen(manifest), err) < 0)
        return err_wrap(err, "draft of the manifest");
    if (manifest_read(folder, &found, NULL) == 0) /* an earlier attempt's own work */
        return 0;
    point.created_at_ms = clock_real_ms();
    if (file_make_directories(folder, 0755, err) < 0 ||
        chain_lease_take(&lease, run, step_arg(step, "chain_folder"), err) < 0 ||
        manifest_write(folder, &point, err) < 0 || check_parent(step, &point, err) < 0)
        return -1;
    return facts_set(learned, "folder", folder, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    const char *chain = step_arg(step, "chain_folder");
    char target[PATH_MAX];

    (void)learned;
    (void)err;
    lease_drop(chain, run->job->job_id);
    if (file_remove_folder(step_arg(step, "folder"), NULL) < 0)
        return 0;
    snprintf(target, sizeof target, "%s", chain);
    *strrchr(target, '/') = '\0';
    if (rmdir(chain) == 0) /* both fail, as they should, while something else is in them */
        rmdir(target);
    return 0;
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    CLEANUP(point_endp) struct restore_point found = {0};

    (void)run;
    (void)err;
    *out = manifest_read(step_arg(step, "folder"), &found, NULL) == 0 ? SETTLED_DONE : SETTLED_NOT_DONE;
    return *out == SETTLED_DONE ? facts_set(learned, "folder", step_arg(step, "folder"), err) : 0;
}

const struct step_type step_backup_folder = {
    .name = "folder",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
