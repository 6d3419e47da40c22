#include "worker/backends/libvirt/backup_disks.h"

#include "base/text.h"
#include "worker/backends/libvirt/disk_kinds.h"

#include <string.h>

static const char *why_not(const struct domain_disk *disk, const struct strings *include, const struct strings *exclude)
{
    const char *cannot = domain_disk_refused(disk);

    if (cannot)
        return cannot;
    if (strings_have(exclude, disk->name))
        return "excluded by the request";
    if (include->count && !strings_have(include, disk->name))
        return "not in the request";
    return NULL;
}

static int add_disk(const struct domain_disk *disk, const char *why, struct list *out, struct err *err)
{
    struct point_disk *slot = list_add(out, &point_disk_record, err);
    struct text file = {0};
    int failed;

    if (!slot)
        return -1;
    text_addf(&file, "%s.qcow2", disk->name);
    failed = string_set(&slot->name, disk->name, err) < 0 || string_set(&slot->source, disk->source, err) < 0 ||
             string_set(&slot->source_format, disk->format ? disk->format : "raw", err) < 0 ||
             string_set(&slot->mode, why ? "excluded" : "full", err) < 0 || string_set(&slot->reason, why, err) < 0 ||
             (!why && (string_set(&slot->file, text_str(&file), err) < 0 || string_set(&slot->format, "qcow2", err) < 0));
    text_free(&file);
    return failed ? -1 : 0;
}

static const struct domain_disk *find_disk(const struct domain_disks *disks, const char *name)
{
    for (size_t i = 0; i < disks->count; i++)
        if (strcmp(disks->items[i].name, name) == 0)
            return &disks->items[i];
    return NULL;
}

static int check_include(const struct domain_disks *disks, const struct strings *include, struct err *err)
{
    for (size_t i = 0; i < include->count; i++) {
        const struct domain_disk *disk = find_disk(disks, include->items[i]);

        if (!disk)
            return err_set(err, ERR_PERMANENT, "the domain has no disk %s", include->items[i]);
        if (domain_disk_refused(disk))
            return err_set(err, ERR_PERMANENT, "disk %s cannot be backed up: %s", disk->name, domain_disk_refused(disk));
    }
    return 0;
}

void point_disks_clear(struct list *disks)
{
    for (size_t i = 0; i < disks->count; i++)
        record_clear(&point_disk_record, list_at(disks, struct point_disk, i));
    free(disks->items);
    *disks = (struct list){0};
}

int backup_disks(const struct domain_disks *disks, const struct strings *include, const struct strings *exclude,
                 struct list *out, struct err *err)
{
    CLEANUP(point_disks_clear) struct list list = {0};
    size_t taken = 0;

    if (check_include(disks, include, err) < 0)
        return -1;
    for (size_t i = 0; i < disks->count; i++) {
        const char *why = why_not(&disks->items[i], include, exclude);

        if (add_disk(&disks->items[i], why, &list, err) < 0)
            return -1;
        taken += why == NULL;
    }
    if (!taken)
        return err_set(err, ERR_PERMANENT, "no disk is left to back up%s%s", list.count ? ": " : "",
                       list.count ? list_at(&list, struct point_disk, 0)->reason : "");
    *out = list;
    list = (struct list){0};
    return 0;
}

int backup_disks_finish(struct list *disks, bool incremental, const char *checkpoint, struct err *err)
{
    for (size_t i = 0; i < disks->count; i++) {
        struct point_disk *disk = list_at(disks, struct point_disk, i);
        const char *full_only = domain_disk_full_only(disk->source_format);

        if (strcmp(disk->mode, "excluded") == 0)
            continue;
        if (string_set(&disk->mode, incremental && !full_only ? "incremental" : "full", err) < 0 ||
            string_set(&disk->reason, full_only, err) < 0 ||
            string_set(&disk->checkpoint, full_only ? NULL : checkpoint, err) < 0)
            return -1;
    }
    return 0;
}

char *backup_disk_names(const struct list *disks)
{
    struct text names = {0};

    for (size_t i = 0; i < disks->count; i++) {
        const struct point_disk *disk = list_at(disks, struct point_disk, i);

        if (strcmp(disk->mode, "excluded") != 0)
            text_addf(&names, "%s%s", names.len ? " " : "", disk->name);
    }
    return text_take(&names);
}
