/* snapshot.create: [overlay …] → [barrier] → [freeze] → [barrier] → snapshot → [thaw], or redefine. What kind of snapshot is decided in create_choice.c. */
#include "worker/backends/libvirt/create_choice.h"
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/inventory.h"
#include "worker/backends/libvirt/revert_hand.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/verbs/verbs.h"

#include "base/clock.h"
#include "base/file.h"
#include "model/restore_point.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

/* libvirt keeps each in a file of its name, first written as NAME.xml.new. Seen on 9.0: a longer one fails when QEMU has taken it already, and no snapshot is current any more. */
enum { SNAPSHOT_NAME_MAX = 255 - sizeof ".xml.new" + 1 };

static int check_length(const char *name, struct err *err)
{
    if (strlen(name) <= SNAPSHOT_NAME_MAX)
        return 0;
    return err_set(err, ERR_PERMANENT,
                   "snapshot create: the name has %zu bytes, and libvirt keeps each in a file of its name: at most %d",
                   strlen(name), (int)SNAPSHOT_NAME_MAX);
}

static const char *default_name(const struct job *job, char out[SHORT_JOB + 3])
{
    char job_id[SHORT_JOB];

    short_job(job->job_id, job_id);
    snprintf(out, SHORT_JOB + 3, "fs-%s", job_id);
    return out;
}

/* Ours from an earlier attempt is fine: *out_ours. */
static int check_name(virDomainPtr domain, const struct job *job, const char *name, bool *out_ours, struct err *err)
{
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *description = NULL;
    char owner[UUID_TEXT], level[MARK_LEVEL];

    if (!name_valid_snapshot(name))
        return err_set(
            err, ERR_PERMANENT,
            "snapshot create: the name is not valid: no '/', no leading '.', no control characters, at most 255 bytes");
    if (check_length(name, err) < 0 || snapshot_lookup(domain, name, &snapshot, err) < 0)
        return -1;
    *out_ours = false;
    if (!snapshot)
        return 0;
    if (snapshot_xml(domain, name, 0, &doc, err) < 0)
        return -1;
    description = xml_get(doc, "description");
    *out_ours = mark_read(description, owner, level) && strcmp(owner, job->job_id) == 0;
    if (*out_ours)
        return 0;
    err_set(err, ERR_PERMANENT, "snapshot %s/%s: exists already", virDomainGetName(domain), name);
    return err_hint(err, "another name, or delete it first: fleetsnap snapshot delete");
}

/* ---- a new one ---- */

static int check_file(virConnectPtr connection, const char *file, bool reuse, struct err *err)
{
    CLEANUP(strings_endp) struct strings users = {0};

    if (file[0] != '/')
        return err_set(err, ERR_PERMANENT, "%s: not an absolute path", file);
    if (!file_exists(file))
        return reuse ? err_set(err, ERR_PERMANENT, "%s: reuse_external, and there is no such file", file) : 0;
    if (!reuse) {
        err_set(err, ERR_PERMANENT, "%s: exists already", file);
        return err_hint(err, "another file, or reuse_external if it was made for this");
    }
    if (image_holders(connection, file, &users, err) < 0 || image_users(connection, file, &users, err) < 0)
        return -1;
    return users.count == 0 ? 0 : err_set(err, ERR_PERMANENT, "%s: cannot be reused, %s needs it", file, users.items[0]);
}

/* An image may hold a snapshot that libvirt does not know; QEMU would silently replace it. */
static int check_image(const struct domain_disk *disk, const char *name, struct err *err)
{
    bool there;

    if (disk->source[0] != '/')
        return 0;
    if (image_has_snapshot(disk->source, name, &there, err) < 0)
        return -1;
    return there
               ? err_set(err, ERR_PERMANENT, "%s: holds a snapshot %s that libvirt does not know; it would be replaced",
                         disk->source, name)
               : 0;
}

