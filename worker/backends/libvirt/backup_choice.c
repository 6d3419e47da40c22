/*
 * auto looks at the newest restore point with the same disks that left a checkpoint, then at older ones of the same chain: an older sound checkpoint gives a larger
 * incremental, but a right one, because every bitmap keeps recording. What was wrong with the newest is the reason that people read.
 */
#include "worker/backends/libvirt/backup_choice.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "worker/backends/libvirt/delete_choice.h"
#include "worker/backends/libvirt/disk_kinds.h"
#include "worker/repository.h"

#include <stdio.h>
#include <string.h>

static const struct point_disk *disk_named(const struct list *disks, const char *name)
{
    for (size_t i = 0; i < disks->count; i++)
        if (strcmp(list_at(disks, struct point_disk, i)->name, name) == 0)
            return list_at(disks, struct point_disk, i);
    return NULL;
}

static bool disk_in(const struct point_disk *disk)
{
    return disk && strcmp(disk->mode, "excluded") != 0;
}

/* Each disk that is in `left` is in `right`, with the same size and format. */
static const char *disks_within(const struct list *left, const struct list *right)
{
    for (size_t i = 0; i < left->count; i++) {
        const struct point_disk *disk = list_at(left, struct point_disk, i), *other = disk_named(right, disk->name);

        if (!disk_in(disk))
            continue;
        if (!disk_in(other))
            return "the set of disks changed";
        if (disk->size_bytes != other->size_bytes)
            return "the size of a disk changed";
        if (disk->source_format && other->source_format && strcmp(disk->source_format, other->source_format) != 0)
            return "the format of a disk changed";
    }
    return NULL;
}

static const char *disks_differ(const struct list *left, const struct list *right)
{
    const char *why = disks_within(left, right);

    return why ? why : disks_within(right, left);
}

static bool has_checkpoint(const struct restore_point *point)
{
    for (size_t i = 0; i < point->disks.count; i++)
        if (list_at(&point->disks, struct point_disk, i)->checkpoint)
            return true;
    return false;
}

static bool any_incremental(const struct list *disks)
{
    for (size_t i = 0; i < disks->count; i++) {
        const struct point_disk *disk = list_at(disks, struct point_disk, i);

        if (disk_in(disk) && !domain_disk_full_only(disk->source_format))
            return true;
    }
    return false;
}

static int64_t begun_at_ms(const struct list *chain)
{
    return list_at(chain, struct restore_point, 0)->created_at_ms;
}

/* Why `point` cannot be the parent, into `why`; true if it can. */
static bool may_be_parent(const struct backup_wish *wish, const struct restore_point *point, bool *redefine,
                          char why[256])
{
    const char *differ = disks_differ(wish->disks, &point->disks);
    CLEANUP(points_clear) struct list chain = {0};
    struct err err = {0};

    if (differ)
        return snprintf(why, 256, "%s since %s", differ, point->id), false;
    if (!has_checkpoint(point))
        return snprintf(why, 256, "restore point %s left no checkpoint", point->id), false;
    if (points_chain(wish->points, point->id, &chain, &err) < 0)
        return snprintf(why, 256, "the chain of %s is not complete in the repository", point->id), false;
    if (!point_good(wish->points, point))
        return snprintf(why, 256, "a verification found the chain of %s damaged", point->id), false;
    if (wish->kind == BACKUP_AUTO && wish->max_chain > 0 && point->chain_length >= wish->max_chain)
        return snprintf(why, 256, "the chain has %lld points, as many as allowed", (long long)point->chain_length),
               false;
    if (wish->kind == BACKUP_AUTO && wish->max_chain_ms > 0 && wish->now_ms - begun_at_ms(&chain) > wish->max_chain_ms)
        return snprintf(why, 256, "the chain is %lld days old, more than allowed",
                        (long long)((wish->now_ms - begun_at_ms(&chain)) / 86400000)),
               false;
    switch (wish->checkpoint(wish->context, point)) {
    case CHECKPOINT_SOUND: *redefine = false; return true;
    case CHECKPOINT_FORGOTTEN: *redefine = true; return true;
    case CHECKPOINT_GONE: snprintf(why, 256, "the checkpoint of %s is gone", point->id); return false;
    case CHECKPOINT_BROKEN:
        snprintf(why, 256, "the checkpoint of %s is broken: QEMU was killed, or the disk was reverted or replaced",
                 point->id);
        return false;
    }
    return false;
}

static bool may_be_asked(const struct backup_wish *wish, const struct restore_point *point)
{
    if (wish->parent)
        return strcmp(point->id, wish->parent) == 0;
    if (wish->kind == BACKUP_DIFFERENTIAL)
        return !point->parent;
    return true;
}

/* The newest point that can be the parent; candidates are those of one chain, because an older chain would be no shorter way back. */
static const struct restore_point *find_parent(const struct backup_wish *wish, bool *redefine, char reason[256])
{
    const char *chain = NULL;
    char why[256];

    snprintf(reason, 256, "there is no earlier backup in this repository");
    for (size_t i = wish->points->count; i-- > 0;) {
        const struct restore_point *point = list_at(wish->points, struct restore_point, i);

        if (!may_be_asked(wish, point) || (chain && strcmp(chain, point->chain) != 0))
            continue;
        if (may_be_parent(wish, point, redefine, why))
            return point;
        if (!chain)
            memcpy(reason, why, sizeof why);
        if (has_checkpoint(point))
            chain = point->chain;
    }
    return NULL;
}

static bool impossible(const struct backup_wish *wish, char reason[256])
{
    if (!wish->active)
        return snprintf(reason, 256, "the guest is off, and only a running one can tell what changed"), true;
    if (wish->unable)
        return snprintf(reason, 256, "%s", wish->unable), true;
    if (!any_incremental(wish->disks))
        return snprintf(reason, 256, "%s", domain_disk_full_only("raw")), true;
    return false;
}

int backup_choose(const struct backup_wish *wish, struct backup_choice *out, struct err *err)
{
    struct backup_choice choice = {.kind = BACKUP_FULL};

    if (wish->kind == BACKUP_FULL) {
        *out = choice;
        return 0;
    }
    if (wish->parent && !points_find(wish->points, wish->parent))
        return err_set(err, ERR_PERMANENT, "restore point %s is not in this repository, or is not complete",
                       wish->parent);
    if (!impossible(wish, choice.fallback_reason))
        choice.parent = find_parent(wish, &choice.redefine, choice.fallback_reason);
    if (!choice.parent && wish->kind != BACKUP_AUTO) {
        err_set(err, ERR_CONFLICT, "%s backup is not possible: %s", backup_kind_names[wish->kind],
                choice.fallback_reason);
        return err_hint(err, "--kind full, or --kind auto");
    }
    if (choice.parent) {
        choice.kind = wish->kind == BACKUP_DIFFERENTIAL ? BACKUP_DIFFERENTIAL : BACKUP_INCREMENTAL;
        choice.fallback_reason[0] = '\0';
    }
    *out = choice;
    return 0;
}
