#include "coordinator/readiness.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/plans_json.h"
#include "model/policy.h"
#include "model/restore_point.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { CAUSES_MAX = 20, CAUSE_TEXT = 160 };

struct name { /* of a set: repositories, points that are whole */
    UT_hash_handle hh;
    char text[];
};

struct cause {
    UT_hash_handle hh;
    int64_t count;
    char text[CAUSE_TEXT + 64]; /* "backup.create FAILED: no room" */
};

struct subject { /* a policy, or the fleet */
    char *name;
    const char *operation;
    bool paused, backs_up;
    int64_t max_age_ms;
    struct cause *causes;
    int64_t failures;
    /* added up from the targets */
    size_t targets, restorable, late, unverified;
    int64_t *ages_ms;
    int64_t worst_age_ms, worst_gap_ms, verified_at_ms;
    const char *worst_target;
};

struct goal { /* a target */
    UT_hash_handle hh;
    char *name, *host;
    bool *selected;
    char point[64], kind[16];       /* the newest that could be restored */
    int64_t point_ms, worst_gap_ms; /* 0: none */
    int64_t verified_at_ms, verified_point_ms;
    char key[];
};

struct readiness {
    int64_t since_ms, now_ms;
    struct subject fleet, *policies;
    size_t policy_count;
    struct name *repositories, *whole;
    struct goal *goals;
    size_t goal_count, unprotected;
};

/* ---- sets ---- */

static int set_add(struct name **set, const char *text, struct err *err)
{
    size_t len = strlen(text) + 1;
    struct name *name;

    HASH_FIND_STR(*set, text, name);
    if (name)
        return 0;
    name = calloc(1, sizeof *name + len);
    if (!name)
        return err_memory(err, "report");
    memcpy(name->text, text, len);
    HASH_ADD_STR(*set, text, name);
    return 0;
}

static bool set_has(const struct name *set, const char *text)
{
    const struct name *name;

    HASH_FIND_STR(set, text, name);
    return name != NULL;
}

static void set_free(struct name **set)
{
    struct name *name, *next;

    HASH_ITER (hh, *set, name, next) {
        HASH_DEL(*set, name);
        free(name);
    }
}

/* ---- life ---- */

static void subject_clear(struct subject *subject)
{
    struct cause *cause, *next;

    HASH_ITER (hh, subject->causes, cause, next) {
        HASH_DEL(subject->causes, cause);
        free(cause);
    }
    free(subject->ages_ms);
    free(subject->name);
}

void readiness_free(struct readiness *readiness)
{
    struct goal *goal, *next;

    if (!readiness)
        return;
    HASH_ITER (hh, readiness->goals, goal, next) {
        HASH_DEL(readiness->goals, goal);
        free(goal->name);
        free(goal->host);
        free(goal->selected);
        free(goal);
    }
    set_free(&readiness->repositories);
    set_free(&readiness->whole);
    for (size_t i = 0; i < readiness->policy_count; i++)
        subject_clear(&readiness->policies[i]);
    subject_clear(&readiness->fleet);
    free(readiness->policies);
    free(readiness);
}

int readiness_new(int64_t since_ms, int64_t now_ms, struct readiness **out, struct err *err)
{
    struct readiness *readiness = calloc(1, sizeof *readiness);

    if (!readiness)
        return err_memory(err, "report");
    readiness->since_ms = since_ms;
    readiness->now_ms = now_ms;
    *out = readiness;
    return 0;
}

/* ---- what there is ---- */

int readiness_add_policy(struct readiness *readiness, const struct policy *policy, bool paused, struct err *err)
{
    struct subject *grown = reallocarray(readiness->policies, readiness->policy_count + 1, sizeof *grown);

    if (!grown)
        return err_memory(err, "report");
    readiness->policies = grown;
    grown[readiness->policy_count] = (struct subject){.operation = policy_operation_names[policy->operation],
                                                      .paused = paused,
                                                      .backs_up = policy->operation == POLICY_BACKUP_CREATE,
                                                      .max_age_ms = policy->max_age_ms};
    return string_set(&grown[readiness->policy_count++].name, policy->name, err);
}

int readiness_add_repository(struct readiness *readiness, const char *id, struct err *err)
{
    return set_add(&readiness->repositories, id, err);
}

