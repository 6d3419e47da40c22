/*
 * Which snapshot. `auto` is an external, disk-only one for a guest that runs (it stops for milliseconds, and the old disk is never written again) and an internal one for a guest
 * that is off (no file is added), where formats, firmware and libvirt allow it. A running guest's internal snapshot always holds its memory: there is no other kind.
 */
#include "worker/backends/libvirt/create_choice.h"

#include "base/text.h"
#include "model/target.h"
#include "worker/backends/libvirt/disk_kinds.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { INTERNAL_WITH_PFLASH = 10010000 }; /* libvirt 10.10 */

struct rule {
    bool broken;
    const char *text, *hint;
};

static int check_rules(const struct rule *rules, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!rules[i].broken)
            continue;
        err_set(err, ERR_PERMANENT, "snapshot create: %s", rules[i].text);
        return rules[i].hint ? err_hint(err, "%s", rules[i].hint) : -1;
    }
    return 0;
}

static int check_redefine(const struct params_snapshot_create *p, struct err *err)
{
    const struct rule rules[] = {
        {p->disk_only, "redefine with disk_only: what was taken is in the XML", NULL},
        {p->halt, "redefine with halt: nothing is taken, so nothing stops", NULL},
        {p->live, "redefine with live: nothing is taken", NULL},
        {p->no_metadata, "redefine with no_metadata: metadata is all that it makes", NULL},
        {p->reuse_external, "redefine with reuse_external: the files are in the XML", NULL},
        {p->memory != MEMORY_NO || p->memory_file, "redefine with memory: what was taken is in the XML", NULL},
        {p->disks.count > 0, "redefine with disks: they are in the XML", NULL},
        {p->kind != SNAPSHOT_AUTO, "redefine with a kind: it is in the XML", NULL},
        {p->description != NULL, "redefine with a description: it is in the XML", NULL},
        {p->quiesce == QUIESCE_REQUIRE, "redefine with quiesce require: nothing is taken", NULL},
    };

    return check_rules(rules, sizeof rules / sizeof rules[0], err);
}

static bool all_files_given(const struct params_snapshot_create *p)
{
    for (size_t i = 0; i < p->disks.count; i++) {
        const struct snapshot_disk *disk = list_at(&p->disks, struct snapshot_disk, i);

        if (disk->file && (!disk->mode || strcmp(disk->mode, "external") == 0))
            return true;
    }
    return false;
}

int create_check_params(const struct params_snapshot_create *p, struct err *err)
{
    const struct rule rules[] = {
        {p->current && !p->redefine, "current needs redefine: a new snapshot is always the current one", NULL},
        {p->disk_only && p->memory != MEMORY_NO, "disk_only with memory contradict each other", NULL},
        {p->disk_only && p->live, "disk_only with live: live is about saving memory", NULL},
        {p->disk_only && p->kind == SNAPSHOT_INTERNAL,
         "disk_only with kind internal: an internal snapshot of a guest holds its memory", NULL},
        {p->live && p->memory == MEMORY_NO, "live needs memory",
         "--memspec file=PATH: an external memory file is written while the guest runs"},
        {p->live && p->kind == SNAPSHOT_INTERNAL, "live with kind internal: libvirt does this for external ones only",
         NULL},
        {p->memory_file && p->memory != MEMORY_FILE, "a memory file needs memory file", NULL},
        {p->memory == MEMORY_FILE && !p->memory_file, "memory file needs the name of the file",
         "--memory yes derives one"},
        {p->memory == MEMORY_FILE && p->kind == SNAPSHOT_INTERNAL,
         "a memory file with kind internal: its memory is in the image", NULL},
        {p->memory != MEMORY_NO && p->quiesce == QUIESCE_REQUIRE,
         "quiesce require with memory: the guest would come back frozen", "a snapshot with memory needs no freeze"},
        {p->quiesce == QUIESCE_REQUIRE && p->kind == SNAPSHOT_INTERNAL,
         "quiesce require with kind internal: the guest would come back frozen", NULL},
        {p->no_metadata && p->kind == SNAPSHOT_INTERNAL,
         "no_metadata with kind internal: nobody could revert to it or delete it", NULL},
        {p->reuse_external && !all_files_given(p), "reuse_external needs the files of the disks",
         "--diskspec DISK,file=PATH"},
    };

    if (p->redefine && check_redefine(p, err) < 0)
        return -1;
    return check_rules(rules, sizeof rules / sizeof rules[0], err);
}

