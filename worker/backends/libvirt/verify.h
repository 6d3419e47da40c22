#pragma once
/* What the steps of backup.verify share. */
#include "worker/backends/libvirt/chain_files.h"

struct verify {
    const struct step_run *run;
    const struct step *step;
    struct repository repository;
    struct list chain;
    struct chain_files files;
    struct chain_lease lease;
    char folder[PATH_MAX]; /* of the point */
    int64_t done, total;
};

/* Reads the chain of the point under a lease. */
int verify_open(struct verify *verify, const struct step_run *run, const struct step *step, struct err *err);
void verify_end(struct verify *verify);
bool verify_progress(void *context, int64_t bytes); /* for digest_file(); false: cancelled */
/* Writes the outcome into the point's manifest, once per job: `text` NULL is success; else what the step, by its depth, has found. Checksums that `known` holds ("sha256.<disk>") are stored where there is none yet. */
int verify_record(struct verify *verify, const char *text, struct err *err);
/* For a step that found damage: records it and returns -1 with `err` as it was. Other failures (cancelled, later) are not recorded. */
int verify_failed(struct verify *verify, struct err *err);
