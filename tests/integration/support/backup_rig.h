#pragma once
/*
 * A rig for tests of the backup verbs on real QEMU: an embedded libvirt root of its own in a temporary folder, one small domain without an operating system (disks: vda and vdb
 * qcow2, vdc raw, an empty cdrom), a repository, and the runner with surroundings that always say yes. Data gets into the running guest's disks through QEMU's own
 * qemu-io, which goes the way that a guest's write goes.
 */
#include "model/job.h"
#include "model/restore_point.h"
#include "model/status.h"
#include "worker/repository.h"
#include "worker/runner.h"

#include <libvirt/libvirt.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

struct rig {
    char root[32]; /* of everything */
    char uri[128];
    char uuid[37]; /* of the domain */
    char name[64];
    char repository_id[37];
    char repository[128];
    struct backend_config config;
    struct strings pools, repositories;
    struct backend *backend;
    virConnectPtr connection; /* the test's own */
    virDomainPtr domain;
    const char *error_policy;    /* of the disks, before they are defined; NULL: libvirt's own default */
    bool cancelled;              /* asked by a person */
    const char *cancel_at_phase; /* cancels when this step begins; NULL: never. By bytes it would be a race: a small push has ended before it is looked at */
    void (*on_phase)(struct rig *rig, const char *name);         /* when a step begins; NULL: nobody looks */
    void (*on_tell)(struct rig *rig, const struct facts *facts); /* what a job that runs says; NULL: nobody listens */
    atomic_bool told_to_end;                                     /* an export: it is a success */
    int64_t rate_limit;
    void (*on_progress)(struct rig *rig, int64_t done, int64_t total); /* NULL: nobody looks */
    const char *fill_at_phase; /* fills the small repository when this step begins; NULL: never */
    char small[64];            /* a repository with a file system of its own */
    char crash_step[32];       /* kills this process around the step of that name … */
    int crash_when;            /* … enum rig_crash */
    char *plan;                /* of the running job */
    pthread_t watcher;
    atomic_bool watched;
};

enum rig_crash { CRASH_BEFORE_INTENT, CRASH_AFTER_INTENT, CRASH_BEFORE_DONE, CRASH_AFTER_DONE, CRASH_KINDS };

bool rig_possible(void);                                /* QEMU and libvirt are here, and we are root */
void rig_prepare(struct rig *rig, const char *name);    /* folders, disks, repository; no libvirt yet */
void rig_configure(struct rig *rig, const char *lines); /* more of qemu.conf, before libvirt is opened */
void rig_connect(struct rig *rig);                      /* opens the root; defines the domain if it is not there */
void rig_offline(struct rig *rig);                      /* only the backend: for jobs that need no libvirt */
void rig_start(struct rig *rig, const char *name);      /* both */
void rig_redefine(struct rig *rig);                     /* the domain that was undefined */
/* The domain's first disk gets an operating system: a sector that says RIG_SAYS on the first serial port. While it is off. */
#define RIG_SAYS "fleetsnap is up"
void rig_boot_sector(struct rig *rig);
/* Or one that writes 8 KiB to the first disk at every tick of its clock (18 a second), over and over from 448 MiB to 512 MiB. */
void rig_boot_writer(struct rig *rig);
/* Until the guest has written this often since it was asked; fails after a minute. */
void rig_wait_for_writes(struct rig *rig, int count);
/* What that guest has written is on its disk: nothing is missing, nothing is somewhere else. While it is paused or off. */
void rig_check_writes(struct rig *rig);
void rig_stop(struct rig *rig);
void rig_power(struct rig *rig, bool on);
/* Writes `bytes` of `pattern` at `offset` of a running guest's disk. */
void rig_write(struct rig *rig, const char *disk, int pattern, const char *offset, const char *bytes);
/* From true to false: somebody asks all the time about all disks, as tools do that watch a host. */
void rig_watched(struct rig *rig, bool watched);
void rig_kill_qemu(struct rig *rig);          /* kill -9, and wait until libvirt has seen it */
void rig_forget_checkpoints(struct rig *rig); /* libvirt's metadata only, as after a move of the domain */
void rig_small_repository(struct rig *rig, int mib);
/* A repository in a file system of its own that can fail: ext4 of 1 GiB on a loop device, dropped like the small one. */
void rig_disk_repository(struct rig *rig);
void rig_break_repository(struct rig *rig);           /* from now on everything there is EIO */
void rig_hang_repository(struct rig *rig, bool hang); /* every write there waits */
void rig_fill_repository(struct rig *rig);            /* the small one: until nothing goes in */
void rig_drop_small_repository(struct rig *rig);
char *rig_disk(struct rig *rig, const char *file, char out[PATH_MAX]);

struct repository_ref *rig_repository(const struct rig *rig);
struct job *rig_job(struct rig *rig, enum op op); /* with default parameters and the rig's repository */
void rig_run(struct rig *rig, struct job *job, struct outcome *out); /* frees the job */
/* What a restarted worker does with the journal that a killed process left: recovers, and plans afresh where that is the answer. */
void rig_recover(struct rig *rig, struct job *job, struct outcome *out);
/* Runs and demands success; the restore point's id into id[37] where it is not NULL. */
void rig_succeed(struct rig *rig, struct job *job, char id[37]);
/* Runs and demands FAILED or a retry, with `text` in the error. */
void rig_refused(struct rig *rig, struct job *job, const char *text);
void rig_manifest(struct rig *rig, const char *id, struct restore_point *out);
bool rig_same(const char *left, const char *left_format, const char *right,
              const char *right_format); /* qemu-img compare */
int rig_checkpoints(struct rig *rig);
