#include "worker/backends/libvirt/restore.h"

#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/domain_edit.h"
#include "worker/backends/libvirt/given_definition.h"

#include <stdio.h>
#include <string.h>

enum { DEFINITION_MAX = 4 << 20 };

void restore_end(struct restore *restore)
{
    for (size_t i = 0; i < restore->disk_count; i++) {
        free(restore->disks[i].name);
        free(restore->disks[i].image);
        free(restore->disks[i].target);
        free(restore->disks[i].format);
        free(restore->disks[i].place);
        free(restore->disks[i].room);
    }
    free(restore->disks);
    free(restore->point_folder);
    repository_clear(&restore->repository);
    restore_point_clear(&restore->point);
}

static char *join(const char *folder, const char *name)
{
    struct text path = {0};

    text_addf(&path, "%s/%s", folder, name);
    return text_take(&path);
}

static int add_disk(struct restore *restore, const struct point_disk *disk, struct err *err)
{
    struct restore_disk *slot = &restore->disks[restore->disk_count++];

    if (!name_valid_plain(disk->name) || !name_valid_plain(disk->file))
        return err_set(err, ERR_PERMANENT, "manifest of %s: \"%s\" is no name of a file", restore->point.id, disk->file);
    slot->name = strdup(disk->name);
    slot->image = join(restore->point_folder, disk->file);
    slot->format = strdup(disk->source_format ? disk->source_format : disk->format);
    slot->size_bytes = disk->size_bytes;
    return slot->name && slot->image && slot->format ? 0 : err_memory(err, disk->name);
}

static bool point_has(const struct restore_point *point, const char *name)
{
    for (size_t i = 0; i < point->disks.count; i++)
        if (list_at(&point->disks, struct point_disk, i)->file &&
            strcmp(list_at(&point->disks, struct point_disk, i)->name, name) == 0)
            return true;
    return false;
}

static int choose_disks(struct restore *restore, struct err *err)
{
    const struct strings *wanted = &restore->params->disks;

    for (size_t i = 0; i < wanted->count; i++)
        if (!point_has(&restore->point, wanted->items[i]))
            return err_set(err, ERR_PERMANENT, "restore point %s has no disk %s", restore->point.id, wanted->items[i]);
    restore->disks = calloc(restore->point.disks.count + 1, sizeof *restore->disks);
    if (!restore->disks)
        return err_memory(err, "disks");
    for (size_t i = 0; i < restore->point.disks.count; i++) {
        const struct point_disk *disk = list_at(&restore->point.disks, struct point_disk, i);

        if (disk->file && (!wanted->count || strings_have(wanted, disk->name)) && add_disk(restore, disk, err) < 0)
            return -1;
    }
    return 0;
}

int restore_open(struct restore *restore, struct backend *backend, const struct job *job, struct err *err)
{
    return restore_open_as(restore, backend, job, job->params, err);
}

int restore_open_as(struct restore *restore, struct backend *backend, const struct job *job,
                    const struct params_backup_restore *params, struct err *err)
{
    CLEANUP(points_clear) struct list chain = {0};

    restore->backend = libvirt_of(backend);
    restore->job = job;
    restore->params = params;
    restore->uuid = job->target.id;
    bool domain = restore->params->in_place || restore->params->new_name; /* else files alone: they need no libvirt */

    if ((domain && libvirt_connect(restore->backend, err) < 0) ||
        backup_repository(backend, restore->params->repository, &restore->repository, err) < 0 ||
        repository_find(&restore->repository, restore->params->source, restore->params->point, &restore->point,
                        &restore->point_folder, err) < 0 ||
        repository_chain(&restore->repository, restore->params->source, restore->params->point, &chain, err) < 0)
        return -1;
    snprintf(restore->chain_folder, sizeof restore->chain_folder, "%s", restore->point_folder);
    *strrchr(restore->chain_folder, '/') = '\0';
    return choose_disks(restore, err);
}

static char *disk_names(const struct restore *restore)
{
    struct text names = {0};

    for (size_t i = 0; i < restore->disk_count; i++)
        text_addf(&names, "%s%s", i ? " " : "", restore->disks[i].name);
    return text_take(&names);
}

int restore_add_check(struct restore *restore, const char *room_folder, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *names = disk_names(restore);

    if (!names)
        return err_memory(err, "disks");
    restore->compares_late = true;
    struct step *step = plan_add(plan, &step_restore_check, err, "repository", restore->repository.path, "source",
                                 restore->params->source, "point", restore->point.id, "chain_folder",
                                 restore->chain_folder, "disks", names, "room", room_folder, "sums", "later", NULL);
    for (size_t i = 0; step && i < restore->disk_count; i++) {
        char key[160];

        snprintf(key, sizeof key, RESTORE_ROOM "%.128s", restore->disks[i].name);
        if (restore->disks[i].room && facts_set(&step->args, key, restore->disks[i].room, err) < 0)
            return -1;
    }
    return step ? 0 : -1;
}

