/*
 * snapshot.delete: one snapshot, or a subtree with children before their parents. For each:
 *
 *   internal                                   delete (libvirt's own)
 *   external, its state under the active disk  commit per disk → forget. Never libvirt's own deletion: one that is interrupted it cancels when it is back, in a moment in which QEMU
 *                                              may have gone over to the lower layer already; it goes on to name the upper one, and what is written from then on is lost at the next start
 *   external, on a side branch, or with others
 *   standing on its state                      forget: its layer stays, because something needs it
 *
 * then unlink: files that nobody needs any more. One that is gone is a success.
 */
#include "worker/backends/libvirt/commit.h"
#include "worker/backends/libvirt/delete_rules.h"
#include "worker/backends/libvirt/expect.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/verbs/verbs.h"

#include <stdio.h>
#include <string.h>

struct deletion {
    struct libvirt_backend *backend;
    virDomainPtr domain;
    bool metadata_only, foreign;
    struct list all;       /* snapshot_info */
    struct strings doomed; /* names, children first */
    struct strings over;   /* files that were kept for a way back, and need not be any more */
    struct plan *plan;
};

static void deletion_clear(struct deletion *deletion)
{
    snapshots_clear(&deletion->all);
    strings_clear(&deletion->doomed);
    strings_clear(&deletion->over);
}

/* One disk of an external snapshot. */
struct layer {
    const char *disk;
    char *base, *format, *top; /* top NULL: the state is not under the active disk */
    bool mergeable;
};

static void layer_clear(struct layer *layer)
{
    free(layer->base);
    free(layer->format);
    free(layer->top);
    *layer = (struct layer){0};
}

/* ---- who needs a file ---- */

/* The snapshot of this domain that "snapshot shop-1/before" means, or NULL. */
static const struct snapshot_info *holding_snapshot(const struct deletion *deletion, const char *holder)
{
    char prefix[300];
    size_t len = (size_t)snprintf(prefix, sizeof prefix, "snapshot %.250s/", virDomainGetName(deletion->domain));

    return strncmp(holder, prefix, len) == 0 ? snapshots_find(&deletion->all, holder + len) : NULL;
}

/* It goes with this job. */
static bool is_doomed(const struct deletion *deletion, const char *holder)
{
    const struct snapshot_info *info = holding_snapshot(deletion, holder);

    return info && strings_have(&deletion->doomed, info->name);
}

/* Its state is a table inside the image, which writing to the image leaves as it is. */
static bool is_internal(const struct deletion *deletion, const char *holder)
{
    const struct snapshot_info *info = holding_snapshot(deletion, holder);

    return info && !snapshot_external(info);
}

/* An overlay of a snapshot that goes with this job, or one whose time of being kept is over, which nobody else names: it is removed before. */
static bool goes_too(const struct deletion *deletion, const char *file)
{
    bool of_doomed = strings_have(&deletion->over, file);
    CLEANUP(strings_endp) struct strings holders = {0}, users = {0};

    for (size_t i = 0; i < deletion->all.count; i++) {
        const struct snapshot_info *info = list_at(&deletion->all, struct snapshot_info, i);

        of_doomed = of_doomed || (strings_have(&deletion->doomed, info->name) && strings_have(&info->files, file));
    }
    if (!of_doomed || kept_now(deletion->backend->base.config, file, NULL))
        return false;
    if (image_holders(deletion->backend->connection, file, &holders, NULL) < 0 ||
        image_users(deletion->backend->connection, file, &users, NULL) < 0)
        return false;
    for (size_t i = 0; i < holders.count; i++)
        if (!is_doomed(deletion, holders.items[i]))
            return false;
    for (size_t i = 0; i < users.count; i++)
        if (!goes_too(deletion, users.items[i]))
            return false;
    return true;
}

/* The base may be written when nobody but `top` stands on it and no other snapshot has its state in it. */
static int may_write(const struct deletion *deletion, const struct layer *layer, bool *out, struct err *err)
{
    CLEANUP(strings_endp) struct strings users = {0}, holders = {0};
    virConnectPtr connection = deletion->backend->connection;

    *out = false;
    if (image_users(connection, layer->base, &users, err) < 0 ||
        image_holders(connection, layer->base, &holders, err) < 0)
        return -1;
    for (size_t i = 0; i < users.count; i++)
        if (!image_same(users.items[i], layer->top) && !goes_too(deletion, users.items[i]))
            return 0;
    for (size_t i = 0; i < holders.count; i++)
        if (!is_doomed(deletion, holders.items[i]) && !is_internal(deletion, holders.items[i]))
            return 0;
    *out = true;
    return 0;
}

