/*
 * Contradictions in the flags of snapshots, refused with which and why before anything is touched. libvirt itself refuses most of them (error 8, 67 or 84,
 * as measured on 9.0) but only on the host, late, and in words of flags; some it lets pass although the two wishes cancel each other (halt with live).
 * What depends on the state of the guest (an internal snapshot without memory of a running one) is the plan's to refuse.
 */
#include "model/job_check.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>

#define KEEP_MAX_MS (3650LL * 24 * 3600 * 1000)

static int check_name(const char *name, bool required, struct err *err)
{
    if (!name && !required)
        return 0;
    return name_valid_snapshot(name) ? 0
                                     : check_wrong(err, "params.name",
                                                   "cannot be the name of a snapshot: 1 to 255 bytes, without '/', "
                                                   "control characters and a '.' in front");
}

static int check_disk_mode(const struct params_snapshot_create *params, const struct snapshot_disk *disk,
                           const char *field, struct err *err)
{
    static const char *const modes[] = {"internal", "external", "no", NULL};
    bool internal = disk->mode && strcmp(disk->mode, "internal") == 0;
    bool external = disk->mode && strcmp(disk->mode, "external") == 0;

    if (disk->mode && name_index(modes, disk->mode) < 0)
        return check_wrong(err, field, "mode must be internal, external or no");
    if (disk->mode && !external && (disk->file || disk->driver))
        return check_wrong(err, field, "file and driver belong to mode external");
    if (external && params->kind == SNAPSHOT_INTERNAL)
        return check_wrong(err, field, "mode external in a snapshot of kind internal");
    if (internal && params->kind == SNAPSHOT_EXTERNAL)
        return check_wrong(err, field, "mode internal in a snapshot of kind external");
    if (internal && params->disk_only)
        return check_wrong(err, field,
                           "mode internal with disk_only: a running guest has no internal snapshot without memory");
    return 0;
}

static int check_disk(const struct params_snapshot_create *params, size_t index, struct err *err)
{
    const struct snapshot_disk *disks = params->disks.items;
    const struct snapshot_disk *disk = &disks[index];
    char field[64];

    snprintf(field, sizeof field, "params.disks[%zu]", index);
    if (!check_disk_name(disk->name))
        return check_wrong(err, field, "name cannot be the name of a disk");
    for (size_t i = 0; i < index; i++)
        if (strcmp(disks[i].name, disk->name) == 0)
            return check_wrong(err, field, "%s is named twice", disk->name);
    if (disk->driver && strcmp(disk->driver, "qcow2") != 0)
        return check_wrong(err, field, "driver must be qcow2");
    if (check_disk_mode(params, disk, field, err) < 0)
        return -1;
    return check_path(field, disk->file, err);
}

static int check_disks(const struct params_snapshot_create *params, struct err *err)
{
    const struct snapshot_disk *disks = params->disks.items;
    size_t with_file = 0;

    for (size_t i = 0; i < params->disks.count; i++) {
        if (check_disk(params, i, err) < 0)
            return -1;
        with_file += disks[i].file != NULL;
    }
    if (params->reuse_external && with_file == 0)
        return check_wrong(err, "params.reuse_external", "needs a disk with the file that is to be reused");
    return 0;
}

static int check_memory(const struct params_snapshot_create *params, struct err *err)
{
    bool memory = params->memory != MEMORY_NO;

    if (params->disk_only && memory)
        return check_contradiction(err, "disk_only", params->memory == MEMORY_FILE ? "memory=file" : "memory=yes",
                                   "a disk-only snapshot holds no memory");
    if (params->memory_file && params->memory != MEMORY_FILE)
        return check_wrong(err, "params.memory_file", "belongs to memory=file");
    if (params->kind == SNAPSHOT_EXTERNAL && params->memory == MEMORY_YES)
        return check_contradiction(err, "kind=external", "memory=yes",
                                   "memory beside external disks needs a file: memory=file");
    if (params->kind == SNAPSHOT_INTERNAL && params->memory == MEMORY_FILE)
        return check_contradiction(err, "kind=internal", "memory=file",
                                   "an internal snapshot keeps its memory in the image");
    if (params->live && params->memory != MEMORY_FILE)
        return check_contradiction(err, "live", "no memory=file",
                                   "only memory that is saved to a file can be saved while the guest runs");
    if (params->quiesce == QUIESCE_REQUIRE && memory)
        return check_contradiction(err, "quiesce=require", "memory", "the guest would come back frozen");
    if (params->quiesce == QUIESCE_REQUIRE && params->kind == SNAPSHOT_INTERNAL)
        return check_contradiction(err, "quiesce=require", "kind=internal",
                                   "only disk-only snapshots can be taken of frozen file systems");
    return check_path("params.memory_file", params->memory_file, err);
}

