#pragma once
/* A job: one operation on one target, addressed to one host. design.md "A job". Params are one record per op. */
#include "model/op.h"
#include "model/record.h"
#include "model/target.h"

struct job_expect { /* compared before a class C step; absent members are not compared */
    char *current_snapshot;
    char *definition; /* digest of the domain definition (inventory's) */
    struct strings disks;
};

struct job {
    char *job_id;         /* UUID */
    int op;               /* enum op */
    struct target target; /* embedded (FIELD_EMBEDDED) */
    char *host;
    void *params;     /* record of op_info(op)->params */
    int64_t priority; /* 0–9, 9 first; deploys 8, people 5, schedules 3 */
    int64_t issued_at_ms;
    int64_t not_before_ms; /* 0: at once */
    int64_t deadline_ms;
    int64_t start_by_ms; /* 0: none; class C 15 min after issued_at unless asked otherwise */
    int64_t max_attempts;
    int64_t backoff_ms; /* base of exponential back-off with full jitter */
    struct job_expect *expect;
    char *plan_digest; /* of the plan that a person confirmed; another plan is CONFLICT */
    char *policy, *run, *group;
    char *deploy_id, *request_id; /* correlation */
    char *schedule;
    int64_t slot_ms;
    char *replaces; /* the job that this one re-targets or retries */
    char *requested_by, *reason;
    bool dry_run;
    char *traceparent;      /* W3C trace context; travels as header */
    int64_t group_members;  /* of its consistency group, this one included */
    int64_t group_limit_ms; /* no guest of it stands still for longer */
};

/* A file system of Windows thaws by itself after 10 s, so longer is for others. */
enum { GROUP_MEMBERS_MAX = 1000, GROUP_LIMIT_MIN_MS = 1000, GROUP_LIMIT_MS = 10000, GROUP_LIMIT_MAX_MS = 60000 };

extern const struct record_type job_record;
DEFINE_RECORD(job, job_record)

/* ---- parameters, one struct per op (verbs.md); the rows are in job_params.c ---- */

struct params_noop {
    int64_t spin_us; /* busy work of the step, for tests; 0 */
    char *fail;      /* "": succeed; "permanent", "retry", "unknown": the step's outcome */
    bool destroys;   /* plan a class C step */
};

struct repository_ref { /* resolved by the coordinator; the worker checks marker and path again */
    char *id;           /* UUID in the marker */
    char *name;
    char *path; /* on this host */
};

enum snapshot_kind { SNAPSHOT_AUTO, SNAPSHOT_INTERNAL, SNAPSHOT_EXTERNAL };
enum snapshot_memory { MEMORY_NO, MEMORY_YES, MEMORY_FILE };
enum quiesce { QUIESCE_PREFER, QUIESCE_REQUIRE, QUIESCE_NEVER };

struct snapshot_disk {
    char *name;   /* target dev: "vda" */
    char *mode;   /* internal, external, no */
    char *file;   /* external: the overlay; absent: derived */
    char *driver; /* qcow2 */
};

extern const struct record_type snapshot_disk_record, repository_ref_record, job_expect_record;

struct params_snapshot_create {
    char *name, *description;
    int kind, memory, quiesce;
    char *memory_file;
    struct list disks; /* struct snapshot_disk */
    bool disk_only, halt, live, no_metadata, reuse_external, current, validate;
    bool atomic;    /* default true */
    char *redefine; /* XML */
    int64_t ttl_ms; /* 0: no end */
};

struct params_snapshot_list {
    bool refresh; /* always from the host: the job exists for --live */
};

struct params_snapshot_show {
    char *name;
    bool current;
};

enum revert_after { AFTER_AS_SAVED, AFTER_RUNNING, AFTER_PAUSED };
enum revert_force { FORCE_NEVER, FORCE_IF_NEEDED, FORCE_ALWAYS };

struct params_snapshot_revert {
    char *name;
    int after, force;
    bool reset_nvram, keep_current;
    struct strings drop_checkpoint;
    int64_t keep_old_for_ms; /* 24 h */
};

enum delete_scope { SCOPE_SELF, SCOPE_CHILDREN, SCOPE_CHILDREN_ONLY, SCOPE_ALL };

struct params_snapshot_delete {
    char *name;
    int scope;
    bool metadata_only, foreign;
    char *point; /* restore point that it must be; absent: whichever has the name */
};

enum backup_kind { BACKUP_AUTO, BACKUP_FULL, BACKUP_INCREMENTAL, BACKUP_DIFFERENTIAL };

struct params_backup_create {
    int kind, quiesce;
    char *parent; /* restore point id */
    struct repository_ref *repository;
    struct strings include, exclude; /* disks by target dev */
    char *description;
    int64_t rate_limit; /* bytes/s for the whole job; 0: none */
    bool isolated, compress;
    int64_t max_chain;    /* 30 points */
    int64_t max_chain_ms; /* 35 d */
};

enum restore_start { START_NO, START_RUNNING, START_PAUSED };

