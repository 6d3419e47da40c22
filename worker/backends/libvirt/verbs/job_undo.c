/*
 * job.undo: what a revert by hand, a restore in place or an earlier undo took out of use comes back:
 *
 *     check → claim → remember → [stop] → define → moments → release → keep → [discard_saved] → [start]
 *
 * After a restore in place the definition is what it was, and instead of `define` each disk changes places with the kept one (exchange).
 * Everything before the stop only looks and notes; every step up to discard_saved has its way back. What is in use now is kept in its turn, so an undo can be undone (docs/adr/undo.md).
 * A guest that runs is started again, as it was; one that is off stays off.
 */
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/moments.h"
#include "worker/backends/libvirt/revert_hand.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/undo_look.h"
#include "worker/backends/libvirt/undo_record.h"
#include "worker/backends/libvirt/verbs/verbs.h"

#include "model/status.h"

#include <stdio.h>
#include <string.h>

#define KEEP_MS (24LL * 3600 * 1000)

/* Sets "<key>:<disk>" for every disk that the record names under `kind`. */
static int copy_disks(const struct undo_look *look, const char *kind, const char *key, struct step *step,
                      struct err *err)
{
    for (size_t i = 0; i < look->record.count; i++) {
        const char *disk = undo_disk_of(&look->record.items[i], kind);
        char name[160];

        snprintf(name, sizeof name, "%s:%s", key, disk ? disk : "");
        if (disk && facts_set(&step->args, name, look->record.items[i].value, err) < 0)
            return -1;
    }
    return 0;
}

static int add_check(const struct undo_look *look, struct plan *plan, struct err *err)
{
    struct step *step = plan_add(plan, &step_check, err, NULL);

    return step ? copy_disks(look, "kept", "file", step, err) : -1;
}

static int add_claim(const struct undo_look *look, struct plan *plan, struct err *err)
{
    struct step *step = plan_add(plan, &step_claim, err, "job", look->params->job, "until",
                                 facts_get(&look->record, "until"), "boot", facts_get(&look->record, "boot"), NULL);

    if (!step || copy_disks(look, "kept", "file", step, err) < 0)
        return -1;
    return copy_disks(look, "file", "which", step, err);
}

static const char *present_file(const struct undo_look *look, const char *disk)
{
    char key[160];

    snprintf(key, sizeof key, "now:%s", disk);
    return facts_get_or(&look->record, key, "");
}

/* Swapped: the name under which the present disk is kept. Caller frees. */
static char *aside(const struct undo_look *look, const char *disk)
{
    char *path;

    return asprintf(&path, "%s.fs-%s.old", present_file(look, disk), look->job->job_id) < 0 ? NULL : path;
}

static int add_remembered(const struct undo_look *look, const char *disk, const char *kept, struct step *step,
                          struct err *err)
{
    CLEANUP(freep) char *old = aside(look, disk);

    if (!old)
        return err_memory(err, "undo");
    if (undo_swapped(look))
        return remember_disk(step, disk, old, present_file(look, disk), kept, err);
    return remember_disk(step, disk, present_file(look, disk), kept, kept, err);
}

/* Afterwards the snapshots and checkpoints are those of the record. */
static int add_remember(const struct undo_look *look, struct plan *plan, struct err *err)
{
    CLEANUP(strings_endp) struct strings checkpoints = {0};
    const struct snapshot_info *current = snapshots_current(&look->snapshots_before);
    struct undo_after after = {&look->snapshots_before, current ? current->name : NULL, &checkpoints};
    struct step *step;

    for (size_t i = 0; i < look->record.count; i++) {
        CLEANUP(freep)
        char *name = moment_is(&look->record.items[i], "checkpoint") ? moment_name(&look->record.items[i]) : NULL;

        if (name && strings_add(&checkpoints, name, err) < 0)
            return -1;
    }
    step = plan_remember(&after, undo_swapped(look), plan, err);
    for (size_t i = 0; step && i < look->record.count; i++) {
        const char *disk = undo_disk_of(&look->record.items[i], "kept");

        if (disk && add_remembered(look, disk, look->record.items[i].value, step, err) < 0)
            return -1;
    }
    return step ? 0 : -1;
}

