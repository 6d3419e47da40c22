#include "worker/backends/libvirt/delete_choice.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "worker/repository.h"

#include <string.h>

/* That a copy did not boot is no damage: the guest may have no agent, or the host had no time for it. */
bool point_damaged(const struct restore_point *point)
{
    for (size_t i = point->verified.count; i-- > 0;) {
        const struct point_verification *each = list_at(&point->verified, struct point_verification, i);

        if (each->ok || each->depth != VERIFY_BOOT)
            return !each->ok;
    }
    return false;
}

bool point_good(const struct list *points, const struct restore_point *point)
{
    size_t depth = 0;

    for (; point && depth <= points->count; depth++) {
        if (point->state != POINT_COMPLETE || point_damaged(point))
            return false;
        if (!point->parent)
            return true;
        point = points_find(points, point->parent);
    }
    return false;
}

bool point_builds_on(const struct list *points, const struct restore_point *point, const char *ancestor)
{
    for (size_t depth = 0; point && point->parent && depth <= points->count; depth++) {
        if (strcmp(point->parent, ancestor) == 0)
            return true;
        point = points_find(points, point->parent);
    }
    return false;
}

static bool has_child_outside(const struct list *points, const char *id, const struct strings *set)
{
    for (size_t i = 0; i < points->count; i++) {
        const struct restore_point *point = list_at(points, struct restore_point, i);

        if (point->state != POINT_DELETED && point->parent && strcmp(point->parent, id) == 0 &&
            !strings_have(set, point->id))
            return true;
    }
    return false;
}

/* Adds what is wanted by rounds: a point whose children are all in already. */
static int add_leaves_first(const struct list *points, const struct strings *wanted, struct strings *out,
                            struct err *err)
{
    for (size_t before = out->count + 1; before != out->count;) {
        before = out->count;
        for (size_t i = points->count; i-- > 0;) {
            const char *id = list_at(points, struct restore_point, i)->id;

            if (strings_have(wanted, id) && !strings_have(out, id) && !has_child_outside(points, id, out) &&
                strings_add(out, id, err) < 0)
                return -1;
        }
    }
    return 0;
}

static int collect(const struct list *points, const char *point, int scope, struct strings *wanted, struct err *err)
{
    for (size_t i = 0; i < points->count; i++) {
        const struct restore_point *each = list_at(points, struct restore_point, i);
        bool self = point && strcmp(each->id, point) == 0;
        bool below = scope == SCOPE_CHILDREN && point && point_builds_on(points, each, point);

        if ((self || below || scope == SCOPE_ALL) && strings_add(wanted, each->id, err) < 0)
            return -1;
    }
    return 0;
}

static int refuse_children(const struct list *points, const char *point, struct err *err)
{
    size_t count = 0;

    for (size_t i = 0; i < points->count; i++)
        count += point_builds_on(points, list_at(points, struct restore_point, i), point);
    err_set(err, ERR_CONFLICT, "restore point %s: %zu later backup%s build%s on it", point, count,
            count == 1 ? "" : "s", count == 1 ? "s" : "");
    return err_hint(err, "--merge keeps them restorable without it, --children takes them too");
}

int delete_choose(const struct list *points, const char *point, int scope, bool merge, struct strings *out,
                  struct err *err)
{
    CLEANUP(strings_clear) struct strings wanted = {0};

    if (scope == SCOPE_CHILDREN_ONLY)
        return err_set(err, ERR_PERMANENT, "backup.delete has no scope children_only");
    if (collect(points, point, scope, &wanted, err) < 0)
        return -1;
    if (merge && wanted.count)
        return strings_add(out, point, err);
    if (scope == SCOPE_SELF && wanted.count && has_child_outside(points, point, &wanted))
        return refuse_children(points, point, err);
    return add_leaves_first(points, &wanted, out, err);
}

int delete_heirs(const struct list *points, const char *point, struct strings *out, struct err *err)
{
    for (size_t i = 0; i < points->count; i++) {
        const struct restore_point *child = list_at(points, struct restore_point, i);

        if (child->state == POINT_DELETED || !child->parent || strcmp(child->parent, point) != 0)
            continue;
        if (child->state != POINT_COMPLETE) {
            err_set(err, ERR_CONFLICT, "restore point %s: %s builds on it and is not complete", point, child->id);
            return err_hint(err, "wait for the job that makes it; what a killed one left: repository clean");
        }
        if (!point_good(points, child)) {
            err_set(err, ERR_CONFLICT, "restore point %s: the chain of %s was found damaged: a merge would hide that",
                    point, child->id);
            return err_hint(err, "--children takes what builds on it, too");
        }
        if (strings_add(out, child->id, err) < 0)
            return -1;
    }
    return 0;
}

int delete_check_last(const struct list *points, const struct strings *set, bool really_last, struct err *err)
{
    size_t taken = 0, left = 0;

    for (size_t i = 0; i < points->count; i++) {
        const struct restore_point *point = list_at(points, struct restore_point, i);

        if (point_good(points, point))
            *(strings_have(set, point->id) ? &taken : &left) += 1;
    }
    if (!taken || left || really_last)
        return 0;
    err_set(err, ERR_CONFLICT, "it would take the last good restore point of this target in this repository");
    return err_hint(err, "--really-last takes it all the same");
}

int delete_check(const struct list *points, const struct strings *set, bool really_last, struct err *err)
{
    for (size_t i = 0; i < points->count; i++) {
        const struct restore_point *point = list_at(points, struct restore_point, i);

        if (strings_have(set, point->id) && has_child_outside(points, point->id, set))
            return refuse_children(points, point->id, err);
    }
    return delete_check_last(points, set, really_last, err);
}
