#pragma once
/* What planning an undo looks at, and what refuses it: only a job of which everything is still as it left it, but for what was written to the disks, can be undone. */
#include "worker/backends/libvirt/snapshots.h"

struct undo_look {
    struct libvirt_backend *backend;
    const struct job *job;
    const struct params_job_undo *params;
    struct facts record;          /* of the job to be undone: undo_record.h */
    virDomainPtr domain;          /* the rest is of now */
    xmlDocPtr definition;         /* inactive, with secrets */
    struct strings checkpoints;   /* made since: names */
    struct strings differences;   /* from the machine of now to the one that comes back */
    struct list snapshots_before; /* struct snapshot_info: those of the record */
    int state;
    bool active, has_saved;
    bool same_boot; /* of the host, as when the record was made */
    int64_t until_ms, now_ms;
};

int undo_look(struct undo_look *look, struct backend *backend, const struct job *job, struct err *err);
void undo_look_end(struct undo_look *look);
bool undo_swapped(const struct undo_look *look);
/* Sentences for people: what is lost. */
int undo_lost(const struct undo_look *look, struct plan *plan, struct err *err);
