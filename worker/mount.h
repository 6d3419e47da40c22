#pragma once
/*
 * A backup as read-only files in a directory: DIRECTORY/<disk>.raw is what the disk held, read through its chain by qemu-storage-daemon over FUSE, without a byte copied. It is there
 * until it is interrupted or nobody has read it for a while. The chain has a lease meanwhile, so nothing that it needs is deleted. docs/adr/mount-is-local.md says why this is no job.
 */
#include "model/record.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

struct mounted_image {
    char *disk, *path;
    int64_t size_bytes;
};

struct mount_request { /* paths absolute */
    const char *repository, *backup, *directory;
    const struct strings *disks; /* empty: all of the backup */
    int64_t idle_ms;             /* without a read; 0: for ever */
    const char *host;            /* for the lease */
    void *context;
    bool (*ending)(void *context); /* asked twice a second: true ends it, whoever reads */
    /* Once, when all can be read; the images are borrowed. */
    void (*ready)(void *context, const char *point, const struct mounted_image *images, size_t count);
    void (*busy)(void *context); /* it would have ended now, but a file is open */
};

/* 0: it was there, and ended as asked or by itself. -1: it could not be made, or its server failed. Nothing is left in either case. */
int mount_run(const struct mount_request *request, struct err *err);