struct params_backup_restore {
    char *point;  /* restore point id */
    char *source; /* id (UUID) of the target the point belongs to */
    struct repository_ref *repository;
    char *new_name;  /* to a new domain; its UUID is the job's target */
    char *directory; /* where its disks go; absent: the worker's default pool */
    bool in_place;
    struct strings disks;     /* a part of them; empty: all */
    struct facts map_network; /* old network → new network */
    int start;
    bool new_identity; /* new MACs too; default true for a new domain */
    int64_t keep_old_for_ms;
    bool drop_snapshots;
    struct facts disk_files;  /* disk → absolute path of its new file */
    struct facts map_pool;    /* pool or directory of then → of now */
    struct facts map_machine; /* machine type of then → of now */
    char *xml;                /* definition of the new domain; absent: the saved one */
};

enum verify_depth { VERIFY_MANIFEST, VERIFY_CHECKSUM, VERIFY_IMAGE, VERIFY_BOOT };

struct params_backup_verify {
    char *point;
    struct repository_ref *repository;
    int depth;
    char *console;      /* boot: the text that must appear on the console; absent: the guest agent must answer */
    int64_t timeout_ms; /* boot: for that; 5 min */
};

struct params_backup_delete {
    char *point;
    int scope; /* self, children, all */
    struct repository_ref *repository;
    bool merge, really_last;
};

struct params_repository_init {
    char *name, *path;
    int64_t min_free_percent; /* 10 */
};

struct params_repository_check {
    struct repository_ref *repository;
    bool checksum; /* read every file and compare */
};

enum { CLEAN_JOBS_MAX = 1200 }; /* a job has 64 KiB in all */

struct params_repository_clean {
    struct repository_ref *repository;
    struct strings ended; /* jobs that the ledger knows as ended: what they left may go. Filled in by the coordinator */
    bool deletes_ended;   /* no backup.delete there is open: what is marked as deleted may go. Likewise */
};

struct params_repository_import {
    struct repository_ref *repository;
};

struct params_repository_remove {
    struct repository_ref *repository;
    bool delete_backups;
};

struct params_backup_copy {
    char *point;
    struct repository_ref *repository, *to; /* where it is, and where the copy goes */
    bool chain;                             /* point by point, not as one full backup */
};

enum retire_backups { RETIRE_KEEP_BACKUPS, RETIRE_DELETE_BACKUPS };
enum retire_snapshots { RETIRE_KEEP_SNAPSHOTS, RETIRE_DELETE_SNAPSHOTS };

struct params_target_retire {
    int backups, snapshots;
    struct repository_ref *repository; /* whose backups go; absent: none go */
    bool foreign;                      /* checkpoints and snapshots made by others, too */
    bool really_last;                  /* although no good backup of the target is left in the repository */
};

struct params_job_undo {
    char *job;  /* a revert by hand, a restore in place, or an undo of one */
    bool force; /* although the guest gets another machine than it has, or checkpoints were made since */
};

enum export_kind { EXPORT_FULL, EXPORT_INCREMENTAL };

enum {
    EXPORT_SOCKET_MAX = 102
}; /* bytes of its path: the hypervisor's own, behind it, has a longer one, of 107 at most */
struct params_target_export {
    int kind, quiesce;
    char *parent; /* incremental: the job whose checkpoint it counts from; absent: the newest export's */
    struct strings include, exclude; /* disks by target dev */
    char *socket;                    /* path of a unix socket, or */
    char *address;                   /* HOST:PORT of TCP: "127.0.0.1:10809", "[::1]:10809" */
    bool tls;                        /* needed where others than this host reach the address */
    int64_t idle_timeout_ms;         /* ends when nobody was connected for so long; 10 min */
    char *scratch;         /* directory for what the guest overwrites meanwhile; absent: the worker's default pool */
    int64_t scratch_limit; /* bytes of it; 0: all but a tenth of the file system */
};

enum finish_how { FINISH_CHECK, FINISH_DONE, FINISH_CANCEL };

struct params_target_export_finish {
    int how;
    char *job; /* the export that is meant; absent: whichever of ours there is */
};

extern const char *const export_kind_names[], *const finish_how_names[];
extern const char *const snapshot_kind_names[],
    *const snapshot_memory_names[], *const quiesce_names[], *const revert_after_names[],
                                                                *const revert_force_names[],
                                                                    *const delete_scope_names[],
                                                                        *const backup_kind_names[],
                                                                            *const restore_start_names[],
                                                                                *const verify_depth_names[];
extern const char *const retire_backups_names[], *const retire_snapshots_names[];

/* Checks what JSON and Avro cannot say: names against allow-lists, paths absolute without "..", ranges, deadline rules, required params. Pure. ERR_PERMANENT with the field. */
int job_check(const struct job *job, struct err *err);
/* The repository that a job reads or writes, by its params; NULL: none. */
const struct repository_ref *job_repository(const struct job *job);