/* ---- kind ---- */

static bool active(const struct create_scene *scene)
{
    return scene->state != VIR_DOMAIN_SHUTOFF && scene->state != VIR_DOMAIN_CRASHED;
}

static const struct snapshot_disk *asked(const struct params_snapshot_create *params, const char *name)
{
    for (size_t i = 0; i < params->disks.count; i++)
        if (strcmp(list_at(&params->disks, struct snapshot_disk, i)->name, name) == 0)
            return list_at(&params->disks, struct snapshot_disk, i);
    return NULL;
}

static bool asked_mode(const struct params_snapshot_create *params, const char *mode)
{
    for (size_t i = 0; i < params->disks.count; i++) {
        const struct snapshot_disk *disk = list_at(&params->disks, struct snapshot_disk, i);

        if ((disk->mode && strcmp(disk->mode, mode) == 0) ||
            (disk->file && !disk->mode && strcmp(mode, "external") == 0))
            return true;
    }
    return false;
}

static bool left_out(const struct params_snapshot_create *params, const struct domain_disk *disk)
{
    const struct snapshot_disk *wish = asked(params, disk->name);

    return !domain_disk_writable(disk) || (wish && wish->mode && strcmp(wish->mode, "no") == 0);
}

/* Why there cannot be an internal one; false: there can. */
static bool not_internal(const struct params_snapshot_create *params, const struct create_scene *scene, char why[160])
{
    if (scene->pflash && scene->version < INTERNAL_WITH_PFLASH) {
        snprintf(why, 160, "its firmware keeps variables in a file, which libvirt takes along from 10.10 on");
        return true;
    }
    for (size_t i = 0; i < scene->disks->count; i++) {
        const struct domain_disk *disk = &scene->disks->items[i];

        if (!domain_disk_writable(disk))
            continue;
        if (left_out(params, disk)) {
            snprintf(why, 160, "disk %.32s is left out, and libvirt takes all disks into an internal one", disk->name);
            return true;
        }
        if (!domain_disk_no_internal(disk))
            continue;
        snprintf(why, 160, "disk %.32s is %.32s, and %s", disk->name, disk->format, domain_disk_no_internal(disk));
        return true;
    }
    return false;
}

static bool choose_auto(const struct params_snapshot_create *params, const struct create_scene *scene,
                        struct text *reason)
{
    char why[160] = "";
    bool impossible = not_internal(params, scene, why);

    if (asked_mode(params, "internal") || asked_mode(params, "external"))
        return asked_mode(params, "internal");
    if (params->memory == MEMORY_FILE || params->live || params->disk_only || params->reuse_external ||
        params->no_metadata)
        return false;
    if (active(scene) && params->memory == MEMORY_NO) {
        text_add(reason, "external, disks only: the guest runs");
        return false;
    }
    text_addf(reason, impossible ? "external: %s" : "internal%s",
              impossible      ? why
              : active(scene) ? ": memory is wanted"
                              : ": the guest is off");
    return !impossible;
}

static int choose_kind(const struct params_snapshot_create *params, const struct create_scene *scene,
                       struct create_choice *out, struct err *err)
{
    struct text reason = {0};
    char why[160];

    out->internal = params->kind == SNAPSHOT_INTERNAL ||
                    (params->kind == SNAPSHOT_AUTO && choose_auto(params, scene, &reason));
    out->reason = text_take(&reason);
    if (asked_mode(params, out->internal ? "external" : "internal"))
        return err_set(err, ERR_PERMANENT,
                       "snapshot create: internal and external disks in one snapshot: libvirt takes all of one kind");
    if (out->internal && not_internal(params, scene, why)) {
        err_set(err, ERR_PERMANENT, "snapshot create: no internal snapshot of %s: %s", scene->domain, why);
        return err_hint(err, "--kind external");
    }
    out->memory = active(scene) && (out->internal || params->memory != MEMORY_NO);
    return 0;
}

