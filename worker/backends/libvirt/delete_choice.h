#pragma once
/* What a backup.delete takes away, and whether it may: pure functions of the manifests. Asked by planning, and again under the lock right before the first effect. */
#include "model/job.h"
#include "model/restore_point.h"

/*
 * The ids to delete, children before parents; empty when the point is gone already. `points`: all of the target, in every state. Refuses a point that others build on, unless
 * the scope takes them too, or it is to be merged into them.
 */
int delete_choose(const struct list *points, const char *point, int scope, bool merge, struct strings *out,
                  struct err *err);
/*
 * The ids of those that build directly on `point`: into each of them it is merged. Refuses one that was not completed, and, where there are any, a point or a child that was found
 * damaged: a merge would give the damage a new checksum.
 */
int delete_heirs(const struct list *points, const char *point, struct strings *out, struct err *err);
/* Unless `really_last`, a good point remains where one is taken. A part of delete_check. */
int delete_check_last(const struct list *points, const struct strings *set, bool really_last, struct err *err);
bool point_builds_on(const struct list *points, const struct restore_point *point, const char *ancestor);
/* Nothing outside of `set` builds on something inside; and unless `really_last`, a good point remains where one is taken. */
int delete_check(const struct list *points, const struct strings *set, bool really_last, struct err *err);
/* Complete, with its whole chain, and not found damaged. */
bool point_good(const struct list *points, const struct restore_point *point);
/* The last verification found damage; one that only found that it does not boot is passed over. */
bool point_damaged(const struct restore_point *point);
