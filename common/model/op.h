#pragma once
/*
 * The operations. One row each: name, the record of its parameters, the highest class it may have. A pure function bounds the class of a job by op and params.
 */
#include <stdbool.h>

struct record_type;

enum op {
    OP_NONE,
    OP_NOOP, /* the null backend's: the whole safe path without an effect; for benchmarks and tests of the loop */
    OP_SNAPSHOT_CREATE,
    OP_SNAPSHOT_LIST,
    OP_SNAPSHOT_SHOW,
    OP_SNAPSHOT_REVERT,
    OP_SNAPSHOT_DELETE,
    OP_BACKUP_CREATE,
    OP_BACKUP_RESTORE,
    OP_BACKUP_VERIFY,
    OP_BACKUP_DELETE,
    OP_REPOSITORY_INIT,
    OP_REPOSITORY_CHECK,
    OP_REPOSITORY_CLEAN,
    OP_REPOSITORY_IMPORT,
    OP_REPOSITORY_REMOVE,
    OP_BACKUP_COPY,
    OP_TARGET_RETIRE,
    OP_JOB_UNDO,
    OP_TARGET_EXPORT,
    OP_TARGET_EXPORT_FINISH,
    OP_COUNT,
};

enum job_class { CLASS_A, CLASS_B, CLASS_C }; /* reads; adds; takes away data or a running state */

struct job;

struct op_info {
    const char *name; /* "snapshot.create"; stable for ever */
    const struct record_type *params;
    const char *doc; /* one line */
};

extern const char *const op_names[OP_COUNT + 1]; /* by enum op; [OP_NONE] is "none" and never on the wire; NULL at the end */
extern const char *const class_names[];          /* "A", "B", "C" */
const struct op_info *op_info(enum op op);       /* never NULL for 1..OP_COUNT-1 */
enum op op_from_name(const char *name);          /* OP_NONE if unknown */
/* The class of a job, from op, params and dry_run alone: a plan with a step above it is refused by the runner. Every dry run is A. */
enum job_class job_class(const struct job *job);