/* An internal snapshot lives inside the layer that would be merged: it would be gone without a word. */
static int check_nothing_inside(const struct deletion *deletion, const struct layer *layer, struct err *err)
{
    for (size_t i = 0; i < deletion->all.count; i++) {
        const struct snapshot_info *info = list_at(&deletion->all, struct snapshot_info, i);
        bool there = false;

        if (snapshot_external(info) || strings_have(&deletion->doomed, info->name))
            continue;
        if (image_has_snapshot(layer->top, info->name, &there, err) < 0)
            return -1;
        if (!there)
            continue;
        err_set(err, ERR_PERMANENT, "%s: internal snapshot %s lives in %s, which would be merged and removed",
                virDomainGetName(deletion->domain), info->name, layer->top);
        return err_hint(err, "delete %s first", info->name);
    }
    return 0;
}

static int read_layer(const struct deletion *deletion, xmlNodePtr snapshot, const char *disk, struct layer *out,
                      struct err *err)
{
    CLEANUP(strings_endp) struct strings chain = {0};

    out->disk = disk;
    out->base = snapshot_state_file(snapshot, disk);
    out->format = snapshot_state_format(snapshot, disk);
    if (!out->base || !out->format || out->base[0] != '/' || disk_chain(deletion->domain, disk, &chain, NULL) < 0)
        return out->format ? 0 : err_memory(err, "delete");
    for (size_t i = 1; i < chain.count; i++)
        if (!out->top && image_same(chain.items[i], out->base))
            out->top = strdup(chain.items[i - 1]);
    if (!out->top)
        return 0;
    if (may_write(deletion, out, &out->mergeable, err) < 0)
        return -1;
    return out->mergeable ? check_nothing_inside(deletion, out, err) : 0;
}

/* ---- steps ---- */

static int set_pair(struct step *step, const struct layer *layer, struct err *err)
{
    char key[160];

    snprintf(key, sizeof key, "base:%s", layer->disk);
    if (facts_set(&step->args, key, layer->base, err) < 0)
        return -1;
    snprintf(key, sizeof key, "top:%s", layer->disk);
    return facts_set(&step->args, key, layer->top, err);
}

static int add_commit(const struct deletion *deletion, const struct snapshot_info *info, const struct layer *layer,
                      struct err *err)
{
    struct step *step = plan_add(deletion->plan, &step_commit, err, "name", info->name, "disk", layer->disk, "format",
                                 layer->format, NULL);

    return step ? set_pair(step, layer, err) : -1;
}

static struct step *add_named(const struct deletion *deletion, const struct step_type *type,
                              const struct snapshot_info *info, struct err *err)
{
    return plan_add(deletion->plan, type, err, "name", info->name, "owner", info->owner, NULL);
}

/* What the snapshot may leave behind: the merged layers, and the overlays and the memory that it is known by. */
static int add_unlink(const struct deletion *deletion, const struct snapshot_info *info, const struct layer *layers,
                      size_t count, struct err *err)
{
    struct step *step = plan_add(deletion->plan, &step_unlink, err, NULL);
    char key[32];

    for (size_t i = 0; step && i < count; i++) {
        snprintf(key, sizeof key, "file:layer%zu", i);
        if (layers[i].mergeable && facts_set(&step->args, key, layers[i].top, err) < 0)
            return -1;
    }
    for (size_t i = 0; step && i < info->files.count; i++) {
        snprintf(key, sizeof key, "file:own%zu", i);
        if (facts_set(&step->args, key, info->files.items[i], err) < 0)
            return -1;
    }
    return step ? 0 : -1;
}

static int add_by_hand(const struct deletion *deletion, const struct snapshot_info *info, const struct layer *layers,
                       size_t count, struct err *err)
{
    struct step *step;

    for (size_t i = 0; i < count; i++)
        if (layers[i].mergeable && add_commit(deletion, info, &layers[i], err) < 0)
            return -1;
    step = add_named(deletion, &step_forget, info, err);
    for (size_t i = 0; step && i < count; i++) {
        char key[160];

        snprintf(key, sizeof key, "format:%s", layers[i].disk);
        if (layers[i].mergeable &&
            (set_pair(step, &layers[i], err) < 0 || facts_set(&step->args, key, layers[i].format, err) < 0))
            return -1;
    }
    return step ? add_unlink(deletion, info, layers, count, err) : -1;
}

