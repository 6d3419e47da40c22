/*
 * import-target: reads what one target has. A restore point of a repository that was taken out of the fleet is taken in again: its manifest loses the mark, and its
 * revision rises above the one that the catalogue knows.
 */
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

#include <limits.h>
#include <stdio.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "cat '%s/%s'/*/*/manifest.json   # into the catalogue: %s", repository_arg(step, "path"),
              repository_arg(step, "target"), repository_arg(step, "points"));
    return 0;
}

static int take_in(const struct step_run *run, const struct repository *repository, const struct restore_point *known,
                   struct err *err)
{
    CLEANUP(closep) int lock = -1;
    CLEANUP(freep) char *folder = NULL;
    CLEANUP(point_endp) struct restore_point point = {0};

    if (!known->removed_at_ms)
        return 0;
    if (repository_point_folder(repository, known->target.id, known->chain, known->id, &folder, err) < 0 ||
        manifest_lock(folder, &lock, err) < 0 || manifest_read(folder, &point, err) < 0)
        return -1;
    if (!point.removed_at_ms || point.state != POINT_COMPLETE)
        return 0;
    point.removed_at_ms = 0;
    point.revision++;
    return string_set(&point.writer, run->job->job_id, err) < 0 ? -1 : manifest_write(folder, &point, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(strings_endp) struct strings damaged = {0};
    int64_t bytes = facts_get_int(run->known, "size_bytes", 0);

    if (repository_open(repository_arg(step, "path"), run->job->target.id, &repository, err) < 0 ||
        repository_points(&repository, repository_arg(step, "target"), false, &points, &damaged, err) < 0)
        return -1;
    for (size_t i = 0; i < points.count; i++) {
        bytes += list_at(&points, struct restore_point, i)->size_bytes;
        if (take_in(run, &repository, list_at(&points, struct restore_point, i), err) < 0)
            return -1;
    }
    if (facts_set_int(learned, "points", facts_get_int(run->known, "points", 0) + (int64_t)points.count, err) < 0 ||
        facts_set_int(learned, "damaged", facts_get_int(run->known, "damaged", 0) + (int64_t)damaged.count, err) < 0)
        return -1;
    return facts_set_int(learned, "size_bytes", bytes, err);
}

const struct step_type step_import_target = {
    .name = "import-target",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating,
};
