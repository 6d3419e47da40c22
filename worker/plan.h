#pragma once
/* A plan: what a worker is going to do for one job. Pure data; one thread at a time. */
#include "model/record.h"
#include "worker/step.h"

#include <stdarg.h>

struct plan {
    struct step *steps;
    size_t count, capacity;
    struct strings lost; /* sentences for people: what the job takes away as a whole */
    struct strings taken_points; /* restore points (snapshot names or backup ids) that its class C steps take away: checked against pins */
    char *pins_key;     /* whose pins: "repository:<id>", "libvirt:<uuid>"; several: a line each */
    struct facts facts; /* what planning already knows for the result ("level_reason") */
};

void plan_clear(struct plan *plan);
/* Adds a step; arguments are "key", "value" pairs ending with NULL; a NULL value is left out. Returns the step to raise its class, or NULL (err set). */
struct step *plan_add(struct plan *plan, const struct step_type *type, struct err *err, ...) __attribute__((sentinel));
/* For a job of a consistency group, a place where all its members wait for each other: at "ready", before anything is frozen, and at "frozen". For another job nothing. */
int plan_barrier(struct plan *plan, const struct job *job, const char *at, struct err *err);
/* What a restore point says of its group: which it is, before anything is done; and what its barriers measured, from the facts of the plan. Of a job without a group: nothing. */
struct restore_point;
int barrier_name_group(struct restore_point *point, const struct job *job, struct err *err);
void barrier_measure(struct restore_point *point, const struct facts *known);
int plan_lose(struct plan *plan, struct err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* SHA-256 over step names, classes and args, with the job's id replaced by "JOB" (names of artefacts derive from it): what a person confirms and the digest of the real job compare. */
void plan_digest(const struct plan *plan, const char *job_id, char out[65]);
enum step_class plan_class(const struct plan *plan);                    /* the highest of its steps */
int plan_to_json(const struct plan *plan, char **out, struct err *err); /* for the journal; caller frees */
struct backend_ops;
int plan_from_json(const char *json, const struct backend_ops *ops, struct plan *out,
                   struct err *err); /* a step type that is not in the table: ERR_UNKNOWN */