static void goal_free(struct goal **goal)
{
    if (!*goal)
        return;
    free((*goal)->name);
    free((*goal)->host);
    free((*goal)->selected);
    free(*goal);
}

int readiness_add_target(struct readiness *readiness, const char *target, const char *name, const char *host,
                         const bool *selected, struct err *err)
{
    size_t len = strlen(target) + 1;
    struct goal *known;

    HASH_FIND_STR(readiness->goals, target, known);
    if (known)
        return 0;
    CLEANUP(goal_free) struct goal *goal = calloc(1, sizeof *goal + len);
    if (!goal || !(goal->selected = calloc(readiness->policy_count + 1, sizeof *goal->selected)))
        return err_memory(err, "report");
    memcpy(goal->key, target, len);
    memcpy(goal->selected, selected, readiness->policy_count * sizeof *selected);
    if (string_set(&goal->name, name ? name : target, err) < 0 || string_set(&goal->host, host, err) < 0)
        return -1;
    known = TAKE_PTR(goal);
    HASH_ADD_STR(readiness->goals, key, known);
    readiness->goal_count++;
    return 0;
}

/* ---- points ---- */

static const struct point_verification *last_check(const struct restore_point *point)
{
    size_t count = point->verified.count;

    return count ? list_at(&point->verified, const struct point_verification, count - 1) : NULL;
}

