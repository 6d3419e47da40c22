/*
 * remove-target: says in the manifests of one target that their repository is out of the fleet. The catalogue is told the same, with the same revision; the data stays as it is, and
 * an import takes it in again.
 */
#include "base/clock.h"
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "# '%s/%s'/*/*/manifest.json: removed_at is now", repository_arg(step, "path"),
              repository_arg(step, "target"));
    return 0;
}

/* Marks what is not marked, or takes back what this job has marked. */
static int change(const struct step_run *run, const char *folder, bool back, struct err *err)
{
    CLEANUP(closep) int lock = -1;
    CLEANUP(point_endp) struct restore_point point = {0};
    const char *job = run->job->job_id;

    if (manifest_lock(folder, &lock, err) < 0 || manifest_read(folder, &point, err) < 0)
        return -1;
    bool ours = point.writer && strcmp(point.writer, job) == 0;
    if (point.state != POINT_COMPLETE || (back ? !point.removed_at_ms || !ours : point.removed_at_ms != 0))
        return 0;
    point.removed_at_ms = back ? 0 : clock_real_ms();
    point.revision++;
    return string_set(&point.writer, job, err) < 0 ? -1 : manifest_write(folder, &point, err);
}

static int change_all(const struct step_run *run, const struct step *step, bool back, struct err *err)
{
    const struct repository repository = {.path = (char *)repository_arg(step, "path"),
                                          .name = (char *)repository_arg(step, "path")};
    CLEANUP(points_clear) struct list points = {0};

    if (repository_points(&repository, repository_arg(step, "target"), false, &points, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < points.count; i++) {
        const struct restore_point *point = list_at(&points, struct restore_point, i);
        CLEANUP(freep) char *folder = NULL;

        if (repository_point_folder(&repository, repository_arg(step, "target"), NULL, point->id, &folder, err) < 0 ||
            change(run, folder, back, err) < 0)
            return -1;
    }
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)learned;
    return change_all(run, step, false, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    (void)learned;
    return change_all(run, step, true, err);
}

const struct step_type step_remove_target = {
    .name = "remove-target",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle_by_repeating, /* what is marked already is passed over */
};
