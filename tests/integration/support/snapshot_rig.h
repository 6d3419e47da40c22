#pragma once
/*
 * The surroundings of the snapshot tests: the host and the domain of backup_rig.h, the libvirt backend as it is, and a runner whose journal can be looked at and which stops where
 * a test says: cancelled before a step, or dead after the effect of a step and before its DONE. Data goes in and out through QEMU's own qemu-io.
 */
#include "backup_rig.h"

struct snap_rig {
    struct rig host;
    struct backend *backend;
    bool cancelled, stopping;
    int cancel_at;    /* cancels when the n-th step begins, counted from 1; 0: never */
    int die_at;       /* the worker "dies" when the n-th DONE is to be written; 0: never */
    int steps, dones; /* seen in this run */
    char *definition; /* of the domain as it began */
    char *plan;       /* the journal */
    enum step_state states[64];
    struct facts facts[64];
};

/* One per process: a process has one embedded libvirt root. */
void snap_open(struct snap_rig *rig);
void snap_close(struct snap_rig *rig);
/* A fresh domain with fresh disks. raw_disk: with the disk vdc, which no internal snapshot can hold. */
void snap_start(struct snap_rig *rig, bool raw_disk);

/* The small real guest with the real agent (tests/guest/build), booted, its agent answering; snap_start removes it again. */
void snap_start_real(struct snap_rig *rig);

struct job *snap_job(struct snap_rig *rig, enum op op, const char *name);
/* Runs; goes on from the journal as a restarted worker would, when it "died". Does not free the job. */
void snap_run(struct snap_rig *rig, struct job *job, struct outcome *out);
void snap_recover(struct snap_rig *rig, struct job *job, struct outcome *out);
/* The worker "dies" after the n-th effect, before it is written down, and the next one goes on to success. Frees the job. false: there was no n-th. */
bool snap_dies_at(struct snap_rig *rig, struct job *job, int n);
/* Cancelled when the n-th step begins; frees the job. false: there was no n-th, and the job succeeded. */
bool snap_cancelled_at(struct snap_rig *rig, struct job *job, int n);
/* Runs, demands success, frees the job. `out` may be NULL; else the caller clears it. */
void snap_ok(struct snap_rig *rig, struct job *job, struct outcome *out);
/* Runs, demands a refusal of this kind with `text` in it, frees the job. */
void snap_refused(struct snap_rig *rig, struct job *job, enum err_kind kind, const char *text);

struct params_snapshot_create *snap_create_params(struct job *job);
struct params_snapshot_revert *snap_revert_params(struct job *job);
struct params_snapshot_delete *snap_delete_params(struct job *job);
void snap_disk(struct job *job, const char *name, const char *mode, const char *file);

void snap_write(struct snap_rig *rig, const char *disk, int pattern); /* 64 KiB at 1 MiB */
void snap_expect(struct snap_rig *rig, const char *disk,
                 int pattern); /* of a running or paused guest, or of one that is off */
void snap_expect_state(struct snap_rig *rig, int state);
void snap_expect_current(struct snap_rig *rig, const char *name); /* NULL: none */
void snap_expect_parent(struct snap_rig *rig, const char *name, const char *parent);
int snap_count(struct snap_rig *rig);
int snap_files(struct snap_rig *rig);                                            /* in the folder of the disks */
char *snap_source(struct snap_rig *rig, const char *disk);                       /* caller frees */
void snap_virsh_snapshot(struct snap_rig *rig, const char *xml, unsigned flags); /* as others would */
