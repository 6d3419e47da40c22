#include "worker/local_points.h"

#include "base/err.h"
#include "base/text.h"
#include "worker/repository.h"

#include <stdlib.h>
#include <string.h>

static int all_points(const struct repository *repository, struct list *out, struct strings *damaged, struct err *err)
{
    struct strings targets = {0};
    int failed = repository_targets(repository, &targets, err);

    for (size_t i = 0; i < targets.count && !failed; i++) {
        struct list points = {0};

        failed = repository_points(repository, targets.items[i], false, &points, damaged, err);
        for (size_t k = 0; k < points.count && !failed; k++) {
            struct restore_point *slot = list_add(out, &restore_point_record, err);

            failed = slot ? 0 : -1;
            if (slot) {
                *slot = *list_at(&points, struct restore_point, k);
                *list_at(&points, struct restore_point, k) = (struct restore_point){0};
            }
        }
        points_clear(&points);
    }
    strings_clear(&targets);
    return failed;
}

static int newest_first(const void *left, const void *right)
{
    const struct restore_point *a = left, *b = right;

    return a->created_at_ms < b->created_at_ms ? 1 : a->created_at_ms > b->created_at_ms ? -1 : strcmp(a->id, b->id);
}

int local_points(const struct repository *repository, struct list *out, struct strings *damaged, struct err *err)
{
    if (all_points(repository, out, damaged, err) < 0)
        return -1;
    if (out->count)
        qsort(out->items, out->count, sizeof(struct restore_point), newest_first);
    return 0;
}

static int several(const struct list *points, const char *prefix, struct err *err)
{
    struct text ids = {0};

    for (size_t i = 0; i < points->count; i++)
        if (strncmp(list_at(points, struct restore_point, i)->id, prefix, strlen(prefix)) == 0)
            text_addf(&ids, "%s%s", ids.len ? ", " : "", list_at(points, struct restore_point, i)->id);
    err_set(err, ERR_PERMANENT, "%s begins several backups: %.300s", prefix, text_str(&ids));
    text_free(&ids);
    return err_hint(err, "say more of it");
}

int local_point_choose(const struct list *points, const char *where, const char *backup,
                       const struct restore_point **out, struct err *err)
{
    const struct restore_point *found = NULL, *newest = NULL;

    for (size_t i = 0; i < points->count; i++) { /* newest first */
        const struct restore_point *point = list_at(points, struct restore_point, i);

        if (!newest && point->target.name && strcmp(point->target.name, backup) == 0)
            newest = point;
        if (strncmp(point->id, backup, strlen(backup)) != 0)
            continue;
        if (found && !newest)
            return several(points, backup, err);
        found = point;
    }
    *out = newest ? newest : found;
    if (*out)
        return 0;
    err_set(err, ERR_PERMANENT, "%s has no backup \"%s\", and none of a machine of that name", where, backup);
    return err_hint(err, "what is there: fleetsnap-worker restore --repository %s", where);
}
