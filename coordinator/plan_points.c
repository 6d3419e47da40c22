/* Which backups of the targets a run verifies or copies: the newest of each, or a sample of all. */
#include "coordinator/plan_internal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/sample.h"
#include "model/job.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- points ---- */

bool plan_wants_points(const struct policy *policy)
{
    return plan_about_points(policy) || plan_spreads_fulls(policy);
}

bool plan_about_points(const struct policy *policy)
{
    return policy->operation == POLICY_BACKUP_VERIFY || policy->operation == POLICY_BACKUP_COPY;
}

static bool proven(const struct restore_point *point, int depth)
{
    for (size_t i = 0; i < point->verified.count; i++) {
        const struct point_verification *one = list_at(&point->verified, struct point_verification, i);
        if (one->ok && one->depth >= depth)
            return true;
    }
    return false;
}

/* When it was last tested so deep, whatever came of it; 0: never. */
static int64_t tested_ms(const struct restore_point *point, int depth)
{
    int64_t last_ms = 0;

    for (size_t i = 0; i < point->verified.count; i++) {
        const struct point_verification *one = list_at(&point->verified, struct point_verification, i);
        if (one->depth >= depth && one->at_ms > last_ms)
            last_ms = one->at_ms;
    }
    return last_ms;
}

/* The newest `most` stay, newest first. */
static void place_point(struct found *found, struct found_point *point, size_t most)
{
    size_t at = 0;

    while (at < found->point_count && found->points[at].created_ms > point->created_ms)
        at++;
    if (found->point_count == most) {
        struct found_point *last = &found->points[most - 1];
        struct found_point *out = at == most ? point : last;
        free(out->id);
        free(out->repository);
        free(out->host);
        if (at == most)
            return;
        found->point_count--;
    }
    memmove(&found->points[at + 1], &found->points[at], (found->point_count - at) * sizeof *point);
    found->points[at] = *point;
    found->point_count++;
}

static char *copy_key(char out[96], const char *point, const char *repository)
{
    snprintf(out, 96, "%.40s %.40s", point, repository ? repository : "");
    return out;
}

/* Whether it may be one of those that the policy is about. */
static bool concerns(const struct plan *plan, const struct restore_point *point)
{
    const struct policy_verify *verify = plan->policy->verify;
    size_t last = point->verified.count;

    if (plan->policy->operation == POLICY_BACKUP_VERIFY)
        return policy_samples(plan->policy) || !proven(point, verify ? verify->depth : VERIFY_CHECKSUM);
    return !point->copied_point && !(last && !list_at(&point->verified, struct point_verification, last - 1)->ok);
}

/* Room for one more beside those. */
static int make_room(struct found *found, struct err *err)
{
    size_t room = found->point_room ? found->point_room * 2 : 2;
    struct found_point *points;

    if (found->point_count + 1 < found->point_room)
        return 0;
    points = reallocarray(found->points, room, sizeof *points);
    if (!points)
        return err_memory(err, "plan");
    found->points = points;
    found->point_room = room;
    return 0;
}

static int note_point(struct found *found, const struct restore_point *point, size_t most, int64_t last_ms,
                      struct err *err)
{
    struct found_point its = {.created_ms = point->created_at_ms, .tested_ms = last_ms, .chosen = true};

    if (make_room(found, err) < 0)
        return -1;
    if (string_set(&its.id, point->id, err) < 0 || string_set(&its.repository, point->repository, err) < 0 ||
        string_set(&its.host, point->host, err) < 0) {
        free(its.id);
        free(its.repository);
        return -1;
    }
    place_point(found, &its, most);
    return 0;
}

