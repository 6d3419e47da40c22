/*
 * snapshot.revert. Internal: libvirt's own, after everything is ruled out that it accepts and that costs the guest (docs/backends/libvirt.md, "Six calls"):
 *
 *     check → [snapshot of the present, if it is to be kept] → [redefine] → [drop_checkpoints] → [discard_saved] → note_state → revert
 *
 * External: by hand (revert_hand.c); libvirt's own from 9.9 on where nothing is to be kept, because libvirt removes the overlays that it leaves.
 */
#include "worker/backends/libvirt/create_choice.h"
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/expect.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/inventory.h"
#include "worker/backends/libvirt/revert_hand.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/verbs/verbs.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

enum { NATIVE_EXTERNAL = 9009000 };

/* Everything that planning looks at. */
struct look {
    struct libvirt_backend *backend;
    const struct job *job;
    virDomainPtr domain;
    xmlDocPtr snapshot, definition; /* with secrets; of now, inactive */
    struct list snapshots, checkpoints;
    struct strings differences;
    struct revert_scene scene;
};

static void look_clear(struct look *look)
{
    domain_freep(&look->domain);
    xml_freep(&look->snapshot);
    xml_freep(&look->definition);
    snapshots_clear(&look->snapshots);
    checkpoints_clear(&look->checkpoints);
    strings_clear(&look->differences);
}

static int look_at_domain(struct look *look, struct err *err)
{
    if (libvirt_domain(look->backend, look->job->target.id, &look->domain, err) < 0)
        return -1;
    if (libvirt_no_foreign_job(look->domain, err) < 0 || expect_check(look->domain, look->job, err) < 0)
        return -1;
    if (snapshots_read(look->domain, &look->snapshots, err) < 0 ||
        checkpoints_read(look->domain, &look->checkpoints, err) < 0)
        return -1;
    return libvirt_domain_xml(look->domain, VIR_DOMAIN_XML_INACTIVE, &look->definition, err);
}

static int look_at_snapshot(struct look *look, const char *name, struct err *err)
{
    xmlNodePtr then;

    look->scene.snapshot = snapshots_find(&look->snapshots, name);
    if (!look->scene.snapshot) {
        err_set(err, ERR_PERMANENT, "snapshot %s/%s: there is none", virDomainGetName(look->domain), name);
        return err_hint(err, "fleetsnap snapshot list shows those that there are");
    }
    if (snapshot_xml(look->domain, name, VIR_DOMAIN_SNAPSHOT_XML_SECURE, &look->snapshot, err) < 0)
        return -1;
    then = xml_find(xmlDocGetRootElement(look->snapshot), "domain");
    return then ? definition_differences(then, xmlDocGetRootElement(look->definition), &look->differences, err) : 0;
}

static int look_around(struct look *look, struct err *err)
{
    const struct params_snapshot_revert *params = look->job->params;
    struct revert_scene *scene = &look->scene;

    if (look_at_domain(look, err) < 0 || look_at_snapshot(look, params->name, err) < 0)
        return -1;
    scene->domain = virDomainGetName(look->domain);
    scene->params = params;
    scene->snapshots = &look->snapshots;
    scene->checkpoints = &look->checkpoints;
    scene->differences = &look->differences;
    scene->active = virDomainIsActive(look->domain) == 1;
    scene->persistent = virDomainIsPersistent(look->domain) == 1;
    scene->has_definition = xml_find(xmlDocGetRootElement(look->snapshot), "domain") != NULL;
    scene->has_saved = virDomainHasManagedSaveImage(look->domain, 0) == 1;
    scene->now_ms = clock_real_ms();
    scene->by_hand = snapshot_external(scene->snapshot) &&
                     (look->backend->version < NATIVE_EXTERNAL || params->keep_current || params->keep_old_for_ms > 0);
    return 0;
}

/* ---- internal ---- */