/* It could be restored now: whole, down to its full, where somebody can read it, and not known to be damaged. */
static bool is_whole(const struct readiness *readiness, const struct restore_point *point)
{
    const struct point_verification *check = last_check(point);

    return point->state == POINT_COMPLETE && !point->removed_at_ms && point->repository &&
           set_has(readiness->repositories, point->repository) && (!check || check->ok) &&
           (!point->parent || set_has(readiness->whole, point->parent));
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int readiness_add_point(struct readiness *readiness, const struct restore_point *point, struct err *err)
{
    char key[TARGET_TEXT];
    struct goal *goal;

    if (!point->kind || strcmp(point->kind, "backup") != 0 || !is_whole(readiness, point))
        return 0;
    if (set_add(&readiness->whole, point->id, err) < 0)
        return -1;
    target_format(&point->target, key);
    HASH_FIND_STR(readiness->goals, key, goal);
    if (!goal || point->created_at_ms < goal->point_ms) /* a copy may be told late */
        return 0;
    if (goal->point_ms && point->created_at_ms >= readiness->since_ms)
        goal->worst_gap_ms = later(goal->worst_gap_ms, point->created_at_ms - goal->point_ms);
    goal->point_ms = point->created_at_ms;
    snprintf(goal->point, sizeof goal->point, "%s", point->id);
    snprintf(goal->kind, sizeof goal->kind, "%s", point->backup_kind ? point->backup_kind : "");
    if (last_check(point) && last_check(point)->at_ms >= goal->verified_at_ms) {
        goal->verified_at_ms = last_check(point)->at_ms;
        goal->verified_point_ms = point->created_at_ms;
    }
    return 0;
}

/* ---- failures ---- */

void readiness_cause(const char *text, char *out, size_t size)
{
    const char *from = text, *colon;
    size_t len = 0;

    while ((colon = strstr(from, ": ")))
        from = colon + 2;
    while (*from && len + 1 < size) {
        out[len++] = *from;
        if (isdigit((unsigned char)*from)) {
            out[len - 1] = 'N';
            from += strspn(from, "0123456789");
        } else
            from++;
    }
    if ((*from & 0xc0) == 0x80) { /* cut within a character: take it out */
        while (len && (out[len - 1] & 0xc0) == 0x80)
            len--;
        len -= len > 0;
    }
    out[len] = '\0';
}

static int count_cause(struct subject *subject, const struct readiness_failure *failure, struct err *err)
{
    char text[sizeof subject->causes->text], cause[CAUSE_TEXT] = "";
    struct cause *known;

    readiness_cause(failure->text ? failure->text : "no reason is known", cause, sizeof cause);
    snprintf(text, sizeof text, "%.30s %.20s: %s", failure->op ? failure->op : "a job", failure->state, cause);
    HASH_FIND_STR(subject->causes, text, known);
    if (!known) {
        if (!(known = calloc(1, sizeof *known)))
            return err_memory(err, "report");
        strcpy(known->text, text);
        HASH_ADD_STR(subject->causes, text, known);
    }
    known->count++;
    subject->failures++;
    return 0;
}

int readiness_add_failure(struct readiness *readiness, const struct readiness_failure *failure, struct err *err)
{
    if (count_cause(&readiness->fleet, failure, err) < 0)
        return -1;
    for (size_t i = 0; failure->policy && i < readiness->policy_count; i++)
        if (strcmp(readiness->policies[i].name, failure->policy) == 0)
            return count_cause(&readiness->policies[i], failure, err);
    return 0;
}

/* ---- adding up ---- */

static bool is_late(const struct readiness *readiness, const struct goal *goal, int64_t max_age_ms)
{
    return max_age_ms && (!goal->point_ms || readiness->now_ms - goal->point_ms > max_age_ms);
}

static int count_goal(const struct readiness *readiness, struct subject *subject, const struct goal *goal,
                      int64_t max_age_ms, struct err *err)
{
    int64_t age_ms = readiness->now_ms - goal->point_ms;

    if (!subject->ages_ms && !(subject->ages_ms = calloc(readiness->goal_count, sizeof *subject->ages_ms)))
        return err_memory(err, "report");
    subject->targets++;
    subject->late += is_late(readiness, goal, max_age_ms);
    subject->unverified += !goal->verified_at_ms;
    subject->verified_at_ms = later(subject->verified_at_ms, goal->verified_at_ms);
    if (!goal->point_ms)
        return 0;
    subject->ages_ms[subject->restorable++] = age_ms;
    subject->worst_gap_ms = later(subject->worst_gap_ms, goal->worst_gap_ms);
    if (!subject->worst_target || age_ms > subject->worst_age_ms) {
        subject->worst_age_ms = age_ms;
        subject->worst_target = goal->name;
    }
    return 0;
}

/* What the strictest policy that backs it up allows. False: there is none. */
static bool strictest(const struct readiness *readiness, const struct goal *goal, int64_t *out_max_age_ms,
                      const char **out_name)
{
    bool backed_up = false;

    *out_max_age_ms = 0;
    *out_name = NULL;
    for (size_t i = 0; i < readiness->policy_count; i++) {
        const struct subject *policy = &readiness->policies[i];
        if (!goal->selected[i] || !policy->backs_up || policy->paused)
            continue;
        backed_up = true;
        if (policy->max_age_ms && (!*out_max_age_ms || policy->max_age_ms < *out_max_age_ms)) {
            *out_max_age_ms = policy->max_age_ms;
            *out_name = policy->name;
        }
    }
    return backed_up;
}

static int add_up(struct readiness *readiness, struct err *err)
{
    int64_t max_age_ms;
    const char *name;

    for (struct goal *goal = readiness->goals; goal; goal = goal->hh.next) {
        if (goal->point_ms)
            goal->worst_gap_ms = later(goal->worst_gap_ms, readiness->now_ms - goal->point_ms);
        readiness->unprotected += !strictest(readiness, goal, &max_age_ms, &name);
        if (count_goal(readiness, &readiness->fleet, goal, max_age_ms, err) < 0)
            return -1;
        for (size_t i = 0; i < readiness->policy_count; i++)
            if (goal->selected[i] &&
                count_goal(readiness, &readiness->policies[i], goal, readiness->policies[i].max_age_ms, err) < 0)
                return -1;
    }
    return 0;
}

/* ---- as JSON ---- */

static int compare_ages(const void *a, const void *b)
{
    const int64_t *one = a, *other = b;

    return *one < *other ? -1 : *one > *other;
}

static int compare_causes(struct cause *a, struct cause *b)
{
    return a->count != b->count ? (a->count > b->count ? -1 : 1) : strcmp(a->text, b->text);
}

static json_t *number_or_null(bool known, int64_t value)
{
    return known ? json_integer((json_int_t)value) : json_null();
}

static json_t *subject_json(struct subject *subject)
{
    json_t *causes = json_array();
    size_t listed = 0;

    HASH_SORT(subject->causes, compare_causes);
    for (struct cause *cause = subject->causes; cause && listed++ < CAUSES_MAX; cause = cause->hh.next)
        json_array_append_new(causes, json_pack("{s:s, s:I}", "cause", cause->text, "count", (json_int_t)cause->count));
    if (subject->restorable)
        qsort(subject->ages_ms, subject->restorable, sizeof *subject->ages_ms, compare_ages);
    bool any = subject->restorable > 0;
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:s?, s:o, s:o, s:I, s:I, s:o}", "targets", (json_int_t)subject->targets,
                     "restorable", (json_int_t)subject->restorable, "late", (json_int_t)subject->late, "median_age_ms",
                     number_or_null(any, any ? subject->ages_ms[(subject->restorable - 1) / 2] : 0), "worst_age_ms",
                     number_or_null(any, subject->worst_age_ms), "worst_target", subject->worst_target, "worst_gap_ms",
                     number_or_null(any, subject->worst_gap_ms), "last_verified_at",
                     plans_time(subject->verified_at_ms), "unverified", (json_int_t)subject->unverified, "failures",
                     (json_int_t)subject->failures, "causes", causes);
}

