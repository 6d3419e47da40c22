/*
 * S's state is in the file that was active when S was taken: the source in S's <domain>. It must never be written again, so the guest gets a new overlay on it.
 *
 *   check → overlay, per disk → remember → stop → define → [forget_checkpoints] → tree → [discard_saved] → keep → start
 *
 * The overlays come before the stop: a full disk then stops nobody. The definition is the one of S's time with the new overlays; disks that S did not take stay as they are now.
 * The old overlays stay where they are.
 */
#include "worker/backends/libvirt/revert_hand.h"

#include "base/file.h"
#include "model/inventory.h"
#include "worker/backends/libvirt/create_choice.h"
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/steps/steps.h"

#include <stdio.h>
#include <string.h>

struct rebased { /* one disk of the snapshot */
    const char *name;
    char *base, *format, *overlay, *now;
};

static void rebased_clear(struct rebased *disk)
{
    free(disk->base);
    free(disk->format);
    free(disk->overlay);
    free(disk->now);
    *disk = (struct rebased){0};
}

static char *current_source(virDomainPtr domain, const char *name)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};
    const struct domain_disk *disk;

    if (libvirt_domain_xml(domain, 0, &doc, NULL) < 0 || domain_disks_read(doc, &disks, NULL) < 0)
        return NULL;
    disk = domain_disks_find(&disks, name);
    return disk && disk->source ? strdup(disk->source) : NULL;
}

static int rebased_read(const struct revert_hand *hand, const char *name, struct rebased *out, struct err *err)
{
    xmlNodePtr root = xmlDocGetRootElement(hand->snapshot);

    out->name = name;
    out->base = snapshot_state_file(root, name);
    out->format = snapshot_state_format(root, name);
    out->now = current_source(hand->domain, name);
    if (!out->base || !out->format)
        return err_set(err, ERR_PERMANENT, "snapshot %s/%s: it does not say where its state of disk %s is",
                       hand->scene->domain, hand->scene->snapshot->name, name);
    out->overlay = overlay_name(out->base, name, hand->job->job_id);
    return out->overlay ? 0 : err_memory(err, "revert");
}

/* Somebody's own disk: then it has been written since, or is being written. */
static int check_not_written(const struct revert_hand *hand, const char *base, struct err *err)
{
    CLEANUP(strings_endp) struct strings holders = {0};

    if (!file_exists(base))
        return err_set(err, ERR_PERMANENT, "snapshot %s/%s: its state is gone: there is no %s", hand->scene->domain,
                       hand->scene->snapshot->name, base);
    if (image_holders(hand->backend->connection, base, &holders, err) < 0)
        return -1;
    for (size_t i = 0; i < holders.count; i++)
        if (strncmp(holders.items[i], "domain ", 7) == 0)
            return err_set(err, ERR_PERMANENT, "snapshot %s/%s: its state is gone: %s is written by %s",
                           hand->scene->domain, hand->scene->snapshot->name, base, holders.items[i]);
    return 0;
}

/*
 * libvirt changes the definitions of all snapshots below one whose metadata it deletes, as if that had been merged: they name another snapshot's state. The overlay that was made with
 * this one knows better, where it is still there.
 */
static int check_definition(const struct revert_hand *hand, const char *disk, const char *base, struct err *err)
{
    const struct snapshot_info *info = hand->scene->snapshot;
    CLEANUP(freep) char *overlay = snapshot_overlay_file(xmlDocGetRootElement(hand->snapshot), disk);
    CLEANUP(freep) char *below = NULL;

    if (!overlay || image_backing(overlay, &below, NULL) < 0 || !below || below[0] != '/' || image_same(below, base))
        return 0;
    err_set(err, ERR_PERMANENT,
            "snapshot %s/%s: revert refused: its definition names %s as the state of %s, and that is %s: somebody "
            "deleted the metadata of a snapshot before it, by which libvirt changes the definitions of those after it",
            hand->scene->domain, info->name, base, disk, below);
    if (!info->owner)
        return err_hint(err, "correct the <domain> in its XML: fleetsnap snapshot create --redefine");
    return err_hint(err,
                    "its XML as it was made is result.xml in fleetsnap job show %.8s --json: snapshot create "
                    "--redefine takes it, after those before it",
                    info->owner);
}

