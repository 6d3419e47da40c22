/*
 * What was kept, and what was deleted. A pin is in force some time after its record, when Redis has it; so it counts only for jobs that were asked for HISTORY_SLACK_MS later. Which restore
 * points there are is told by the catalog, which is compacted, and knows a repository only from when it was made here or imported: "the last good one" is judged only where the whole life of the
 * repository is there to be read.
 */
#include "base/err.h"
#include "coordinator/cli/history_internal.h"
#include "model/job.h"
#include "model/ledger_entry.h"
#include "model/restore_point.h"

#include <stdlib.h>
#include <string.h>

/* ---- pins ---- */

static struct pinned *find_open(struct pinned *pins, const char *id)
{
    for (; pins; pins = pins->next)
        if (!pins->over && pins->id == id)
            return pins;
    return NULL;
}

int kept_pin(struct history *history, const struct history_place *at, const struct ledger_entry *entry, struct err *err)
{
    const char *id = history_intern(&history->names, entry->id, err);
    struct pinned *pin = id ? find_open(history->pins, id) : NULL;

    if (!id)
        return -1;
    if (pin && entry->gone) {
        pin->over = true;
        pin->end = *at;
    }
    if (pin || entry->gone)
        return 0;
    if (!(pin = malloc(sizeof *pin)))
        return err_memory(err, "history");
    *pin = (struct pinned){.next = history->pins, .id = id, .begin = *at};
    history->pins = pin;
    return 0;
}

/* When the job was asked for, and still when it acted. */
static bool in_force(const struct pinned *pin, const struct judged_job *job, const struct history_place *at)
{
    return pin->begin.at_ms + HISTORY_SLACK_MS <= job->since_ms &&
           (!pin->over || pin->end.at_ms > at->at_ms + HISTORY_SLACK_MS);
}

/* ---- restore points ---- */

static struct judged_point *point_of(struct history *history, const unsigned char id[UUID_BYTES], bool make,
                                     struct err *err)
{
    static const struct history_place nowhere = {.offset = -1};
    struct judged_point *point;

    HASH_FIND(hh, history->points, id, UUID_BYTES, point);
    if (point || !make)
        return point;
    point = calloc(1, sizeof *point);
    if (!point) {
        err_memory(err, "history");
        return NULL;
    }
    memcpy(point->id, id, UUID_BYTES);
    point->first = point->gone = nowhere;
    HASH_ADD(hh, history->points, id, UUID_BYTES, point);
    return point;
}

/* As the worker decides it: that a copy did not boot is no damage. */
static int64_t damaged_since(const struct restore_point *point)
{
    for (size_t i = point->verified.count; i-- > 0;) {
        const struct point_verification *each = list_at(&point->verified, struct point_verification, i);

        if (each->ok || each->depth != VERIFY_BOOT)
            return each->ok ? 0 : each->at_ms;
    }
    return 0;
}

static struct point_group *group_of(struct history *history, const struct judged_point *point)
{
    struct point_group wanted, *group;

    memset(&wanted, 0, sizeof wanted);
    wanted.of.target = point->target;
    wanted.of.repository = point->repository;
    HASH_FIND(hh, history->groups, &wanted.of, sizeof wanted.of, group);
    return group;
}

static int join_group(struct history *history, struct judged_point *point, struct err *err)
{
    struct point_group *group = group_of(history, point);

    if (!group) {
        if (!(group = calloc(1, sizeof *group)))
            return err_memory(err, "history");
        group->of.target = point->target;
        group->of.repository = point->repository;
        HASH_ADD(hh, history->groups, of, sizeof group->of, group);
    }
    point->next = group->first;
    group->first = point;
    return 0;
}

static int learn_point(struct history *history, const struct history_place *at, struct judged_point *point,
                       const struct restore_point *said, struct err *err)
{
    char target[TARGET_TEXT];

    if (!point->known) { /* whose and where it is never changes */
        point->first = *at;
        point->target = history_intern(&history->names, target_format(&said->target, target), err);
        point->repository = history_intern(&history->names, said->repository, err);
        if (!point->target || !point->repository || join_group(history, point, err) < 0)
            return -1;
    }
    point->known = true;
    point->backup = said->kind && strcmp(said->kind, "backup") == 0;
    point->complete = said->state == POINT_COMPLETE;
    point->has_parent = said->parent && uuid_parse(said->parent, point->parent);
    point->completed_ms = said->completed_at_ms;
    point->damaged_ms = damaged_since(said);
    return 0;
}

/* A job writes points of its own target; one on a repository those in it. */
static bool covers_point(const struct judged_job *job, const struct judged_point *point)
{
    return !point->known || job->target == point->target ||
           (strncmp(job->target, "repository:", 11) == 0 && strcmp(job->target + 11, point->repository) == 0);
}