static json_t *policy_json(struct subject *policy)
{
    json_t *item = subject_json(policy);

    json_object_set_new(item, "name", json_string(policy->name));
    json_object_set_new(item, "operation", json_string(policy->operation));
    json_object_set_new(item, "paused", json_boolean(policy->paused));
    json_object_set_new(item, "max_age_ms", json_integer((json_int_t)policy->max_age_ms));
    return item;
}

static json_t *goal_json(const struct readiness *readiness, const struct goal *goal)
{
    json_t *names = json_array();
    int64_t max_age_ms;
    const char *name;

    for (size_t i = 0; i < readiness->policy_count; i++)
        if (goal->selected[i])
            json_array_append_new(names, json_string(readiness->policies[i].name));
    bool backed_up = strictest(readiness, goal, &max_age_ms, &name), any = goal->point_ms != 0;
    return json_pack("{s:s, s:s, s:s?, s:o, s:s?, s:s?, s:o, s:o, s:o, s:o, s:o, s:s?, s:I, s:s}", "target", goal->key,
                     "name", goal->name, "host", goal->host, "policies", names, "point", any ? goal->point : NULL,
                     "backup_kind", any && *goal->kind ? goal->kind : NULL, "point_at", plans_time(goal->point_ms),
                     "age_ms", number_or_null(any, readiness->now_ms - goal->point_ms), "worst_gap_ms",
                     number_or_null(any, goal->worst_gap_ms), "verified_at", plans_time(goal->verified_at_ms),
                     "verified_point_at", plans_time(goal->verified_point_ms), "strictest", name, "max_age_ms",
                     (json_int_t)max_age_ms, "protection",
                     !backed_up                             ? "unprotected"
                     : is_late(readiness, goal, max_age_ms) ? "late"
                                                            : "protected");
}

static int compare_goals(struct goal *a, struct goal *b)
{
    if (a->point_ms != b->point_ms)
        return a->point_ms < b->point_ms ? -1 : 1;
    return strcmp(a->key, b->key);
}

int readiness_json(struct readiness *readiness, json_t **out, struct err *err)
{
    json_t *policies = json_array(), *targets = json_array();

    if (add_up(readiness, err) < 0) {
        json_decref(policies);
        json_decref(targets);
        return -1;
    }
    for (size_t i = 0; i < readiness->policy_count; i++)
        json_array_append_new(policies, policy_json(&readiness->policies[i]));
    HASH_SORT(readiness->goals, compare_goals);
    for (const struct goal *goal = readiness->goals; goal; goal = goal->hh.next)
        json_array_append_new(targets, goal_json(readiness, goal));
    json_t *fleet = subject_json(&readiness->fleet);
    json_object_set_new(fleet, "unprotected", json_integer((json_int_t)readiness->unprotected));
    *out = json_pack("{s:o, s:o, s:o, s:o, s:o}", "since", plans_time(readiness->since_ms), "at",
                     plans_time(readiness->now_ms), "fleet", fleet, "policies", policies, "targets", targets);
    return *out ? 0 : err_memory(err, "report");
}