int plan_add_point(struct plan *plan, const struct restore_point *point, struct err *err)
{
    const struct policy_verify *verify = plan->policy->verify;
    size_t most = policy_samples(plan->policy) ? SIZE_MAX : verify ? (size_t)verify->newest : 1;
    char text[TARGET_TEXT], key[96];

    if (!plan_wants_points(plan->policy) || point->state != POINT_COMPLETE || strcmp(point->kind, "backup") != 0)
        return 0;
    struct found *found = plan_find(plan, target_format(&point->target, text));
    if (!found)
        return 0;
    if (plan_spreads_fulls(plan->policy))
        return plan_note_base(plan, found, point), 0;
    if (plan->policy->operation == POLICY_BACKUP_COPY && point->copied_point &&
        strings_add(&found->copies, copy_key(key, point->copied_point, point->repository), err) < 0)
        return -1;
    return concerns(plan, point)
               ? note_point(found, point, most, tested_ms(point, verify ? verify->depth : VERIFY_CHECKSUM), err)
               : 0;
}

/* ---- members ---- */

/* Where the job about that point runs; of one that is to be copied: where it goes. NULL: nowhere, and why. */
static const struct world_place *place_of(const struct plan *plan, const struct found *found,
                                          const struct found_point *its, char why[PLAN_WHY])
{
    const struct restore_point point = {.repository = its->repository, .host = its->host};

    return plan->policy->operation == POLICY_BACKUP_COPY
               ? world_place_of_copy(plan->world, &point, plan->policy->repository, found->host, why)
               : world_place_of_point(plan->world, &point, found->host, why);
}

/* It is in that repository, or a copy of it is. */
static bool is_there(const struct plan *plan, const struct found *found, const struct found_point *its,
                     const struct world_place *to)
{
    char key[96];

    return plan->policy->operation == POLICY_BACKUP_COPY && to &&
           (strcmp(its->repository, to->id) == 0 || strings_have(&found->copies, copy_key(key, its->id, to->id)));
}

int plan_members_of_points(const struct plan *plan, struct list *members, const struct found *found, int64_t due_ms,
                           struct err *err)
{
    for (size_t i = 0; i < found->point_count; i++) {
        const struct found_point *its = &found->points[i];
        char why[PLAN_WHY];
        if (!its->chosen)
            continue;
        const struct world_place *place = place_of(plan, found, its, why);
        if (is_there(plan, found, its, place))
            continue;
        struct run_member *member = plan_add_member(members, found, due_ms, err);
        if (!member || string_set(&member->point, its->id, err) < 0 ||
            string_set(&member->repository, its->repository, err) < 0 ||
            (place ? string_set(&member->host, place->host, err) : plan_refuse(member, why, err)) < 0)
            return -1;
    }
    return 0;
}

/* ---- a sample ---- */

/* What no host that takes work could test now takes nobody's place. */
static size_t candidates_of(const struct plan *plan, struct found_point **out)
{
    size_t count = 0;

    for (struct found *found = plan->targets; found; found = found->hh.next)
        for (size_t i = 0; i < found->point_count; i++) {
            char why[PLAN_WHY];
            const struct world_place *place = place_of(plan, found, &found->points[i], why);
            found->points[i].chosen = false;
            if (place && world_host_ready(plan->world, place->host))
                out[count++] = &found->points[i];
        }
    return count;
}

static size_t all_points(const struct plan *plan)
{
    size_t count = 0;

    for (const struct found *found = plan->targets; found; found = found->hh.next)
        count += found->point_count;
    return count;
}

int plan_draw_sample(struct plan *plan, const struct run *run, struct err *err)
{
    const struct policy_verify *verify = plan->policy->verify;
    size_t all = all_points(plan);
    CLEANUP(freep) struct found_point **points = calloc(all + 1, sizeof(struct found_point *));
    CLEANUP(freep) struct sample_item *items = calloc(all + 1, sizeof *items);
    char run_id[UUID_TEXT];

    if (!points || !items)
        return err_memory(err, "sample");
    size_t count = candidates_of(plan, points);
    for (size_t i = 0; i < count; i++)
        items[i] = (struct sample_item){.point = points[i]->id, .tested_ms = points[i]->tested_ms};
    size_t wanted = verify->sample ? (size_t)verify->sample : (all * (size_t)verify->sample_percent + 99) / 100;
    plan_run_id(run, run_id);
    if (sample_choose(run_id, wanted, items, count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        points[i]->chosen = items[i].chosen;
    return 0;
}