int revert_hand_check(const struct revert_hand *hand, struct err *err)
{
    xmlNodePtr root = xmlDocGetRootElement(hand->snapshot);
    CLEANUP(strings_endp) struct strings disks = {0};
    CLEANUP(freep) char *memory = xml_get(hand->snapshot, "memory[@snapshot='external']/@file");

    if (!hand->scene->has_definition) {
        err_set(err, ERR_PERMANENT,
                "snapshot %s/%s: it lacks the domain's definition, so nobody knows where its state is",
                hand->scene->domain, hand->scene->snapshot->name);
        return err_hint(err, "give it back its XML: fleetsnap snapshot create --redefine");
    }
    if (snapshot_disks(root, &disks, err) < 0)
        return -1;
    for (size_t i = 0; i < disks.count; i++) {
        CLEANUP(freep) char *base = snapshot_state_file(root, disks.items[i]);

        if (base && (check_not_written(hand, base, err) < 0 || check_definition(hand, disks.items[i], base, err) < 0))
            return -1;
    }
    if (memory && !file_exists(memory))
        return err_set(err, ERR_PERMANENT, "snapshot %s/%s: its memory is gone: there is no %s", hand->scene->domain,
                       hand->scene->snapshot->name, memory);
    return 0;
}

/* ---- the steps ---- */

static int add_check(const struct revert_hand *hand, const struct strings *disks, struct plan *plan, struct err *err)
{
    struct step *step = plan_add(plan, &step_check, err, "name", hand->scene->snapshot->name, NULL);

    if (!step)
        return -1;
    for (size_t i = 0; i < disks->count; i++) {
        CLEANUP(freep) char *base = snapshot_state_file(xmlDocGetRootElement(hand->snapshot), disks->items[i]);
        char key[32];

        snprintf(key, sizeof key, "file:%zu", i);
        if (base && facts_set(&step->args, key, base, err) < 0)
            return -1;
    }
    return 0;
}

static int add_overlay(const struct rebased *disk, struct plan *plan, struct err *err)
{
    const char *like = disk->now && disk->now[0] == '/' && file_exists(disk->now) ? disk->now : disk->base;

    return plan_add(plan, &step_overlay, err, "disk", disk->name, "file", disk->overlay, "base", disk->base, "format",
                    disk->format, "like", like, NULL)
               ? 0
               : -1;
}

int revert_present_disks(virDomainPtr domain, const struct strings *taken, xmlNodePtr definition, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(domain_disks_clear) struct domain_disks now = {0}, then = {0};

    if (libvirt_domain_xml(domain, 0, &doc, err) < 0 || domain_disks_read(doc, &now, err) < 0 ||
        domain_disks_read_at(definition, &then, err) < 0)
        return -1;
    for (size_t i = 0; i < then.count; i++) {
        const struct domain_disk *disk = domain_disks_find(&now, then.items[i].name);
        bool same = disk && disk->source && then.items[i].source && strcmp(disk->source, then.items[i].source) == 0;

        if (!disk || !disk->source || same || strings_have(taken, disk->name) || strcmp(disk->type, "file") != 0)
            continue;
        if (definition_set_disk(definition, disk->name, disk->source, disk->format, err) < 0)
            return -1;
    }
    return 0;
}

/* Fills the <domain> in with the new overlays. */
static int edit_definition(const struct revert_hand *hand, const struct strings *taken, xmlNodePtr domain,
                           struct err *err)
{
    xmlNodePtr name = xml_find(domain, "name");

