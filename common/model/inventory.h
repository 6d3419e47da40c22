#pragma once
/* What a host says about itself and its targets: one record per host (key host_id) and one per target (key host_id/kind:id) on fleetsnap.inventory. */
#include "model/record.h"
#include "model/status.h"
#include "model/target.h"

struct inventory_backend {
    char *kind, *uri;
    char *version;        /* "libvirt 9.0.0, QEMU 7.2.22" */
    struct strings verbs; /* op names that this worker plans */
    bool ok;
    char *text; /* why not */
};

struct inventory_space { /* a pool or a repository */
    char *id;            /* repository UUID; absent: a pool */
    char *name, *path;
    int64_t total_bytes, free_bytes, min_free_bytes, reserved_bytes;
    bool ok;
    char *text; /* "marker missing: not mounted?" */
};

struct inventory_host {
    char *host, *version, *boot_id, *instance, *journal;
    int64_t started_at_ms;
    char *state;              /* running, draining, full */
    struct list backends;     /* struct inventory_backend */
    struct list repositories; /* struct inventory_space */
    struct list pools;        /* struct inventory_space */
    int64_t clock_skew_ms;    /* against the broker's append time */
    int64_t journal_bytes, waiting, running, executors, parked;
    int64_t group_members; /* of one consistency group that it holds at once; 0: it does not know groups */
    bool group_backups;    /* it begins backups in a group, too */
};

struct inventory_disk {
    char *name, *device; /* disk, cdrom */
    char *format, *source, *type;
    int64_t size_bytes;
    bool read_only;
    char *backup; /* incremental, full, refused */
    char *reason;
};

struct inventory_checkpoint {
    char *name, *parent;
    int64_t created_at_ms;
    char *owner; /* job id; absent: made by others */
};

struct inventory_target {
    char *host;
    struct target target;
    char *state; /* running, paused, shutoff, crashed … */
    bool persistent;
    char *agent; /* answers, silent, none */
    struct facts labels;
    struct list disks, snapshots, checkpoints; /* inventory_disk, snapshot_info, inventory_checkpoint */
    char *definition;                          /* digest of the definition */
    char *job; /* a block or backup job that runs on it now, and whose: "backup (ours)", "commit (foreign)" */
    bool migratable;
    char *migratable_reason;
};

struct inventory {
    int64_t at_ms;
    int64_t revision; /* per key, rising; new journals start at µs of Redis' or the local TIME */
    struct inventory_host *host;
    struct inventory_target *target; /* exactly one of the two */
};

extern const struct record_type inventory_record, inventory_host_record, inventory_target_record,
    inventory_backend_record, inventory_space_record, inventory_disk_record, inventory_checkpoint_record;
DEFINE_RECORD(inventory, inventory_record)
DEFINE_RECORD(inventory_target, inventory_target_record)
DEFINE_RECORD(inventory_host, inventory_host_record)