static int check_places(struct libvirt_backend *backend, const struct params_snapshot_create *params, const char *name,
                        const struct create_choice *choice, struct err *err)
{
    for (size_t i = 0; i < choice->disk_count; i++) {
        const struct create_disk *disk = &choice->disks[i];

        if (disk->file && check_file(backend->connection, disk->file, params->reuse_external, err) < 0)
            return -1;
        if (strcmp(disk->mode, "internal") == 0 && check_image(disk->disk, name, err) < 0)
            return -1;
    }
    return choice->memory_file ? check_file(backend->connection, choice->memory_file, false, err) : 0;
}

static int set_disk_args(struct step *step, const struct create_disk *disk, struct err *err)
{
    char key[160];

    if (!disk->file)
        return 0;
    snprintf(key, sizeof key, "top:%s", disk->disk->name);
    if (facts_set(&step->args, key, disk->file, err) < 0)
        return -1;
    snprintf(key, sizeof key, "base:%s", disk->disk->name);
    if (facts_set(&step->args, key, disk->disk->source, err) < 0)
        return -1;
    snprintf(key, sizeof key, "format:%s", disk->disk->name);
    return facts_set(&step->args, key, disk->disk->format, err);
}

/*
 * The empty overlays are ours: QEMU (7.2) aborts, and its guest with it, when anybody asks about its images in the moment in which it creates one. Where a disk is no file or
 * device of this host they are left to libvirt.
 */
static bool overlays_by_hand(const struct create_choice *choice, const struct params_snapshot_create *params)
{
    bool any = false;

    for (size_t i = 0; i < choice->disk_count; i++) {
        if (choice->disks[i].file && choice->disks[i].disk->source[0] != '/')
            return false;
        any = any || choice->disks[i].file;
    }
    return any && !params->reuse_external && strcmp(choice->level, "off") != 0;
}

static int add_overlays(const struct create_choice *choice, struct plan *plan, struct err *err)
{
    for (size_t i = 0; i < choice->disk_count; i++) {
        const struct domain_disk *disk = choice->disks[i].disk;

        if (choice->disks[i].file &&
            !plan_add(plan, &step_overlay, err, "disk", disk->name, "file", choice->disks[i].file, "base", disk->source,
                      "format", disk->format, "like", disk->source, NULL))
            return -1;
    }
    return 0;
}

static int add_snapshot(const struct params_snapshot_create *params, const char *name,
                        const struct create_choice *choice, bool made, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *xml = NULL;
    bool halt = choice->flags & VIR_DOMAIN_SNAPSHOT_CREATE_HALT;
    char flags[24];
    struct step *step;

    if (create_xml(params, name, choice, &xml, err) < 0)
        return -1;
    snprintf(flags, sizeof flags, "%u", choice->flags | (made ? VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT : 0));
    step = plan_add(plan, &step_snapshot, err, "name", name, "xml", xml, "flags", flags, "level", choice->level, "kind",
                    choice->internal ? "internal" : "external", "memory", choice->memory_file, "reuse",
                    params->reuse_external ? "1" : NULL, "made", made ? "1" : NULL, "halt", halt ? "1" : NULL, NULL);
    if (!step)
        return -1;
    if (halt || params->reuse_external)
        step->class = STEP_DESTROYS;
    for (size_t i = 0; i < choice->disk_count; i++)
        if (set_disk_args(step, &choice->disks[i], err) < 0)
            return -1;
    return halt ? plan_lose(plan, err, "the running state: the guest is off afterwards") : 0;
}

/* One point in time for all disks of a group: every guest that runs stands still, and goes on. */
static int check_group(const struct job *job, const struct create_choice *choice, struct err *err)
{
    const struct params_snapshot_create *params = job->params;

    if (!job->group_limit_ms)
        return 0;
    if (choice->memory || params->halt || params->reuse_external)
        return err_set(err, ERR_PERMANENT,
                       "in a consistency group a snapshot is of disks only, and no guest is stopped");
    return params->quiesce == QUIESCE_REQUIRE
               ? 0
               : err_set(err, ERR_PERMANENT, "in a consistency group quiesce is require: every guest stands still");
}