static int check_kind(const struct params_snapshot_create *params, const struct create_scene *scene,
                      const struct create_choice *choice, struct err *err)
{
    const struct rule rules[] = {
        {!active(scene) && params->memory != MEMORY_NO, "memory of a guest that is off", "--memory no"},
        {!active(scene) && params->live, "live on a guest that is off", NULL},
        {choice->internal && params->live, "live with an internal snapshot: libvirt does this for external ones only",
         "--kind external"},
        {choice->internal && active(scene) && params->disk_only,
         "disk_only with an internal snapshot of a guest that runs", "--kind external"},
        {choice->internal && active(scene) && params->quiesce == QUIESCE_REQUIRE,
         "quiesce require with memory: the guest would come back frozen", NULL},
        {choice->internal && params->no_metadata,
         "no_metadata with an internal snapshot: nobody could revert to it or delete it", NULL},
        {choice->internal && params->reuse_external, "reuse_external with an internal snapshot", NULL},
        {params->halt && active(scene) && !scene->persistent,
         "halt of a transient domain: it would be gone, and the snapshot with it", NULL},
    };

    return check_rules(rules, sizeof rules / sizeof rules[0], err);
}

/* ---- disks ---- */

char *overlay_name(const char *source, const char *disk, const char *job_id)
{
    const char *slash = strrchr(source, '/');
    const char *name = slash ? slash + 1 : source;
    char marker[80], job[SHORT_JOB];
    const char *end;
    char *path;

    snprintf(marker, sizeof marker, ".%.60s.fs-", disk);
    end = strstr(name, marker);
    if (!end)
        end = strrchr(name, '.');
    if (!end || end == name)
        end = name + strlen(name);
    short_job(job_id, job);
    if (asprintf(&path, "%.*s.%s.fs-%s.qcow2", (int)(end - source), source, disk, job) < 0)
        return NULL;
    return path;
}

static char *derive_file(const struct create_scene *scene, const struct domain_disk *disk)
{
    char source[PATH_MAX];

    if (strcmp(disk->type, "file") == 0)
        return overlay_name(disk->source, disk->name, scene->job_id);
    snprintf(source, sizeof source, "%s/%s", scene->pool, scene->domain);
    return overlay_name(source, disk->name, scene->job_id);
}

static int choose_file(const struct snapshot_disk *wish, const struct create_scene *scene,
                       const struct domain_disk *disk, char **out, struct err *err)
{
    if (domain_disk_no_overlay(disk)) {
        err_set(err, ERR_PERMANENT, "disk %s (%s): no external snapshot of it: %s", disk->name, disk->type,
                domain_disk_no_overlay(disk));
        return err_hint(err, "leave it out: --diskspec %s,snapshot=no", disk->name);
    }
    if (!(wish && wish->file) && strcmp(disk->type, "file") != 0 && (!scene->pool || strchr(scene->domain, '/'))) {
        err_set(err, ERR_PERMANENT, "disk %s is a block device, and this worker has no pool for its overlay",
                disk->name);
        return err_hint(err, "set pools in the worker's configuration, or name the file");
    }
    if (wish && wish->driver && strcmp(wish->driver, "qcow2") != 0)
        return err_set(err, ERR_PERMANENT, "disk %s: an overlay of format %s cannot be: only qcow2", disk->name,
                       wish->driver);
    *out = wish && wish->file ? strdup(wish->file) : derive_file(scene, disk);
    return *out ? 0 : err_memory(err, "snapshot");
}

static int choose_disk(const struct params_snapshot_create *params, const struct create_scene *scene, bool internal,
                       const struct domain_disk *disk, struct create_disk *out, struct err *err)
{
    const struct snapshot_disk *wish = asked(params, disk->name);
    bool wanted = wish && !(wish->mode && strcmp(wish->mode, "no") == 0);
    bool out_of_it = left_out(params, disk);

    out->disk = disk;
    out->mode = out_of_it ? "no" : internal ? "internal" : "external";
    if (wanted && out_of_it)
        return err_set(err, ERR_PERMANENT, "disk %s: cannot be in a snapshot (read-only, removable, shared or empty)",
                       disk->name);
    return out_of_it || internal ? 0 : choose_file(wish, scene, disk, &out->file, err);
}

static int check_names(const struct params_snapshot_create *params, const struct create_scene *scene, struct err *err)
{
    for (size_t i = 0; i < params->disks.count; i++) {
        const char *name = list_at(&params->disks, struct snapshot_disk, i)->name;

        if (!domain_disks_find(scene->disks, name))
            return err_set(err, ERR_PERMANENT, "disk %s: %s has no such disk", name, scene->domain);
    }
    return 0;
}

