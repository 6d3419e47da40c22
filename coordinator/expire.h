#pragma once
/* Retention over the whole view: every target's points with what retention_decide() says of them, one target and policy at a time. The same for the real pass and for a preview. */
#include "coordinator/coordinator.h"
#include "coordinator/retention.h"

struct policy_set;
struct view_reader;

struct expire_point {
    char *id, *parent, *name, *policy, *kind, *repository, *host;
    int64_t created_ms, size_bytes;
    bool complete, verified, bad;
};

struct expire_group { /* lent for the call */
    const struct ledger_policy *policy;
    const char *target, *target_name;
    const struct expire_point *points;   /* of the kind that the policy makes, oldest first */
    const struct retention_point *marks; /* beside each */
    size_t count;
};
typedef int expire_visitor(void *context, const struct expire_group *group, struct err *err);

/* only: name of one policy; NULL: all that have rules. Any thread that may wait. */
int expire_each(struct coordinator *coordinator, struct view_reader *reader, const struct policy_set *policies,
                const char *only, int64_t now_ms, expire_visitor *visit, void *context, struct err *err);