/* The state is in the image that the snapshot's definition names: it must be the one in use, hold the snapshot, and carry nobody else. */
static int check_image(const struct look *look, const struct domain_disk *now, const char *then, struct err *err)
{
    CLEANUP(strings_endp) struct strings users = {0};
    const struct revert_scene *scene = &look->scene;
    bool there;

    if (!now || !now->source || !image_same(now->source, then)) {
        err_set(
            err, ERR_PERMANENT,
            "snapshot %s/%s: revert refused: it is inside %s, and the guest runs on an overlay of a later snapshot, which would become worthless",
            scene->domain, scene->snapshot->name, then);
        return err_hint(err, "delete the external snapshots after it first");
    }
    if (image_has_snapshot(then, scene->snapshot->name, &there, err) < 0)
        return -1;
    if (!there) {
        err_set(err, ERR_PERMANENT, "snapshot %s/%s: revert refused: %s does not hold it any more", scene->domain,
                scene->snapshot->name, then);
        return err_hint(err, "delete what is left of it: fleetsnap snapshot delete --metadata");
    }
    if (image_users(look->backend->connection, then, &users, err) < 0)
        return -1;
    if (users.count == 0)
        return 0;
    return err_set(err, ERR_PERMANENT, "snapshot %s/%s: revert refused: %s stands on %s and would become worthless",
                   scene->domain, scene->snapshot->name, users.items[0], then);
}

static int check_images(const struct look *look, struct err *err)
{
    xmlNodePtr root = xmlDocGetRootElement(look->snapshot);
    CLEANUP(strings_endp) struct strings taken = {0};
    CLEANUP(domain_disks_clear) struct domain_disks now = {0};

    if (snapshot_disks(root, &taken, err) < 0 || domain_disks_read(look->definition, &now, err) < 0)
        return -1;
    for (size_t i = 0; i < taken.count; i++) {
        CLEANUP(freep) char *then = snapshot_state_file(root, taken.items[i]);

        if (then && then[0] == '/' && check_image(look, domain_disks_find(&now, taken.items[i]), then, err) < 0)
            return -1;
    }
    return 0;
}

/* A snapshot without a definition gets the present one, whole: without its secrets the guest would come back with an open console. Asked for by force, after the text that says
 * what that means. */
static int add_redefine(const struct look *look, struct plan *plan, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr copy = xmlCopyDoc(look->snapshot, 1), whole = NULL;
    CLEANUP(freep) char *xml = NULL, *former = NULL;
    xmlNodePtr domain;

    if (libvirt_domain_xml(look->domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, &whole, err) < 0)
        return -1;
    domain = copy ? xmlDocCopyNode(xmlDocGetRootElement(whole), copy, 1) : NULL;
    if (!domain || !xmlAddChild(xmlDocGetRootElement(copy), domain))
        return err_memory(err, "revert");
    if (xml_format(copy, &xml, err) < 0 || xml_format(look->snapshot, &former, err) < 0)
        return -1;
    return plan_add(plan, &step_redefine, err, "name", look->scene.snapshot->name, "xml", xml, "former", former, NULL)
               ? 0
               : -1;
}

/* The present state, as an internal snapshot beside the others. */
static int add_keep(const struct look *look, struct plan *plan, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = xml_new("domainsnapshot");
    CLEANUP(freep) char *xml = NULL;
    char job[SHORT_JOB], name[SHORT_JOB + 16];

    if (!doc)
        return err_memory(err, "revert");
    short_job(look->job->job_id, job);
    snprintf(name, sizeof name, "fs-%s-before", job);
    xml_child(xmlDocGetRootElement(doc), "name", name);
    xml_child(xmlDocGetRootElement(doc), "description", "the state before a revert");
    if (xml_format(doc, &xml, err) < 0)
        return -1;
    return plan_add(plan, &step_snapshot, err, "name", name, "xml", xml, "flags", "0", "level",
                    look->scene.active ? "memory" : "off", "kind", "internal", NULL)
               ? 0
               : -1;
}