/*
 * Of a guest that is off and has checkpoints libvirt (9.0) makes no snapshot. Ours are forgotten, and the next backup defines them again from its manifest, where the bitmaps are
 * still in the disk: below a new overlay they are not.
 */
static int add_forget(virDomainPtr domain, const struct create_choice *choice, struct plan *plan, struct err *err)
{
    CLEANUP(checkpoints_clear) struct list checkpoints = {0};
    struct step *step;

    if (strcmp(choice->level, "off") != 0)
        return 0;
    if (checkpoints_read(domain, &checkpoints, err) < 0)
        return -1;
    for (size_t i = 0; i < checkpoints.count; i++) {
        const struct inventory_checkpoint *each = list_at(&checkpoints, struct inventory_checkpoint, i);

        if (each->owner)
            continue;
        err_set(err, ERR_PERMANENT,
                "%s is off and has the checkpoint %s of somebody else: libvirt makes no snapshot of it",
                virDomainGetName(domain), each->name);
        return err_hint(err, "start the machine first, or remove the checkpoint (virsh checkpoint-delete --metadata)");
    }
    if (plan_forget_checkpoints(domain, &checkpoints, plan, err) < 0)
        return -1;
    if (checkpoints.count == 0)
        return 0;
    step = &plan->steps[plan->count - 1];
    step->class = STEP_ADDS; /* what can be defined again is not taken away */
    return choice->internal ? facts_set(&step->args, "stays", "1", err) : 0;
}

/* `ours`: an earlier attempt has made it, and it will be found. */
static int add_steps(struct libvirt_backend *backend, virDomainPtr domain, const struct job *job, const char *name,
                     const struct create_choice *choice, bool ours, struct plan *plan, struct err *err)
{
    const struct params_snapshot_create *params = job->params;
    bool frozen = false, made = !ours && overlays_by_hand(choice, params);

    if (check_group(job, choice, err) < 0 ||
        (choice->reason && facts_set(&plan->facts, "kind_reason", choice->reason, err) < 0))
        return -1;
    if (add_forget(domain, choice, plan, err) < 0 || (made && add_overlays(choice, plan, err) < 0))
        return -1;
    if (plan_barrier(plan, job, "ready", err) < 0 ||
        (!choice->memory && plan_freeze(backend, domain, params->quiesce, plan, &frozen, err) < 0))
        return -1;
    if (plan_barrier(plan, job, "frozen", err) < 0 || add_snapshot(params, name, choice, made, plan, err) < 0)
        return -1;
    return frozen && !plan_add(plan, &step_thaw, err, "quiesce", quiesce_names[params->quiesce], NULL) ? -1 : 0;
}

static int look(virDomainPtr domain, struct create_scene *scene, struct domain_disks *disks, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    if (libvirt_domain_state(domain, &scene->state, NULL, err) < 0 || libvirt_domain_xml(domain, 0, &doc, err) < 0 ||
        domain_disks_read(doc, disks, err) < 0)
        return -1;
    scene->domain = virDomainGetName(domain);
    scene->persistent = virDomainIsPersistent(domain) == 1;
    scene->pflash = xml_find(xmlDocGetRootElement(doc),
                             "os/loader[@type='pflash'] | os/nvram | self::node()[os/@firmware='efi']") != NULL;
    scene->disks = disks;
    return 0;
}

static int plan_new(struct libvirt_backend *backend, virDomainPtr domain, const struct job *job, struct plan *plan,
                    struct err *err)
{
    const struct params_snapshot_create *params = job->params;
    const struct strings *pools = backend->base.config->pools;
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};
    CLEANUP(create_choice_clear) struct create_choice choice = {0};
    struct create_scene scene = {
        .job_id = job->job_id, .version = backend->version, .pool = pools && pools->count ? pools->items[0] : NULL};
    char derived[SHORT_JOB + 3];
    const char *name = params->name ? params->name : default_name(job, derived);
    bool ours = false;

    if (check_name(domain, job, name, &ours, err) < 0 || look(domain, &scene, &disks, err) < 0 ||
        create_choose(params, &scene, &choice, err) < 0)
        return err_wrap(err, "%s", virDomainGetName(domain));
    if (!ours && check_places(backend, params, name, &choice, err) < 0)
        return -1;
    return add_steps(backend, domain, job, name, &choice, ours, plan, err);
}

