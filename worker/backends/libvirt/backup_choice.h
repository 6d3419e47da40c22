#pragma once
/*
 * Which kind of backup a job makes, on which parent, and why not another: a pure function of what is known, so that every case is a row in a test.
 */
#include "model/job.h"
#include "model/restore_point.h"

enum checkpoint_state {
    CHECKPOINT_SOUND,
    CHECKPOINT_FORGOTTEN, /* the bitmaps are there, libvirt's metadata is not: can be defined again */
    CHECKPOINT_GONE,
    CHECKPOINT_BROKEN, /* a bitmap is missing or inconsistent: QEMU was killed, or a revert */
};

struct backup_wish {
    int kind;           /* enum backup_kind */
    const char *parent; /* restore point id; NULL: choose */
    int64_t max_chain, max_chain_ms;
    int64_t now_ms;
    bool active;               /* running or paused: a guest that is off has no incremental */
    const char *unable;        /* why this hypervisor has no incremental; NULL: it has */
    const struct list *disks;  /* struct point_disk of the new point, drafts */
    const struct list *points; /* complete points of the target in the repository, oldest first */
    enum checkpoint_state (*checkpoint)(void *context, const struct restore_point *point);
    void *context;
};

struct backup_choice {
    int kind;                           /* full, incremental, differential */
    const struct restore_point *parent; /* points into wish->points; NULL: full */
    bool redefine;                      /* its checkpoint must be defined again first */
    char fallback_reason[256];          /* auto became full because …; else empty */
};

/* A kind that was asked for by name and is impossible: ERR_CONFLICT, ERR_PERMANENT when it can never be. */
int backup_choose(const struct backup_wish *wish, struct backup_choice *out, struct err *err);
