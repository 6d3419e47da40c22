#pragma once
/*
 * Looks at what is in a repository, and changes nothing: not even a lease is taken, so that it works on one that is mounted read-only. Other workers write meanwhile: what looks
 * wrong is looked at once more before it is said, and what a chain with a living lease holds is somebody's work in progress.
 */
#include "model/record.h"
#include "worker/repository.h"

enum left_kind {
    LEFT_POINT, /* the folder of a restore point that is not complete, or has no manifest, or is empty; id: the job that made it */
    LEFT_DELETED, /* marked as deleted, its files still there */
    LEFT_LEASE,   /* a stale lease; folder: of the chain, id: its job */
};

struct left {
    enum left_kind kind;
    char *folder, *id;
    int64_t bytes;
    int64_t revision; /* DELETED: of its manifest */
};

struct check {
    const struct repository *repository;
    bool checksum;                                  /* read every file that has one */
    bool (*progress)(void *context, int64_t bytes); /* bytes that were hashed; false stops it */
    void *context;
    /* what was found */
    struct list findings; /* struct job_finding */
    struct left *left;
    size_t left_count;
    int64_t points, files, bytes, hashed_bytes; /* of complete points */
    int64_t unhashed_files;                     /* without a checksum in their manifest */
    int64_t busy;                               /* points that somebody is writing now */
    int64_t damaged;
    /* of the target that is looked at */
    const char *target;
    struct list complete; /* struct restore_point */
};

void check_clear(struct check *check);
int check_target(struct check *check, const char *target, struct err *err); /* all of one target */
int check_root(struct check *check, struct err *err);                       /* what lies beside the targets */