int history_catalog(struct history *history, const struct history_place *at, const char *id, const char *writer,
                    const struct restore_point *said, struct err *err)
{
    const struct judged_job *job = history_job_of(history, writer, false, err);
    unsigned char key[UUID_BYTES];
    struct judged_point *point;

    if (!job || !job->in_ledger || !uuid_parse(id, key))
        return 0;
    if (!(point = point_of(history, key, true, err)))
        return -1;
    if (point->deleted || !covers_point(job, point)) /* changes nothing, or is believed by nobody */
        return 0;
    if (said && said->state != POINT_DELETED)
        return learn_point(history, at, point, said, err);
    point->deleted = true;
    point->gone = *at;
    memcpy(point->by, job->id, UUID_BYTES);
    return 0;
}

/* ---- what was deleted ---- */

/* Before, in the log if one partition has both, else by clocks that nobody trusts closer than that. */
static bool was_gone_before(const struct history_place *gone, const struct history_place *at)
{
    return gone->partition == at->partition ? gone->offset < at->offset : gone->at_ms + HISTORY_SLACK_MS < at->at_ms;
}

/* 1: what was deleted was good, 0: it was not, -1: what it builds on is not known. */
static int was_good(struct history *history, const struct judged_point *deleted)
{
    const struct judged_point *point = deleted;

    for (unsigned depth = 0; point && depth <= HASH_COUNT(history->points); depth++) {
        if (!point->known)
            return -1;
        if (!point->complete || point->damaged_ms)
            return 0;
        if (point->deleted && was_gone_before(&point->gone, &deleted->gone))
            return 0;
        if (!point->has_parent)
            return 1;
        point = point_of(history, point->parent, false, NULL);
    }
    return -1;
}

/* Another good one of the same target in the same repository; when in doubt it was there. */
static bool another_was_there(struct history *history, const struct judged_point *deleted)
{
    const struct history_place *at = &deleted->gone;

    for (const struct judged_point *point = group_of(history, deleted)->first; point; point = point->next) {
        if (point == deleted || !point->complete)
            continue;
        bool by_then = point->first.at_ms <= at->at_ms + HISTORY_SLACK_MS ||
                       (point->completed_ms && point->completed_ms <= at->at_ms + HISTORY_SLACK_MS);
        bool damaged = point->damaged_ms && point->damaged_ms + HISTORY_SLACK_MS < at->at_ms;
        if (by_then && !damaged && !(point->deleted && was_gone_before(&point->gone, at)))
            return true;
    }
    return false;
}

static bool whole_life_known(struct history *history, const struct judged_point *point)
{
    struct interned *made;

    HASH_FIND_STR(history->repositories_made, point->repository, made);
    return made && seen_whole(history, TOPIC_CATALOG);
}

/* False: not known. */
static bool judge_last(struct history *history, const struct judged_point *point, const struct judged_job *job,
                       const char *id)
{
    int good;

    if ((job->op != OP_BACKUP_DELETE && job->op != OP_TARGET_RETIRE) || job->really_last)
        return true;
    if (!point->known || (good = was_good(history, point)) < 0)
        return false;
    if (!good || !point->backup || another_was_there(history, point))
        return true;
    if (!whole_life_known(history, point))
        return false;
    history_blame(history, RULE_KEPT, id, PROOFS(&point->first, &job->ledger, &point->gone),
                  "it was the last good restore point of %s in repository %s, and nobody asked to delete that",
                  point->target, point->repository);
    return true;
}

static void judge_pin(struct history *history, const struct judged_point *point, const struct judged_job *job,
                      const char *id)
{
    for (const struct pinned *pin = history->pins; pin; pin = pin->next)
        if (strcmp(pin->id, id) == 0 && in_force(pin, job, &point->gone)) {
            history_blame(history, RULE_KEPT, id, PROOFS(&pin->begin, &job->ledger, &point->gone),
                          "it was pinned, and %s on %s deleted it", op_names[job->op], job->target);
            return;
        }
}

static void judge_deletion(struct history *history, const struct judged_point *point)
{
    const struct judged_job *job;
    char id[UUID_TEXT], by[UUID_TEXT];

    uuid_format(id, point->id);
    uuid_format(by, point->by);
    history_checked(history, RULE_KEPT);
    if (!(job = history_job_of(history, by, false, NULL)))
        return;
    if (job->class != CLASS_C)
        history_blame(history, RULE_KEPT, id, PROOFS(&job->ledger, &point->gone),
                      "%s on %s deleted it, and may not delete anything", op_names[job->op], job->target);
    if (job->only_point && memcmp(job->point, point->id, UUID_BYTES) != 0)
        history_blame(history, RULE_KEPT, id, PROOFS(&job->ledger, &point->gone),
                      "job %s deleted it, and was to delete another one only", by);
    judge_pin(history, point, job, id);
    if (!judge_last(history, point, job, id))
        history_unknown(history, RULE_KEPT);
}

void kept_end(struct history *history)
{
    for (const struct judged_point *point = history->points; point; point = point->hh.next)
        if (point->deleted)
            judge_deletion(history, point);
}
