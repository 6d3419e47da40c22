/*
 * delete-mark: from here on the point does not exist for any reader. Decided once more from the manifests as they are now; then the rename; then a look for leases: a
 * reader takes its lease before it reads the manifest, so either it sees the mark, or we see its lease and take the mark back.
 */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/delete_choice.h"

#include <stdio.h>
#include <string.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)err;
    text_addf(command, "mv '%s'/manifest.json '%s'/manifest.deleted.json", step_arg(step, "folder"),
              step_arg(step, "folder"));
    text_addf(lost, "restore point %s", step_arg(step, "point"));
    return 0;
}

static int split(const char *words, struct strings *out, struct err *err)
{
    CLEANUP(freep) char *copy = strdup(words);
    char *rest = NULL;

    if (!copy)
        return err_memory(err, "restore points");
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (strings_add(out, word, err) < 0)
            return -1;
    return 0;
}

static int decide_again(const struct step *step, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(strings_clear) struct strings set = {0};
    struct strings rest = {0};
    int failed;

    if (repository_open(step_arg(step, "repository"), NULL, &repository, err) < 0 ||
        repository_points(&repository, step_arg(step, "source"), true, &points, &rest, err) < 0 ||
        split(step_arg(step, "set"), &set, err) < 0)
        return -1;
    failed = delete_check(&points, &set, facts_get(&step->args, "really_last") != NULL, err);
    strings_clear(&rest);
    return failed;
}

static int mark(const struct step_run *run, const struct step *step, struct err *err)
{
    char chain[PATH_MAX];
    const char *folder = step_arg(step, "folder");

    if (manifest_mark_deleted(folder, err) < 0)
        return -1;
    snprintf(chain, sizeof chain, "%s", folder);
    *strrchr(chain, '/') = '\0';
    if (lease_check_free(chain, run->job->job_id, err) == 0)
        return 0;
    manifest_unmark_deleted(folder, NULL);
    return -1;
}

/* The tombstone closes the id for good, so its revision is above every one that the manifest can have had. */
static int learn(const struct step *step, const struct restore_point *point, struct facts *learned, struct err *err)
{
    char key[160];

    snprintf(key, sizeof key, "deleted.%s", step_arg(step, "point"));
    return facts_set_int(learned, key, point->revision + 1, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(closep) int lock = -1;
    CLEANUP(point_endp) struct restore_point point = {0};
    const char *folder = step_arg(step, "folder");

    if (!file_exists(folder))
        return 0;
    if (manifest_lock(folder, &lock, err) < 0 || manifest_read(folder, &point, err) < 0)
        return -1;
    if (point.state != POINT_DELETED && (decide_again(step, err) < 0 || mark(run, step, err) < 0))
        return -1;
    return learn(step, &point, learned, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    return file_exists(step_arg(step, "folder")) ? manifest_unmark_deleted(step_arg(step, "folder"), err) : 0;
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    CLEANUP(point_endp) struct restore_point point = {0};

    (void)run;
    *out = SETTLED_NOT_DONE;
    if (manifest_read(step_arg(step, "folder"), &point, NULL) < 0 || point.state != POINT_DELETED)
        return 0;
    *out = SETTLED_DONE;
    return learn(step, &point, learned, err);
}

const struct step_type step_delete_mark = {
    .name = "delete-mark",
    .class = STEP_DESTROYS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