static int check_redefine(const struct params_snapshot_create *params, struct err *err)
{
    static const char *const why = "redefine only writes metadata of a snapshot that exists";

    if (params->no_metadata)
        return check_contradiction(err, "redefine", "no_metadata", why);
    if (params->halt)
        return check_contradiction(err, "redefine", "halt", why);
    if (params->live)
        return check_contradiction(err, "redefine", "live", why);
    if (params->disk_only)
        return check_contradiction(err, "redefine", "disk_only", why);
    if (params->reuse_external)
        return check_contradiction(err, "redefine", "reuse_external", why);
    if (params->memory != MEMORY_NO || params->disks.count > 0)
        return check_contradiction(err, "redefine", "memory or disks", "the XML says them");
    if (params->quiesce == QUIESCE_REQUIRE)
        return check_contradiction(err, "redefine", "quiesce=require", why);
    return check_text("params.redefine", params->redefine, true, err);
}

static int check_flags(const struct params_snapshot_create *params, struct err *err)
{
    if (params->redefine)
        return check_redefine(params, err);
    if (params->current)
        return check_contradiction(err, "current", "no redefine", "a new snapshot is current by itself");
    if (params->validate)
        return check_contradiction(err, "validate", "no redefine", "there is no XML of yours to validate");
    if (params->halt && params->live)
        return check_contradiction(err, "halt", "live", "one stops the guest, the other is for one that goes on");
    if (params->reuse_external && params->kind == SNAPSHOT_INTERNAL)
        return check_contradiction(err, "reuse_external", "kind=internal", "there is no file to reuse");
    return 0;
}

int check_snapshot_create(const struct params_snapshot_create *params, struct err *err)
{
    if (check_name(params->name, false, err) < 0 || check_text("params.description", params->description, true, err) < 0)
        return -1;
    if (check_flags(params, err) < 0 || check_memory(params, err) < 0 || check_disks(params, err) < 0)
        return -1;
    if (params->ttl_ms && (params->redefine || params->no_metadata))
        return check_contradiction(err, "ttl_ms", params->redefine ? "redefine" : "no_metadata",
                                   "there is no restore point that could end");
    return check_range("params.ttl_ms", params->ttl_ms, 0, 10LL * 366 * 24 * 3600 * 1000, err);
}

int check_snapshot_show(const struct params_snapshot_show *params, struct err *err)
{
    if (params->current && params->name)
        return check_contradiction(err, "name", "current", "each names one snapshot");
    if (!params->current && !params->name)
        return check_wrong(err, "params.name", "is missing: a name, or current");
    return check_name(params->name, false, err);
}

int check_snapshot_revert(const struct params_snapshot_revert *params, struct err *err)
{
    if (check_name(params->name, true, err) < 0)
        return -1;
    for (size_t i = 0; i < params->drop_checkpoint.count; i++)
        if (!name_valid_snapshot(params->drop_checkpoint.items[i]))
            return check_wrong(err, "params.drop_checkpoint", "[%zu] cannot be the name of a checkpoint", i);
    return check_range("params.keep_old_for_ms", params->keep_old_for_ms, 0, KEEP_MAX_MS, err);
}

int check_snapshot_delete(const struct params_snapshot_delete *params, struct err *err)
{
    if (params->scope == SCOPE_ALL)
        return check_wrong(err, "params.scope", "must be self, children or children_only");
    if (params->point && check_uuid("params.point", params->point, err) < 0)
        return -1;
    return check_name(params->name, true, err);
}