static int drop_checkpoints(const struct list *checkpoints, struct plan *plan, struct err *err)
{
    struct step *step;

    if (checkpoints->count == 0)
        return 0;
    step = plan_add(plan, &step_drop_checkpoints, err, NULL);
    for (size_t i = 0; step && i < checkpoints->count; i++) {
        char key[40];

        snprintf(key, sizeof key, "checkpoint:%zu", i);
        if (facts_set(&step->args, key, list_at(checkpoints, struct inventory_checkpoint, i)->name, err) < 0)
            return -1;
    }
    return step ? 0 : -1;
}

static unsigned native_flags(const struct params_snapshot_revert *params)
{
    unsigned flags = params->force != FORCE_NEVER ? VIR_DOMAIN_SNAPSHOT_REVERT_FORCE : 0;

    if (params->after == AFTER_RUNNING)
        flags |= VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING;
    if (params->after == AFTER_PAUSED)
        flags |= VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED;
    return flags | (params->reset_nvram ? VIR_DOMAIN_SNAPSHOT_REVERT_RESET_NVRAM : 0);
}

static int add_native(const struct look *look, struct plan *plan, struct err *err)
{
    char flags[24], id[24];

    snprintf(flags, sizeof flags, "%u", native_flags(look->job->params));
    snprintf(id, sizeof id, "%d", look->scene.active ? (int)virDomainGetID(look->domain) : -1);
    if (drop_checkpoints(&look->checkpoints, plan, err) < 0)
        return -1;
    if (look->scene.has_saved && !plan_add(plan, &step_discard_saved, err, NULL))
        return -1;
    return plan_add(plan, &step_note_state, err, "name", look->scene.snapshot->name, NULL) &&
                   plan_add(plan, &step_revert, err, "name", look->scene.snapshot->name, "flags", flags, "id", id, NULL)
               ? 0
               : -1;
}

static int plan_internal(const struct look *look, struct plan *plan, struct err *err)
{
    const struct params_snapshot_revert *params = look->job->params;

    if (check_images(look, err) < 0)
        return -1;
    if (!plan_add(plan, &step_check, err, "name", look->scene.snapshot->name, NULL))
        return -1;
    if (!look->scene.has_definition && add_redefine(look, plan, err) < 0)
        return -1;
    if (params->keep_current && add_keep(look, plan, err) < 0)
        return -1;
    return add_native(look, plan, err);
}

static int plan_external(struct look *look, struct plan *plan, struct err *err)
{
    const struct revert_hand hand = {look->backend, look->domain, look->job, look->snapshot, &look->scene};

    if (revert_hand_check(&hand, err) < 0)
        return -1;
    if (look->scene.by_hand)
        return revert_hand_plan(&hand, plan, err);
    return plan_add(plan, &step_check, err, "name", look->scene.snapshot->name, NULL) ? add_native(look, plan, err) : -1;
}

int plan_snapshot_revert(struct backend *base, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(look_clear) struct look look = {.backend = libvirt_of(base), .job = job};

    if (look_around(&look, err) < 0 || revert_check(&look.scene, err) < 0)
        return -1;
    if ((snapshot_external(look.scene.snapshot) ? plan_external(&look, plan, err) : plan_internal(&look, plan, err)) < 0)
        return -1;
    return revert_lost(&look.scene, plan, err);
}

int report_snapshot_revert(struct backend *base, const struct job *job, const struct facts *known,
                           struct report *report, struct err *err)
{
    const struct params_snapshot_revert *params = job->params;
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    int state;

    (void)known;
    if (libvirt_domain(libvirt_of(base), job->target.id, &domain, err) < 0 ||
        libvirt_domain_state(domain, &state, NULL, err) < 0)
        return -1;
    if (facts_set(&report->result->facts, "name", params->name, err) < 0)
        return -1;
    return facts_set(&report->result->facts, "state", libvirt_state_name(state), err);
}