/* ---- redefine ---- */

/* The XML as given, with this job's mark: whoever redefines it answers for it. */
static int redefined_xml(const struct job *job, xmlDocPtr doc, char **out, struct err *err)
{
    xmlNodePtr root = xmlDocGetRootElement(doc);
    CLEANUP(freep) char *description = xml_get(doc, "description");
    CLEANUP(freep) char *plain = mark_strip(description);
    char former[UUID_TEXT], level[MARK_LEVEL] = "";
    CLEANUP(freep) char *marked = NULL;

    mark_read(description, former, level);
    marked = mark_add(plain, job->job_id, level);
    if (!marked)
        return err_memory(err, "snapshot");
    xml_remove_all(root, "description");
    xml_child(root, "description", marked);
    return xml_format(doc, out, err);
}

static int former_xml(virDomainPtr domain, const char *name, char **out, struct err *err)
{
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;

    if (snapshot_lookup(domain, name, &snapshot, err) < 0)
        return -1;
    if (!snapshot)
        return 0;
    *out = virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE);
    return *out ? 0 : libvirt_err(err, "snapshot %s", name);
}

static int check_parent(xmlDocPtr doc, const struct list *all, const char *name, struct err *err)
{
    CLEANUP(freep) char *parent = xml_get(doc, "self::domainsnapshot/parent/name");

    if (!parent || snapshots_find(all, parent))
        return 0;
    err_set(err, ERR_PERMANENT, "redefine %s: its parent %s is not there", name, parent);
    return err_hint(err, "redefine that first, or take <parent> out of the XML");
}

static int plan_redefine(virDomainPtr domain, const struct job *job, struct plan *plan, struct err *err)
{
    const struct params_snapshot_create *params = job->params;
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *name = NULL, *xml = NULL, *former = NULL;
    CLEANUP(snapshots_endp) struct list all = {0};
    unsigned flags = (params->current ? VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT : 0) |
                     (params->validate ? VIR_DOMAIN_SNAPSHOT_CREATE_VALIDATE : 0);
    char flag_text[24];

    if (xml_parse(params->redefine, "redefine", &doc, err) < 0)
        return -1;
    name = xml_get(doc, "self::domainsnapshot/name");
    if (!name || !name_valid_snapshot(name) || (params->name && strcmp(name, params->name) != 0))
        return err_set(err, ERR_PERMANENT, "redefine: not a <domainsnapshot> with a valid <name>%s",
                       params->name ? " equal to the one asked for" : "");
    if (check_length(name, err) < 0 || redefined_xml(job, doc, &xml, err) < 0 ||
        former_xml(domain, name, &former, err) < 0 || snapshots_read(domain, &all, err) < 0 ||
        check_parent(doc, &all, name, err) < 0)
        return -1;
    snprintf(flag_text, sizeof flag_text, "%u", flags);
    return plan_add(plan, &step_redefine, err, "name", name, "xml", xml, "flags", flag_text, "former", former,
                    "current", snapshots_current(&all) ? snapshots_current(&all)->name : NULL, NULL)
               ? 0
               : -1;
}

int plan_snapshot_create(struct backend *base, const struct job *job, struct plan *plan, struct err *err)
{
    struct libvirt_backend *backend = libvirt_of(base);
    const struct params_snapshot_create *params = job->params;
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    if (create_check_params(params, err) < 0 || libvirt_domain(backend, job->target.id, &domain, err) < 0)
        return -1;
    if (params->redefine)
        return plan_redefine(domain, job, plan, err);
    if (libvirt_no_foreign_job(domain, err) < 0)
        return -1;
    return plan_new(backend, domain, job, plan, err);
}

