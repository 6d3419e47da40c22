#pragma once
/*
 * A backend: targets of one kind ("libvirt", "repository", "null", later "canister") and the verbs that it can plan for them. Two tables. tests/contract runs the same
 * table of tests against every backend; step.h says how plans are executed.
 */
#include "model/op.h"
#include "worker/plan.h"
#include "worker/step.h"

struct job_result;

struct backend_config { /* owned by the worker's options; lives longer than every backend */
    const char *host;   /* host_id */
    const char *libvirt_uri;
    const char *state_directory;
    const struct strings *pools;        /* directories where new disks may be made; the first is the default */
    const struct strings *repositories; /* directories that are, or directly hold, repositories */
    int64_t agent_timeout_ms;           /* of one agent command; never 0 */
    int64_t frozen_limit_ms;            /* a guest is thawed by then, whatever happens */
};

/* Restore points that a job wrote or took away: they become records of fleetsnap.catalog, acknowledged before the job's terminal status. */
struct catalog_change {
    struct restore_point *point; /* NULL: tombstone */
    char *id;
    int64_t revision;
};

struct report { /* filled by report(), owned by the runner */
    struct job_result *result;
    struct catalog_change *changes;
    size_t change_count;
};

struct restore_point *report_add_point(struct report *report, struct err *err); /* an empty one to fill in */
int report_add_tombstone(struct report *report, const char *id, int64_t revision, struct err *err);

struct verb {
    enum op op; /* OP_NONE ends the table */
    /* Looks at the target, refuses what cannot or must not be done (ERR_PERMANENT, ERR_CONFLICT; nothing touched), and lists the steps. ERR_RETRY: later. */
    int (*plan)(struct backend *backend, const struct job *job, struct plan *out, struct err *err);
    /* After all steps are done: what was really done. `known` holds all that was learned (already copied into result->facts). May be repeated after a crash, so it reads the world. NULL: the facts are the result. */
    int (*report)(struct backend *backend, const struct job *job, const struct facts *known, struct report *report,
                  struct err *err);
};

/* What a backend finds on its host. Called with one record per target; `target` is copied by the callee. */
struct inventory_backend;
struct inventory_host;
struct inventory_target;
typedef int inventory_target_found(void *context, const struct inventory_target *target, struct err *err);

struct backend_ops {
    const char *kind; /* as in a target: "libvirt" */
    const struct verb *verbs;
    const struct step_type *const
        *steps; /* every type that a plan of ours may hold, NULL at the end: how a journal's names are found again */
    int (*open)(const struct backend_config *config, struct backend **out,
                struct err *err); /* one per executor thread; may connect lazily */
    void (*close)(struct backend *backend);
    /* Connects now, before a recovery: whatever that does to this process (an embedded hypervisor takes its guests over) is not the job's. Who does not answer is asked again by each
     * look. NULL: nothing to connect to. */
    void (*connect)(struct backend *backend);
    /* Everything it has; fills its part of the host record (a struct inventory_backend appended by it, pools or repositories) too. On a thread with its own handle. */
    int (*inventory)(struct backend *backend, struct inventory_host *host, inventory_target_found *found, void *context,
                     struct err *err);
    /* Starts to call `changed` (any thread; target id, or NULL for "look at everything") when something of its targets changes; once per process. NULL: nothing to hear. */
    int (*watch)(const struct backend_config *config, void (*changed)(void *context, const char *target_id),
                 void *context, struct err *err);
    /* Removes what was kept on this host for a time that is over; the surveyor's thread, after each look. NULL: nothing is kept. */
    int (*tidy)(struct backend *backend, struct err *err);
    /* Ends watch; joins its thread. */
    void (*unwatch)(void);
    bool only_here; /* no other host reaches its targets (libvirt): class B may go on without Redis */
};

struct backend { /* first member of every backend's own struct */
    const struct backend_ops *ops;
    const struct backend_config *config;
};

extern const struct backend_ops *const backend_table[]; /* NULL at the end */
const struct backend_ops *backend_find(const char *kind);
const struct verb *backend_verb(const struct backend_ops *ops, enum op op);
const struct step_type *backend_step(const struct backend_ops *ops, const char *name);
