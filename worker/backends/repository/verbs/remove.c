/*
 * repository.remove: check · marker · check · target … (or backups …). First the marker gets another name, so that nobody begins anything new there; then it is seen that nobody is
 * at it; then the catalogue's records of its backups are told that they are out of the fleet, or, if that was asked for, the backups are deleted.
 */
#include "base/parse.h"
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

#include <stdio.h>
#include <string.h>

enum { DELETED_TARGETS_MAX = 900 }; /* a fact for each */
static const char prefix[] = "deleted.";

struct removal {
    struct repository repository;
    struct plan *plan;
    bool delete_backups;
    int64_t points, bytes;
};

static void removal_endp(struct removal *removal)
{
    repository_clear(&removal->repository);
}

/* "id revision" of each, for the tombstones: when they are written the manifests are gone. */
static int note_deleted(struct removal *removal, const char *target, const struct list *points, struct err *err)
{
    CLEANUP(text_freep) struct text words = {0};
    char key[160];

    for (size_t i = 0; i < points->count; i++) {
        const struct restore_point *point = list_at(points, struct restore_point, i);

        text_addf(&words, "%s %lld\n", point->id, (long long)point->revision + 1);
    }
    snprintf(key, sizeof key, "%s%s", prefix, target);
    return words.failed ? err_memory(err, target) : facts_set(&removal->plan->facts, key, text_str(&words), err);
}

static int add_target(struct removal *removal, const char *target, struct err *err)
{
    CLEANUP(points_clear) struct list points = {0};
    const struct step_type *type = removal->delete_backups ? &step_remove_backups : &step_remove_target;
    const char *machine = target;
    int64_t bytes = 0;

    if (repository_points(&removal->repository, target, false, &points, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < points.count; i++) {
        const struct restore_point *point = list_at(&points, struct restore_point, i);

        bytes += point->size_bytes;
        machine = point->target.name ? point->target.name : machine;
        if (strings_add(&removal->plan->taken_points, point->id, err) < 0)
            return -1;
    }
    struct step *step = plan_add(removal->plan, type, err, "path", removal->repository.path, "target", target,
                                 "machine", machine, NULL);
    if (!step || facts_set_int(&step->args, "points", (int64_t)points.count, err) < 0 ||
        facts_set_int(&step->args, "bytes", bytes, err) < 0)
        return -1;
    removal->points += (int64_t)points.count;
    removal->bytes += bytes;
    return removal->delete_backups ? note_deleted(removal, target, &points, err) : 0;
}

static int add_check(struct removal *removal, struct err *err)
{
    return plan_add(removal->plan, &step_remove_check, err, "path", removal->repository.path, NULL) ? 0 : -1;
}

static int lose(struct removal *removal, size_t targets, struct err *err)
{
    char size[32];

    format_size(removal->bytes, size, sizeof size);
    if (removal->delete_backups)
        return plan_lose(removal->plan, err, "%lld backups of %zu machines, %s, for good", (long long)removal->points,
                         targets, size);
    return plan_lose(removal->plan, err, "the fleet's knowledge of %lld backups of %zu machines; their %s stay in %s",
                     (long long)removal->points, targets, size, removal->repository.path);
}

int plan_repository_remove(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    const struct params_repository_remove *params = job->params;
    CLEANUP(removal_endp) struct removal removal = {.plan = plan, .delete_backups = params->delete_backups};
    CLEANUP(strings_endp) struct strings targets = {0};

    if (repository_of_job(backend, job, &removal.repository, err) < 0 ||
        repository_targets(&removal.repository, &targets, err) < 0)
        return -1;
    if (params->delete_backups && targets.count > DELETED_TARGETS_MAX) {
        err_set(err, ERR_PERMANENT, "repository %s has backups of %zu machines; at most %d are deleted at once",
                removal.repository.name, targets.count, DELETED_TARGETS_MAX);
        return err_hint(err, "fleetsnap backup delete ID --all, machine by machine");
    }
    if (asprintf(&plan->pins_key, "repository:%s", removal.repository.id) < 0)
        return plan->pins_key = NULL, err_memory(err, "pins");
    if (add_check(&removal, err) < 0 ||
        !plan_add(plan, &step_remove_marker, err, "path", removal.repository.path, "name", removal.repository.name,
                  NULL) ||
        add_check(&removal, err) < 0)
        return -1;
    for (size_t i = 0; i < targets.count; i++)
        if (add_target(&removal, targets.items[i], err) < 0)
            return -1;
    if (facts_set_int(&plan->facts, "points", removal.points, err) < 0 ||
        facts_set_int(&plan->facts, "size_bytes", removal.bytes, err) < 0)
        return -1;
    return lose(&removal, targets.count, err);
}

static int report_deleted(const char *words, struct report *report, struct err *err)
{
    char id[64];
    long long revision;
    int used;

    for (; sscanf(words, "%63s %lld\n%n", id, &revision, &used) == 2; words += used)
        if (report_add_tombstone(report, id, revision, err) < 0)
            return -1;
    return 0;
}

static int report_removed(const struct repository *repository, const char *target, struct report *report,
                          struct err *err)
{
    CLEANUP(points_clear) struct list points = {0};

    if (repository_points(repository, target, false, &points, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < points.count; i++) {
        struct restore_point *point = list_at(&points, struct restore_point, i);
        struct restore_point *slot = point->removed_at_ms ? report_add_point(report, err) : NULL;

        if (!slot && point->removed_at_ms)
            return -1;
        if (!slot)
            continue;
        *slot = *point;
        *point = (struct restore_point){0};
    }
    return 0;
}

int report_repository_remove(struct backend *backend, const struct job *job, const struct facts *known,
                             struct report *report, struct err *err)
{
    const struct params_repository_remove *params = job->params;
    const struct repository repository = {.path = params->repository->path, .name = params->repository->name};
    CLEANUP(strings_endp) struct strings targets = {0};

    (void)backend;
    for (size_t i = 0; i < known->count; i++) {
        const struct fact *fact = &known->items[i];

        if (strncmp(fact->key, prefix, sizeof prefix - 1) != 0)
            continue;
        if (report_deleted(fact->value, report, err) < 0)
            return -1;
        facts_remove(&report->result->facts, fact->key);
    }
    if (params->delete_backups)
        return 0;
    if (repository_targets(&repository, &targets, err) < 0)
        return -1;
    for (size_t i = 0; i < targets.count; i++)
        if (report_removed(&repository, targets.items[i], report, err) < 0)
            return -1;
    return 0;
}