/* ---- report ---- */

static int fill_point(const struct job *job, const struct facts *known, const struct snapshot_info *info,
                      struct report *report, struct err *err)
{
    const struct params_snapshot_create *params = job->params;
    struct restore_point *point = report_add_point(report, err);
    bool early = facts_get(known, "thawed_early") != NULL;

    if (!point || record_copy(&target_record, &point->target, &job->target, err) < 0 ||
        barrier_name_group(point, job, err) < 0)
        return -1;
    barrier_measure(point, known);
    point->format = point->revision = 1;
    point->state = POINT_COMPLETE;
    point->created_at_ms = info->created_at_ms;
    point->completed_at_ms = clock_real_ms();
    point->frozen_ms = facts_get_int(known, "frozen_ms", 0);
    point->paused_ms = facts_get_int(known, "paused_ms", 0);
    point->expires_at_ms = params->ttl_ms ? info->created_at_ms + params->ttl_ms : 0;
    if (string_set(&point->id, job->job_id, err) < 0 || string_set(&point->writer, job->job_id, err) < 0 ||
        string_set(&point->kind, "snapshot", err) < 0 || string_set(&point->host, job->host, err) < 0 ||
        string_set(&point->name, info->name, err) < 0)
        return -1;
    if (string_set(&point->description, info->description, err) < 0 ||
        string_set(&point->level, early ? "crash" : info->level, err) < 0 ||
        string_set(&point->level_reason, facts_get(known, "level_reason"), err) < 0 ||
        string_set(&point->policy, job->policy, err) < 0)
        return -1;
    if (string_set(&point->run, job->run, err) < 0 || string_set(&point->requested_by, job->requested_by, err) < 0)
        return -1;
    return string_set(&point->reason, job->reason, err) < 0 ? -1 : string_set(&report->result->point, job->job_id, err);
}

/* Without metadata there is nothing in libvirt to look at, and nothing that could be reverted to: no restore point. */
static int report_without_metadata(const struct facts *known, struct report *report, struct err *err)
{
    return facts_set(&report->result->facts, "level", level_reached(known, facts_get_or(known, "level", "crash")), err);
}

static int report_one(virDomainPtr domain, const struct job *job, const struct facts *known, struct report *report,
                      struct err *err)
{
    const char *name = facts_get_or(known, "name", "");
    CLEANUP(snapshots_endp) struct list all = {0};
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    const struct snapshot_info *info;
    struct snapshot_info *copy;

    if (snapshots_read(domain, &all, err) < 0)
        return -1;
    info = snapshots_find(&all, name);
    if (!info)
        return err_set(err, ERR_UNKNOWN, "snapshot %s: was made, and is not there", name);
    snapshot = virDomainSnapshotLookupByName(domain, name, 0);
    report->result->xml = snapshot ? virDomainSnapshotGetXMLDesc(snapshot, 0) : NULL;
    copy = list_add(&report->result->snapshots, &snapshot_info_record, err);
    if (!copy || record_copy(&snapshot_info_record, copy, info, err) < 0)
        return -1;
    if (info->parent && facts_set(&report->result->facts, "parent", info->parent, err) < 0)
        return -1;
    if (facts_get(known, "thawed_early") && facts_set(&report->result->facts, "level", "crash", err) < 0)
        return -1;
    return fill_point(job, known, info, report, err);
}

int report_snapshot_create(struct backend *base, const struct job *job, const struct facts *known,
                           struct report *report, struct err *err)
{
    const struct params_snapshot_create *params = job->params;
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    if (params->no_metadata)
        return report_without_metadata(known, report, err);
    if (libvirt_domain(libvirt_of(base), job->target.id, &domain, err) < 0)
        return -1;
    if (facts_set(&report->result->facts, "migratable", "no: a domain with snapshots cannot be migrated", err) < 0)
        return -1;
    return report_one(domain, job, known, report, err);
}
