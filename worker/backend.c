#include "worker/backend.h"

#include "base/err.h"
#include "model/restore_point.h"

#include <stdlib.h>
#include <string.h>

extern const struct backend_ops libvirt_backend_ops, repository_backend_ops, null_backend_ops;

const struct backend_ops *const backend_table[] = {
    &libvirt_backend_ops,
    &repository_backend_ops,
    &null_backend_ops,
    NULL,
};

const struct backend_ops *backend_find(const char *kind)
{
    for (const struct backend_ops *const *ops = backend_table; *ops; ops++)
        if (strcmp((*ops)->kind, kind) == 0)
            return *ops;
    return NULL;
}

const struct verb *backend_verb(const struct backend_ops *ops, enum op op)
{
    for (const struct verb *verb = ops->verbs; verb->op != OP_NONE; verb++)
        if (verb->op == op)
            return verb;
    return NULL;
}

const struct step_type *backend_step(const struct backend_ops *ops, const char *name)
{
    if (strcmp(name, step_barrier.name) == 0)
        return &step_barrier;
    for (const struct step_type *const *type = ops->steps; *type; type++)
        if (strcmp((*type)->name, name) == 0)
            return *type;
    return NULL;
}

static struct catalog_change *report_grow(struct report *report, struct err *err)
{
    struct catalog_change *changes = reallocarray(report->changes, report->change_count + 1, sizeof *changes);

    if (!changes) {
        err_memory(err, "report");
        return NULL;
    }
    report->changes = changes;
    changes[report->change_count] = (struct catalog_change){0};
    return &changes[report->change_count];
}

struct restore_point *report_add_point(struct report *report, struct err *err)
{
    struct catalog_change *change = report_grow(report, err);

    if (!change)
        return NULL;
    change->point = calloc(1, sizeof *change->point);
    if (!change->point) {
        err_memory(err, "report");
        return NULL;
    }
    report->change_count++;
    return change->point;
}

int report_add_tombstone(struct report *report, const char *id, int64_t revision, struct err *err)
{
    struct catalog_change *change = report_grow(report, err);

    if (!change || !(change->id = strdup(id)))
        return err_memory(err, "report");
    change->revision = revision;
    report->change_count++;
    return 0;
}