    definition_cut_backing(domain);
    if (name)
        xmlNodeSetContent(name, BAD_CAST "");
    if (name)
        xmlNodeAddContent(name, BAD_CAST hand->scene->domain); /* it may have been renamed since */
    for (size_t i = 0; i < taken->count; i++) {
        struct rebased disk = {0};
        int result = rebased_read(hand, taken->items[i], &disk, err);

        if (result == 0)
            result = definition_set_disk(domain, disk.name, disk.overlay, "qcow2", err);
        rebased_clear(&disk);
        if (result < 0)
            return -1;
    }
    /* those that the snapshot did not take are the present ones, not those of its time */
    return revert_present_disks(hand->domain, taken, domain, err);
}

static int set_overlay_args(const struct revert_hand *hand, const struct strings *taken, struct step *step,
                            struct err *err)
{
    for (size_t i = 0; i < taken->count; i++) {
        struct rebased disk = {0};
        char key[160];
        int result = rebased_read(hand, taken->items[i], &disk, err);

        snprintf(key, sizeof key, "file:%s", taken->items[i]);
        if (result == 0)
            result = facts_set(&step->args, key, disk.overlay, err);
        rebased_clear(&disk);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int add_define(const struct revert_hand *hand, const struct strings *taken, struct plan *plan, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr copy = xmlCopyDoc(hand->snapshot, 1);
    CLEANUP(freep) char *xml = NULL, *differences = strings_join(hand->scene->differences, ", ");
    CLEANUP(freep) char *former = virDomainGetXMLDesc(hand->domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    xmlNodePtr domain = copy ? xml_find(xmlDocGetRootElement(copy), "domain") : NULL;
    struct step *step;

    if (!domain || !former || !differences)
        return former ? err_memory(err, "revert") : libvirt_err(err, "definition");
    if (edit_definition(hand, taken, domain, err) < 0 || xml_format_node(domain, &xml, err) < 0)
        return -1;
    step = plan_add(plan, &step_define, err, "xml", xml, "former", former, "differences",
                    *differences ? differences : NULL, NULL);
    return step ? set_overlay_args(hand, taken, step, err) : -1;
}

/* Without a branch below it the snapshot gets the new overlay for its own. */
static int tree_xml(const struct revert_hand *hand, const struct strings *taken, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr copy = xmlCopyDoc(hand->snapshot, 1);
    bool leaf = hand->scene->snapshot->children == 0;

    if (!copy)
        return err_memory(err, "revert");
    for (size_t i = 0; leaf && i < taken->count; i++) {
        struct rebased disk = {0};
        int result = rebased_read(hand, taken->items[i], &disk, err);

        if (result == 0)
            snapshot_set_overlay(xmlDocGetRootElement(copy), disk.name, disk.overlay);
        rebased_clear(&disk);
        if (result < 0)
            return -1;
    }
    return xml_format(copy, out, err);
}

static int add_tree(const struct revert_hand *hand, const struct strings *taken, struct plan *plan, struct err *err)
{
    const struct snapshot_info *current = snapshots_current(hand->scene->snapshots);
    CLEANUP(freep) char *xml = NULL, *former = NULL;

    if (tree_xml(hand, taken, &xml, err) < 0 || xml_format(hand->snapshot, &former, err) < 0)
        return -1;
    return plan_add(plan, &step_tree, err, "name", hand->scene->snapshot->name, "xml", xml, "former", former,
                    "former_current", current ? current->name : NULL, NULL)
               ? 0
               : -1;
}

/* The memory file has a definition of its own, which must name the new disks, too. */
static int memory_xml(const struct revert_hand *hand, const char *file, const struct strings *taken, char **out,
                      struct err *err)
{
    CLEANUP(freep)
    char *text = virDomainSaveImageGetXMLDesc(hand->backend->connection, file, VIR_DOMAIN_SAVE_IMAGE_XML_SECURE);
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    if (!text)
        return libvirt_err(err, "memory file %s", file);
    if (xml_parse(text, file, &doc, err) < 0 || edit_definition(hand, taken, xmlDocGetRootElement(doc), err) < 0)
        return -1;
    return xml_format(doc, out, err);
}

static int add_start(const struct revert_hand *hand, const struct strings *taken, struct plan *plan, struct err *err)
{
    const struct params_snapshot_revert *params = hand->job->params;
    CLEANUP(freep) char *memory = xml_get(hand->snapshot, "memory[@snapshot='external']/@file");
    CLEANUP(freep) char *xml = NULL;
    enum revert_end end = revert_ends(params, hand->scene->snapshot);

    if (end == END_OFF)
        return 0;
    if (memory && memory_xml(hand, memory, taken, &xml, err) < 0)
        return -1;
    return plan_add(plan, &step_start, err, "as", end == END_PAUSED ? "paused" : "running", "memory", memory,
                    "memory_xml", xml, "reset_nvram", params->reset_nvram ? "1" : NULL, NULL)
               ? 0
               : -1;
}

static int add_stop(const struct revert_hand *hand, struct plan *plan, struct err *err)
{
    bool off = revert_ends(hand->job->params, hand->scene->snapshot) == END_OFF;
    int state;

    if (!hand->scene->active)
        return 0;
    if (libvirt_domain_state(hand->domain, &state, NULL, err) < 0)
        return -1;
    return plan_add(plan, off ? &step_power_off : &step_stop, err, "as",
                    state == VIR_DOMAIN_PAUSED ? "paused" : "running", NULL)
               ? 0
               : -1;
}

static int add_overlays(const struct revert_hand *hand, const struct strings *taken, struct plan *plan, struct err *err)
{
    for (size_t i = 0; i < taken->count; i++) {
        struct rebased disk = {0};
        int result = rebased_read(hand, taken->items[i], &disk, err);

        if (result == 0)
            result = add_overlay(&disk, plan, err);
        rebased_clear(&disk);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* Afterwards the snapshots are the same, and this one is the current one. */
static int add_remember(const struct revert_hand *hand, const struct strings *taken, struct plan *plan, struct err *err)
{
    const struct undo_after after = {.snapshots = hand->scene->snapshots, .current = hand->scene->snapshot->name};
    struct step *step = plan_remember(&after, false, plan, err);

    for (size_t i = 0; step && i < taken->count; i++) {
        struct rebased disk = {0};
        int result = rebased_read(hand, taken->items[i], &disk, err);

        if (result == 0)
            result = remember_disk(step, disk.name, disk.now, disk.overlay, disk.overlay, err);
        rebased_clear(&disk);
        if (result < 0)
            return -1;
    }
    return step ? 0 : -1;
}

int revert_hand_plan(const struct revert_hand *hand, struct plan *plan, struct err *err)
{
    const struct params_snapshot_revert *params = hand->job->params;
    CLEANUP(strings_endp) struct strings taken = {0};

    if (snapshot_disks(xmlDocGetRootElement(hand->snapshot), &taken, err) < 0)
        return -1;
    if (add_check(hand, &taken, plan, err) < 0 || add_overlays(hand, &taken, plan, err) < 0 ||
        add_remember(hand, &taken, plan, err) < 0 || add_stop(hand, plan, err) < 0 ||
        add_define(hand, &taken, plan, err) < 0 ||
        plan_forget_checkpoints(hand->domain, hand->scene->checkpoints, plan, err) < 0 ||
        add_tree(hand, &taken, plan, err) < 0)
        return -1;
    if (hand->scene->has_saved && !plan_add(plan, &step_discard_saved, err, NULL))
        return -1;
    if (plan_keep(params->keep_current ? KEPT_FOR_EVER : params->keep_old_for_ms, plan, err) < 0)
        return -1;
    return add_start(hand, &taken, plan, err);
}
