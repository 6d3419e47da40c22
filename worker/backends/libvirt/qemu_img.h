#pragma once
/* qemu-img as a step uses it: cancellable, with progress, and so that a child that outlives its worker is seen. */
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/chain_sums.h"

struct image_copy {
    const char *source, *source_format;
    const char *target, *target_format; /* appears under this name only when it is whole */
    bool compress;
    int64_t rate_limit;         /* bytes/s, for as long as it runs; 0: none */
    struct chain_sums *sums;    /* compared before the target appears; NULL: nothing to compare */
    int64_t size_bytes;         /* for progress: virtual size */
    int64_t done_before, total; /* of the whole job */
};

/* qcow2 to qcow2, as the step's arguments image, target, size, before and total say; the names are the step's. */
struct image_copy image_copy_asked(const struct step *step);
/* Flattens `source` with its backing files into `target`. A target that is not empty is finished work of an earlier attempt. */
int image_copy(const struct step_run *run, struct chain_lease *lease, const struct image_copy *copy, struct err *err);
int image_copy_undo(const char *target, struct err *err); /* ERR_RETRY while a leftover child still writes it */
int image_copy_settle(const char *target, enum settled *out, struct err *err);
/* NAME.part, under an flock that a child inherits: its descriptor, or ERR_RETRY while a leftover child writes it. On disk, then under its final name: image_put_in_place(). */
int image_part_open(const char *part, int flags, struct err *err);
int image_put_in_place(const char *part, const char *target, int fd, struct err *err);
/* Copies `child` so that the copy has the same content, but stands on `backing` (as it will be written into it), and no longer on what `child` stands on. image_restand.c */
int image_restand(const struct step_run *run, struct chain_lease *lease, const char *child, const char *backing,
                  const char *target, struct err *err);
/* Runs one qemu-img with these arguments; out_status as in process_run. */
int qemu_img(const struct step_run *run, struct chain_lease *lease, const char *const argv[], int *out_status,
             struct err *err);
