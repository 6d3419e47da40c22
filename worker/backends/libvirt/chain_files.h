#pragma once
/* The files that make up a restore point: of each disk those from its newest link back to the one that is whole by itself. */
#include "crypto/digest.h"
#include "worker/backends/libvirt/backup_tools.h"

struct chain_file {
    char *path;
    const struct restore_point *point; /* into the chain that it was made from */
    const struct point_disk *disk;
};

struct chain_files {
    struct chain_file *items;
    size_t count;
    int64_t bytes; /* of all, as the manifests say */
};

/* `chain`: full first, the point last, and living longer than `out`. disks: names with spaces between, NULL for all of the point. ERR_PERMANENT where a link is missing. */
int chain_files(const struct list *chain, const char *chain_folder, const char *disks, struct chain_files *out,
                struct err *err);
void chain_files_clear(struct chain_files *files);
int chain_file_check_size(const struct chain_file *file, struct err *err);
/* Compares with the manifest's checksum where there is one. `cache` and `step` as in digest_file(). */
int chain_file_check_sum(const struct chain_file *file, enum digest_cache cache,
                         bool (*step)(void *context, int64_t bytes), void *context, char sum[65], struct err *err);