static int add_comparison(const struct restore *restore, struct step *step, struct err *err)
{
    if (facts_set(&step->args, "repository", restore->repository.path, err) < 0 ||
        facts_set(&step->args, "source", restore->params->source, err) < 0)
        return -1;
    return facts_set(&step->args, "point", restore->point.id, err);
}

int restore_add_disks(struct restore *restore, struct plan *plan, struct err *err)
{
    int64_t total = 0, done = 0;

    for (size_t i = 0; i < restore->disk_count; i++)
        total += restore->disks[i].size_bytes;
    for (size_t i = 0; i < restore->disk_count; i++) {
        const struct restore_disk *disk = &restore->disks[i];
        struct step *step = plan_add(plan, &step_restore_disk, err, "disk", disk->name, "image", disk->image, "target",
                                     disk->target, "format", disk->format, "chain_folder", restore->chain_folder, NULL);

        if (!step || (restore->compares_late && add_comparison(restore, step, err) < 0) ||
            facts_set_int(&step->args, "size", disk->size_bytes, err) < 0 ||
            facts_set_int(&step->args, "before", done, err) < 0 || facts_set_int(&step->args, "total", total, err) < 0)
            return -1;
        done += disk->size_bytes;
    }
    return 0;
}

/* ---- the files of a new domain ---- */

int restore_place_disks(struct restore *restore, const char *folder, struct err *err)
{
    for (size_t i = 0; i < restore->disk_count; i++) {
        struct text path = {0};

        if (restore->disks[i].target)
            continue;
        text_addf(&path, "%s/%s.%s", folder, restore->disks[i].name, restore->disks[i].format);
        restore->disks[i].target = text_take(&path);
        if (!restore->disks[i].target)
            return err_memory(err, "path");
    }
    return 0;
}

/* ---- the definition of a new domain ---- */

int restore_saved_definition(const struct restore *restore, xmlDocPtr *out, struct err *err)
{
    CLEANUP(freep) char *text = NULL;
    char path[PATH_MAX];
    size_t len;

    if (!restore->point.definition || !name_valid_plain(restore->point.definition))
        return err_set(err, ERR_PERMANENT, "restore point %s has no definition", restore->point.id);
    snprintf(path, sizeof path, "%s/%s", restore->point_folder, restore->point.definition);
    if (file_read(path, DEFINITION_MAX, &text, &len, err) < 0)
        return -1;
    return xml_parse(text, "saved definition", out, err);
}

static int load_given(const struct restore *restore, xmlDocPtr *out, struct err *err)
{
    CLEANUP(strings_clear) struct strings disks = {0};
    CLEANUP(xml_freep) xmlDocPtr saved = NULL;

    for (size_t i = 0; i < restore->disk_count; i++)
        if (strings_add(&disks, restore->disks[i].name, err) < 0)
            return -1;
    if (restore_saved_definition(restore, &saved, err) < 0)
        return -1;
    return given_definition(restore->params->xml, &disks, saved, out, err);
}

static int load_definition(const struct restore *restore, xmlDocPtr *out, struct err *err)
{
    return restore->params->xml ? load_given(restore, out, err) : restore_saved_definition(restore, out, err);
}

static int edit(struct restore *restore, const char *folder, xmlDocPtr doc, struct err *err)
{
    CLEANUP(freep) struct edit_disk *disks = calloc(restore->disk_count + 1, sizeof *disks);
    const struct domain_edit how = {
        .name = restore->params->new_name,
        .uuid = restore->uuid,
        .folder = folder,
        .disks = disks,
        .disk_count = restore->disk_count,
        .networks = &restore->params->map_network,
        .machines = &restore->params->map_machine,
        .new_identity = restore->params->new_identity,
        .nvram = restore->point.nvram != NULL,
    };

    if (!disks)
        return err_memory(err, "disks");
    for (size_t i = 0; i < restore->disk_count; i++)
        disks[i] = (struct edit_disk){restore->disks[i].name, restore->disks[i].target, restore->disks[i].format};
    return domain_edit(doc, &how, err);
}

int restore_definition(struct restore *restore, const char *folder, xmlDocPtr *out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    if (restore_place_disks(restore, folder, err) < 0 || load_definition(restore, &doc, err) < 0 ||
        edit(restore, folder, doc, err) < 0)
        return -1;
    *out = TAKE_PTR(doc);
    return 0;
}
