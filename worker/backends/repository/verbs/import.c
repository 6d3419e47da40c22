/*
 * repository.import: import-target …. The catalogue is made anew from the manifests alone: a record for every complete restore point, with the revision that its manifest has.
 * What the catalogue knows already is changed by none of them; what it has lost, or never knew, is there again.
 */
#include "worker/backends/repository/repository_backend.h"

#include <string.h>

int plan_repository_import(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(strings_endp) struct strings targets = {0};

    if (repository_of_job(backend, job, &repository, err) < 0 || repository_targets(&repository, &targets, err) < 0)
        return -1;
    for (size_t i = 0; i < targets.count; i++) {
        CLEANUP(points_clear) struct list points = {0};
        struct step *step;

        if (repository_points(&repository, targets.items[i], false, &points, NULL, err) < 0)
            return -1;
        step = plan_add(plan, &step_import_target, err, "path", repository.path, "target", targets.items[i], NULL);
        if (!step || facts_set_int(&step->args, "points", (int64_t)points.count, err) < 0)
            return -1;
    }
    return facts_set_int(&plan->facts, "targets", (int64_t)targets.count, err);
}

/* A point that names another repository, or stands in another's folder, would be refused by every reader of the catalogue. */
static bool belongs(const struct restore_point *point, const struct repository *repository, const char *target)
{
    return strcmp(point->target.id, target) == 0 &&
           (!point->repository || strcmp(point->repository, repository->id) == 0);
}

static int report_target(const struct repository *repository, const char *target, struct report *report, struct err *err)
{
    CLEANUP(points_clear) struct list points = {0};

    if (repository_points(repository, target, false, &points, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < points.count; i++) {
        struct restore_point *point = list_at(&points, struct restore_point, i), *slot;

        if (!belongs(point, repository, target))
            continue;
        slot = report_add_point(report, err);
        if (!slot)
            return -1;
        *slot = *point;
        *point = (struct restore_point){0};
        if (!slot->repository && string_set(&slot->repository, repository->id, err) < 0)
            return -1;
    }
    return 0;
}

int report_repository_import(struct backend *backend, const struct job *job, const struct facts *known,
                             struct report *report, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(strings_endp) struct strings targets = {0};

    (void)known;
    if (repository_of_job(backend, job, &repository, err) < 0 || repository_targets(&repository, &targets, err) < 0)
        return -1;
    for (size_t i = 0; i < targets.count; i++)
        if (report_target(&repository, targets.items[i], report, err) < 0)
            return -1;
    return 0;
}