/* The definition of the record under the name of now, with the present disks where the job took none out of use. */
static int former_definition(const struct undo_look *look, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(strings_endp) struct strings disks = {0};
    xmlNodePtr name;

    if (xml_parse(facts_get_or(&look->record, "definition", ""), "definition", &doc, err) < 0)
        return -1;
    for (size_t i = 0; i < look->record.count; i++) {
        const char *disk = undo_disk_of(&look->record.items[i], "kept");

        if (disk && strings_add(&disks, disk, err) < 0)
            return -1;
    }
    name = xml_find(xmlDocGetRootElement(doc), "name");
    if (name) {
        xmlNodeSetContent(name, NULL);
        xmlNodeAddContent(name, BAD_CAST virDomainGetName(look->domain));
    }
    if (revert_present_disks(look->domain, &disks, xmlDocGetRootElement(doc), err) < 0)
        return -1;
    return xml_format(doc, out, err);
}

static int add_define(const struct undo_look *look, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *xml = NULL, *former = NULL, *differences = strings_join(&look->differences, ", ");
    struct step *step;

    if (!differences)
        return err_memory(err, "undo");
    if (former_definition(look, &xml, err) < 0 || xml_format(look->definition, &former, err) < 0)
        return -1;
    step = plan_add(plan, &step_define, err, "xml", xml, "former", former, "differences",
                    *differences ? differences : NULL, NULL);
    return step ? copy_disks(look, "kept", "file", step, err) : -1;
}

static int add_exchange(const struct undo_look *look, const char *disk, const char *kept, struct plan *plan,
                        struct err *err)
{
    CLEANUP(freep) char *old = aside(look, disk), *wanted = NULL, *present = NULL;
    const char *place = present_file(look, disk);
    char boot[40];

    if (!old)
        return err_memory(err, "undo");
    if (undo_file(kept, false, &wanted, err) < 0 || undo_file(place, false, &present, err) < 0 ||
        host_boot(boot, err) < 0)
        return -1;
    return plan_add(plan, &step_exchange, err, "disk", disk, "place", place, "from", kept, "to", old, "wanted", wanted,
                    "present", present, "boot", boot, NULL)
               ? 0
               : -1;
}

static int add_disks(const struct undo_look *look, struct plan *plan, struct err *err)
{
    if (!undo_swapped(look))
        return add_define(look, plan, err);
    for (size_t i = 0; i < look->record.count; i++) {
        const char *disk = undo_disk_of(&look->record.items[i], "kept");

        if (disk && add_exchange(look, disk, look->record.items[i].value, plan, err) < 0)
            return -1;
    }
    return 0;
}

static int add_release(const struct undo_look *look, struct plan *plan, struct err *err)
{
    struct step *step = plan_add(plan, &step_release, err, "job", look->params->job, NULL);

    return step ? copy_disks(look, "kept", "file", step, err) : -1;
}

static int add_steps(const struct undo_look *look, struct plan *plan, struct err *err)
{
    const char *as = look->state == VIR_DOMAIN_PAUSED ? "paused" : "running";

    if (add_check(look, plan, err) < 0 || add_claim(look, plan, err) < 0 || add_remember(look, plan, err) < 0)
        return -1;
    if (look->active && !plan_add(plan, &step_stop, err, "as", as, NULL))
        return -1;
    if (add_disks(look, plan, err) < 0 || !plan_add(plan, &step_moments, err, "job", look->params->job, NULL) ||
        add_release(look, plan, err) < 0 || plan_keep(KEEP_MS, plan, err) < 0)
        return -1;
    if (look->has_saved && !plan_add(plan, &step_discard_saved, err, NULL))
        return -1;
    return !look->active || plan_add(plan, &step_start, err, "as", as, NULL) ? 0 : -1;
}

int plan_job_undo(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(undo_look_end) struct undo_look look = {0};

    if (undo_look(&look, backend, job, err) < 0 || add_steps(&look, plan, err) < 0)
        return -1;
    return undo_lost(&look, plan, err);
}

int report_job_undo(struct backend *backend, const struct job *job, const struct facts *known, struct report *report,
                    struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    int state;

    (void)known;
    if (libvirt_domain(libvirt_of(backend), job->target.id, &domain, err) < 0 ||
        libvirt_domain_state(domain, &state, NULL, err) < 0)
        return -1;
    return facts_set(&report->result->facts, "state", libvirt_state_name(state), err);
}
