/* repository.check: check, for what lies beside the targets and then for each of them. What it finds is in the result, with the way out; nothing is changed by it. */
#include "worker/backends/repository/repository_backend.h"

static int64_t bytes_of(const struct repository *repository, const char *target)
{
    CLEANUP(points_clear) struct list points = {0};
    int64_t bytes = 0;

    if (repository_points(repository, target, false, &points, NULL, NULL) < 0)
        return 0; /* only the progress depends on it; the step will say what is wrong */
    for (size_t i = 0; i < points.count; i++) {
        const struct restore_point *point = list_at(&points, struct restore_point, i);

        for (size_t k = 0; k < point->disks.count; k++)
            if (list_at(&point->disks, struct point_disk, k)->sha256)
                bytes += list_at(&point->disks, struct point_disk, k)->stored_bytes;
    }
    return bytes;
}

static struct step *add(struct plan *plan, const struct repository *repository, const char *target, bool checksum,
                        struct err *err)
{
    return plan_add(plan, &step_repository_check, err, "path", repository->path, "target", target, "checksum",
                    checksum ? "yes" : NULL, NULL);
}

int plan_repository_check(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    const struct params_repository_check *params = job->params;
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(strings_endp) struct strings targets = {0};
    int64_t total = 0;

    if (repository_of_job(backend, job, &repository, err) < 0 || repository_targets(&repository, &targets, err) < 0 ||
        !add(plan, &repository, NULL, params->checksum, err))
        return -1;
    for (size_t i = 0; i < targets.count; i++) {
        struct step *step = add(plan, &repository, targets.items[i], params->checksum, err);

        if (!step || facts_set_int(&step->args, "before", total, err) < 0)
            return -1;
        total += params->checksum ? bytes_of(&repository, targets.items[i]) : 0;
    }
    for (size_t i = 0; i < plan->count; i++)
        if (facts_set_int(&plan->steps[i].args, "total", total, err) < 0)
            return -1;
    return facts_set_int(&plan->facts, "targets", (int64_t)targets.count, err);
}

int report_repository_check(struct backend *backend, const struct job *job, const struct facts *known,
                            struct report *report, struct err *err)
{
    (void)backend;
    (void)job;
    (void)known;
    return findings_report(report, err);
}
