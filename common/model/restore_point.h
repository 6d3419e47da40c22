#pragma once
/* A restore point: what a job leaves. The same record is the catalog's value and (as JSON, with a few more members) the manifest of a backup. Its id is the id of the job that made it. */
#include "model/record.h"
#include "model/target.h"

enum point_state { POINT_INCOMPLETE, POINT_COMPLETE, POINT_DELETED };

struct point_disk {
    char *name;   /* target dev */
    char *format; /* of the file: qcow2, raw */
    char *file;   /* relative to the folder of the point */
    char *source; /* where the disk was on its host */
    char *source_format;
    char *mode;           /* full, incremental, excluded */
    char *reason;         /* why excluded or full only */
    int64_t size_bytes;   /* virtual size */
    int64_t stored_bytes; /* of the file */
    int64_t dirty_bytes;  /* as the hypervisor saw it when it began; 0: not known */
    char *sha256;         /* of the file's bytes; absent until hashed */
    char *checkpoint;     /* bitmap name */
};

struct point_verification {
    int64_t at_ms;
    int depth; /* enum verify_depth */
    bool ok;
    char *text;
    char *job_id;
};

struct restore_point {
    char *id;
    int64_t format;   /* of the manifest: 1 */
    int64_t revision; /* raised under the lock at each change */
    char *kind;       /* snapshot, backup */
    int state;        /* enum point_state */
    struct target target;
    char *host; /* that made it */
    char *name, *description;
    int64_t created_at_ms; /* the point in time that it holds */
    int64_t completed_at_ms;
    char *backup_kind;     /* full, incremental, differential; absent for snapshots */
    char *parent;          /* restore point id */
    char *chain;           /* id of the full that began the chain; it may have been merged into its children */
    int64_t chain_length;  /* 1 for a full */
    char *repository;      /* UUID */
    char *level;           /* crash, filesystem, memory, off */
    char *level_reason;    /* why not filesystem: "agent does not answer" */
    char *fallback_reason; /* why full where auto would have been incremental */
    int64_t frozen_ms, paused_ms, duration_ms;
    int64_t size_bytes; /* of all its files */
    int64_t dirty_bytes;
    struct list disks;                /* struct point_disk */
    struct list verified;             /* struct point_verification, newest last, at most 20 */
    struct strings missing_snapshots; /* existed in the source and are not in the backup */
    char *definition;                 /* file with the domain XML, relative; 0600 because it may hold secrets */
    char *nvram;                      /* file, relative; absent: none */
    char *policy, *run, *requested_by, *reason;
    int64_t expires_at_ms; /* 0: never by itself */
    char *writer;          /* job id that wrote this revision */
    int64_t removed_at_ms; /* its repository was taken out of the fleet then; 0: it is in it */
    char *copied_repository,
        *copied_point;        /* a copy: of which restore point, in which repository (UUIDs); absent: none */
    char *group, *group_name; /* of a consistency group (docs/groups.md): its id, and what people call it */
    int64_t group_members;    /* this one included */
    int64_t group_skew_ms, group_spread_ms; /* how long it, and how long the first, had stood still when the last did */
};

extern const struct record_type point_disk_record, point_verification_record, restore_point_record;
extern const char *const point_state_names[];
DEFINE_RECORD(restore_point, restore_point_record)