static int add_layers(const struct deletion *deletion, const struct snapshot_info *info, xmlNodePtr snapshot,
                      const struct strings *disks, struct layer *layers, struct err *err)
{
    for (size_t i = 0; i < disks->count; i++)
        if (read_layer(deletion, snapshot, disks->items[i], &layers[i], err) < 0)
            return -1;
    return add_by_hand(deletion, info, layers, disks->count, err);
}

static int delete_external(const struct deletion *deletion, const struct snapshot_info *info, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(strings_endp) struct strings disks = {0};
    CLEANUP(freep) struct layer *layers = NULL;
    int result;

    if (snapshot_xml(deletion->domain, info->name, 0, &doc, err) < 0 ||
        snapshot_disks(xmlDocGetRootElement(doc), &disks, err) < 0)
        return -1;
    layers = calloc(disks.count + 1, sizeof *layers);
    if (!layers)
        return err_memory(err, "delete");
    result = add_layers(deletion, info, xmlDocGetRootElement(doc), &disks, layers, err);
    for (size_t i = 0; i < disks.count; i++)
        layer_clear(&layers[i]);
    return result;
}

/* Its image is not the one in use: QEMU holds it open below an overlay, and libvirt would look for it in the wrong file. */
static int check_internal(const struct deletion *deletion, const struct snapshot_info *info, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(strings_endp) struct strings disks = {0};

    if (snapshot_xml(deletion->domain, info->name, 0, &doc, err) < 0 ||
        snapshot_disks(xmlDocGetRootElement(doc), &disks, err) < 0)
        return -1;
    for (size_t i = 0; i < disks.count; i++) {
        CLEANUP(strings_endp) struct strings chain = {0};
        CLEANUP(freep) char *then = snapshot_state_file(xmlDocGetRootElement(doc), disks.items[i]);

        if (!then || disk_chain(deletion->domain, disks.items[i], &chain, NULL) < 0 || chain.count == 0 ||
            image_same(chain.items[0], then))
            continue;
        err_set(err, ERR_PERMANENT, "snapshot %s/%s: it is inside %s, on which later external snapshots stand",
                virDomainGetName(deletion->domain), info->name, then);
        return err_hint(err, "delete the external snapshots after it first, or only its metadata: --metadata");
    }
    return 0;
}

static int delete_one(const struct deletion *deletion, const struct snapshot_info *info, struct err *err)
{
    if (deletion->metadata_only)
        return add_named(deletion, &step_forget, info, err) ? 0 : -1;
    if (snapshot_external(info))
        return delete_external(deletion, info, err);
    if (check_internal(deletion, info, err) < 0)
        return -1;
    return add_named(deletion, &step_delete, info, err) ? 0 : -1;
}

/* ---- the plan ---- */

static int check_foreign(const struct deletion *deletion, const struct snapshot_info *info, struct err *err)
{
    if (info->owner || deletion->foreign)
        return 0;
    err_set(err, ERR_PERMANENT, "snapshot %s/%s: made by others", virDomainGetName(deletion->domain), info->name);
    return err_hint(err, "to delete it nevertheless: --foreign");
}

static int take_point(const struct deletion *deletion, const struct snapshot_info *info, struct err *err)
{
    struct plan *plan = deletion->plan;

    if (strings_add(&plan->taken_points, info->name, err) < 0 ||
        (info->owner && strings_add(&plan->taken_points, info->owner, err) < 0))
        return -1;
    return plan_lose(plan, err, "snapshot %s", info->name);
}

/* What was kept for the way back of a revert, and is not any more. */
static int add_sweep(const struct deletion *deletion, struct err *err)
{
    struct step *step = NULL;

    for (size_t i = 0; i < deletion->over.count; i++) {
        char key[40];

        if (!goes_too(deletion, deletion->over.items[i]))
            continue;
        if (!step && !(step = plan_add(deletion->plan, &step_unlink, err, NULL)))
            return -1;
        snprintf(key, sizeof key, "file:kept%zu", i);
        if (facts_set(&step->args, key, deletion->over.items[i], err) < 0)
            return -1;
    }
    return 0;
}

