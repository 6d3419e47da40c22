#pragma once
/*
 * What could be restored now, how old it would be, when it was last proven, and what went wrong: for each policy and for the fleet. Pure: it is told what there is (policies and repositories first, then targets, then
 * their points, oldest first), and adds up. Strings are copied. One thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct policy;
struct readiness;
struct restore_point;

struct readiness_failure { /* a job of the period that did not succeed; what is not known is NULL */
    const char *policy, *op, *state;
    const char *text; /* of its error */
};

/* The period is [since_ms, now_ms). */
int readiness_new(int64_t since_ms, int64_t now_ms, struct readiness **out, struct err *err);
void readiness_free(struct readiness *readiness);
static inline void readiness_freep(struct readiness **readiness)
{
    readiness_free(*readiness);
}
int readiness_add_policy(struct readiness *readiness, const struct policy *policy, bool paused, struct err *err);
/* A repository that can be read now: what lies elsewhere cannot be restored. */
int readiness_add_repository(struct readiness *readiness, const char *id, struct err *err);
/* selected: by index of the policies as they were added. A target that is told twice counts once. */
int readiness_add_target(struct readiness *readiness, const char *target, const char *name, const char *host,
                         const bool *selected, struct err *err);
int readiness_add_point(struct readiness *readiness, const struct restore_point *point, struct err *err);
int readiness_add_failure(struct readiness *readiness, const struct readiness_failure *failure, struct err *err);
/* {since, at, fleet: {…}, policies: […], targets: […]}: docs/openapi.yaml. Caller decrefs. */
int readiness_json(struct readiness *readiness, json_t **out, struct err *err);

/* The cause in an error's text: what is behind the last ": ", with every number as N, so that the same trouble is the same text. */
void readiness_cause(const char *text, char *out, size_t size);