static int choose_disks(const struct params_snapshot_create *params, const struct create_scene *scene,
                        struct create_choice *out, struct err *err)
{
    size_t taken = 0;

    out->disks = calloc(scene->disks->count + 1, sizeof *out->disks);
    if (!out->disks)
        return err_memory(err, "snapshot");
    for (; out->disk_count < scene->disks->count; out->disk_count++) {
        struct create_disk *disk = &out->disks[out->disk_count];

        if (choose_disk(params, scene, out->internal, &scene->disks->items[out->disk_count], disk, err) < 0)
            return -1;
        taken += strcmp(disk->mode, "no") != 0;
    }
    return taken > 0 ? 0 : err_set(err, ERR_PERMANENT, "%s has no disk that can be in a snapshot", scene->domain);
}

/* ---- the rest ---- */

/* Beside the first overlay. */
static char *derive_memory_file(const struct create_choice *choice, const char *domain, const char *job_id)
{
    const char *beside = NULL;
    char job[SHORT_JOB];
    char *path;

    for (size_t i = 0; !beside && i < choice->disk_count; i++)
        beside = choice->disks[i].file;
    short_job(job_id, job);
    if (!beside || strchr(domain, '/') ||
        asprintf(&path, "%.*s/%s.fs-%s.mem", (int)(strrchr(beside, '/') - beside), beside, domain, job) < 0)
        return NULL;
    return path;
}

static unsigned choose_flags(const struct params_snapshot_create *params, const struct create_scene *scene,
                             const struct create_choice *choice)
{
    unsigned flags = 0;

    if (!choice->internal && !choice->memory)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY;
    if (!choice->internal && params->atomic)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC;
    if (params->halt && active(scene))
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_HALT;
    if (params->live)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_LIVE;
    if (params->no_metadata)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA;
    if (params->reuse_external)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT;
    if (params->validate)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_VALIDATE;
    return flags;
}

int create_choose(const struct params_snapshot_create *params, const struct create_scene *scene,
                  struct create_choice *out, struct err *err)
{
    if (check_names(params, scene, err) < 0 || choose_kind(params, scene, out, err) < 0 ||
        check_kind(params, scene, out, err) < 0 || choose_disks(params, scene, out, err) < 0)
        return -1;
    if (out->memory && !out->internal) {
        out->memory_file = params->memory_file ? strdup(params->memory_file)
                                               : derive_memory_file(out, scene->domain, scene->job_id);
        if (!out->memory_file)
            return err_set(err, ERR_PERMANENT, "snapshot create: no place for the memory: name the file");
    }
    out->flags = choose_flags(params, scene, out);
    out->level = out->memory ? "memory" : active(scene) ? "crash" : "off";
    return 0;
}

void create_choice_clear(struct create_choice *choice)
{
    for (size_t i = 0; choice->disks && i <= choice->disk_count; i++) /* one more: the last may be half built */
        free(choice->disks[i].file);
    free(choice->disks);
    free(choice->memory_file);
    free(choice->reason);
    *choice = (struct create_choice){0};
}

static void add_disk(xmlNodePtr disks, const struct create_disk *choice)
{
    xmlNodePtr disk = xml_child(disks, "disk", NULL);

    xml_attr(disk, "name", choice->disk->name);
    xml_attr(disk, "snapshot", choice->mode);
    if (!choice->file)
        return;
    xml_attr(disk, "type", "file");
    xml_attr(xml_child(disk, "driver", NULL), "type", "qcow2");
    xml_attr(xml_child(disk, "source", NULL), "file", choice->file);
}

int create_xml(const struct params_snapshot_create *params, const char *name, const struct create_choice *choice,
               char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = xml_new("domainsnapshot");
    xmlNodePtr root = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlNodePtr memory, disks;

    if (!root)
        return err_memory(err, "snapshot");
    xml_child(root, "name", name);
    if (params->description)
        xml_child(root, "description", params->description);
    if (!choice->internal) {
        memory = xml_child(root, "memory", NULL);
        xml_attr(memory, "snapshot", choice->memory_file ? "external" : "no");
        if (choice->memory_file)
            xml_attr(memory, "file", choice->memory_file);
    }
    disks = xml_child(root, "disks", NULL);
    for (size_t i = 0; i < choice->disk_count; i++)
        add_disk(disks, &choice->disks[i]);
    return xml_format(doc, out, err);
}
