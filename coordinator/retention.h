#pragma once
/*
 * Which restore points of one target stay, and by which rule. Pure: the points as they are, the rules, the zone, the time; nothing is looked up.
 *
 * What a rule keeps depends on the newest point of each hour, day, week … only, never on what was deleted before: so the answer does not depend on how often it is asked.
 * It only proposes: the worker decides each deletion again from the manifests, under the lock.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct zone;

struct retention_rules { /* counts; 0: the rule is not there */
    int64_t last, hourly, daily, weekly, monthly, yearly;
    int64_t keep_within_ms;
    int64_t min_verified; /* so many verified ones stay in any case */
    bool verified_only;   /* the rules count verified points only; others are neither counted nor deleted */
    bool merge;           /* what is kept only because one other needs it goes, merged into that one */
};

struct retention_point {
    const char *id;
    const char *parent; /* id; NULL: it stands alone */
    int64_t created_ms;
    bool complete; /* an incomplete one belongs to its job: it stays, and counts for nothing */
    bool verified; /* some verification succeeded, and the last did not fail */
    bool bad;      /* its last verification failed: no rule counts it */
    bool pinned;
    bool foreign; /* not of this policy: it stays, and counts for nothing; but what it needs is kept */

    /* the answer */
    bool keep;
    bool merge;    /* it goes, and what it holds goes into the one that builds on it */
    char rule[64]; /* "daily 3 of 14", "needed by 5f1e2a33", "the last good one"; of a merge "merged into 5f1e2a33" */
    size_t order;  /* of those that go: 1, 2, … children before parents */
};

/* True if any rule keeps something by time or number: rules that would keep nothing but the last good point are refused when they are written, not here. */
bool retention_given(const struct retention_rules *rules);
/* Fills in keep, rule and order of each point; the order of the array stays. zone: of hours, days, weeks. */
int retention_decide(const struct retention_rules *rules, const struct zone *zone, int64_t now_ms,
                     struct retention_point *points, size_t count, struct err *err);