static int add_all(const struct deletion *deletion, struct err *err)
{
    if (!deletion->metadata_only && add_sweep(deletion, err) < 0)
        return -1;
    for (size_t i = 0; i < deletion->doomed.count; i++) {
        const struct snapshot_info *info = snapshots_find(&deletion->all, deletion->doomed.items[i]);

        if (check_foreign(deletion, info, err) < 0 || take_point(deletion, info, err) < 0 ||
            delete_one(deletion, info, err) < 0)
            return -1;
    }
    return 0;
}

static int begin(struct libvirt_backend *backend, virDomainPtr domain, struct plan *plan, struct deletion *out,
                 struct err *err)
{
    *out = (struct deletion){.backend = backend, .domain = domain, .plan = plan};
    return snapshots_read(domain, &out->all, err) < 0 ? -1 : kept_over(backend->base.config, &out->over, err);
}

int plan_delete_snapshots(struct libvirt_backend *backend, virDomainPtr domain, const struct strings *names,
                          bool foreign, struct plan *plan, struct err *err)
{
    CLEANUP(deletion_clear) struct deletion deletion = {0};

    if (begin(backend, domain, plan, &deletion, err) < 0)
        return -1;
    deletion.foreign = foreign;
    for (size_t i = 0; i < names->count; i++)
        if (strings_add(&deletion.doomed, names->items[i], err) < 0)
            return -1;
    return add_all(&deletion, err);
}

static int choose(struct deletion *deletion, const struct params_snapshot_delete *params, struct err *err)
{
    if (params->scope == SCOPE_SELF)
        return strings_add(&deletion->doomed, params->name, err);
    return snapshots_subtree(&deletion->all, params->name, params->scope == SCOPE_CHILDREN, &deletion->doomed, err);
}

/*
 * A point whose snapshot is no more, or whose name another has by now, is none any more. Nor is that of a domain that this host has no more: its snapshots went with it, and one
 * that has some cannot be migrated.
 */
static int note_gone(const struct params_snapshot_delete *params, struct plan *plan, struct err *err)
{
    char key[64];

    snprintf(key, sizeof key, "owner:%.36s", params->point ? params->point : "");
    if (params->point && facts_set(&plan->facts, key, params->name, err) < 0)
        return -1;
    return facts_set(&plan->facts, "gone", "1", err);
}

int plan_snapshot_delete(struct backend *base, const struct job *job, struct plan *plan, struct err *err)
{
    const struct params_snapshot_delete *params = job->params;
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(deletion_clear) struct deletion deletion = {0};
    char pins[TARGET_TEXT];
    struct err why = {0};

    if (params->scope == SCOPE_ALL)
        return err_set(err, ERR_PERMANENT, "snapshot delete: scope all is for backups; self, children or children_only");
    if (libvirt_domain(libvirt_of(base), job->target.id, &domain, &why) < 0)
        return params->point && why.code == VIR_ERR_NO_DOMAIN ? note_gone(params, plan, err) : (*err = why, -1);
    if (begin(libvirt_of(base), domain, plan, &deletion, err) < 0)
        return -1;
    const struct snapshot_info *info = snapshots_find(&deletion.all, params->name);
    if (!info || (params->point && (!info->owner || strcmp(info->owner, params->point) != 0)))
        return note_gone(params, plan, err);
    deletion.metadata_only = params->metadata_only;
    deletion.foreign = params->foreign;
    if (libvirt_no_foreign_job(domain, err) < 0 || expect_check(domain, job, err) < 0 ||
        choose(&deletion, params, err) < 0 || string_set(&plan->pins_key, target_format(&job->target, pins), err) < 0 ||
        !plan_add(plan, &step_check, err, "name", params->name, NULL))
        return -1;
    return add_all(&deletion, err);
}

int report_deleted_snapshots(const struct facts *known, struct report *report, struct err *err)
{
    int64_t count = 0;

    for (size_t i = 0; i < known->count; i++) {
        if (strncmp(known->items[i].key, "owner:", 6) != 0)
            continue;
        if (report_add_tombstone(report, known->items[i].key + 6, 2, err) < 0)
            return -1;
        count++;
    }
    return facts_set_int(&report->result->facts, "points_deleted", count, err);
}

int report_snapshot_delete(struct backend *base, const struct job *job, const struct facts *known,
                           struct report *report, struct err *err)
{
    (void)base;
    (void)job;
    return report_deleted_snapshots(known, report, err);
}
