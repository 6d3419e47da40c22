/*
 * target.retire: what Fleetsnap left in a domain goes, so that it can be undefined.
 *
 *     check · [delete-mark …] · [drop_checkpoints] · [the steps of each snapshot, children first] · [delete-files …]
 *
 * What may be refused, or taken back, comes first. Checkpoints before snapshots: libvirt redefines no snapshot of a guest that is off and has checkpoints. Objects of others
 * stay unless --foreign says otherwise; what is still in the way of an undefine is told by name, before (dry run) and afterwards. Backups that are kept need neither the
 * domain nor its checkpoints.
 */
#include "model/inventory.h"
#include "model/status.h"
#include "worker/backends/libvirt/expect.h"
#include "worker/backends/libvirt/inventory.h"
#include "worker/backends/libvirt/removal.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/verbs/verbs.h"

#include <stdio.h>

struct retirement {
    struct libvirt_backend *backend;
    const struct params_target_retire *params;
    virDomainPtr domain;
    struct list snapshots, checkpoints; /* snapshot_info, inventory_checkpoint */
    struct removal removal;
};

static void retirement_end(struct retirement *retirement)
{
    domain_freep(&retirement->domain);
    snapshots_clear(&retirement->snapshots);
    checkpoints_clear(&retirement->checkpoints);
    removal_endp(&retirement->removal);
}

static int look(struct retirement *retirement, struct backend *backend, const struct job *job, struct err *err)
{
    retirement->backend = libvirt_of(backend);
    retirement->params = job->params;
    if (libvirt_domain(retirement->backend, job->target.id, &retirement->domain, err) < 0)
        return -1;
    return snapshots_read(retirement->domain, &retirement->snapshots, err) < 0
               ? -1
               : checkpoints_read(retirement->domain, &retirement->checkpoints, err);
}

static bool may_go(const struct retirement *retirement, const char *owner)
{
    return owner || retirement->params->foreign;
}

/* ---- what stays, and is in the way of virsh undefine ---- */

static void say(struct text *out, const char *what, const char *name, const char *owner)
{
    text_addf(out, "%s%s %s%s", out->len ? ", " : "", what, name, owner ? "" : " (made by others)");
}

/* `planned`: as it will be when the plan is done. */
static void list_objects(const struct retirement *retirement, bool planned, struct text *out)
{
    bool delete = retirement->params->snapshots == RETIRE_DELETE_SNAPSHOTS;

    for (size_t i = 0; i < retirement->checkpoints.count; i++) {
        const struct inventory_checkpoint *each = list_at(&retirement->checkpoints, struct inventory_checkpoint, i);

        if (!planned || !may_go(retirement, each->owner))
            say(out, "checkpoint", each->name, each->owner);
    }
    for (size_t i = 0; i < retirement->snapshots.count; i++) {
        const struct snapshot_info *each = list_at(&retirement->snapshots, struct snapshot_info, i);

        if (!planned || !delete || !may_go(retirement, each->owner))
            say(out, "snapshot", each->name, each->owner);
    }
}

static void list_rest(virDomainPtr domain, struct text *out)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *nvram = NULL;

    if (virDomainHasManagedSaveImage(domain, 0) == 1)
        text_addf(out, "%sa saved state (--managed-save)", out->len ? ", " : "");
    if (libvirt_domain_xml(domain, VIR_DOMAIN_XML_INACTIVE, &doc, NULL) == 0)
        nvram = xml_get(doc, "/domain/os/nvram");
    if (nvram && *nvram)
        text_addf(out, "%sits NVRAM (--nvram or --keep-nvram)", out->len ? ", " : "");
}

static int tell_in_the_way(const struct retirement *retirement, bool planned, struct facts *facts, struct err *err)
{
    CLEANUP(text_freep) struct text text = {0};

    list_objects(retirement, planned, &text);
    list_rest(retirement->domain, &text);
    return text.len ? facts_set(facts, "in_the_way", text_str(&text), err) : 0;
}

/* ---- the plan ---- */

static int choose_backups(struct retirement *retirement, const struct job *job, struct err *err)
{
    const struct params_backup_delete what = {.scope = SCOPE_ALL, .really_last = retirement->params->really_last};

    if (retirement->params->backups != RETIRE_DELETE_BACKUPS)
        return 0;
    return removal_choose(&retirement->backend->base, job, retirement->params->repository, &what, &retirement->removal,
                          err);
}

/* The pins of the machine's snapshots and those of the repository, a line each. */
static int set_pins(const struct retirement *retirement, const struct job *job, struct plan *plan, struct err *err)
{
    char target[TARGET_TEXT];
    const char *repository = retirement->removal.repository.id;

    if (asprintf(&plan->pins_key, "%s%s%s", target_format(&job->target, target), repository ? "\nrepository:" : "",
                 repository ? repository : "") >= 0)
        return 0;
    plan->pins_key = NULL;
    return err_memory(err, "pins");
}

static int add_checkpoints(const struct retirement *retirement, struct plan *plan, struct err *err)
{
    struct step *step = NULL;

    for (size_t i = 0; i < retirement->checkpoints.count; i++) {
        const struct inventory_checkpoint *each = list_at(&retirement->checkpoints, struct inventory_checkpoint, i);
        char key[40];

        if (!may_go(retirement, each->owner))
            continue;
        if (!step && !(step = plan_add(plan, &step_drop_checkpoints, err, NULL)))
            return -1;
        snprintf(key, sizeof key, "checkpoint:%06zu", i);
        if (facts_set(&step->args, key, each->name, err) < 0)
            return -1;
    }
    return 0;
}

static int add_snapshots(const struct retirement *retirement, struct plan *plan, struct err *err)
{
    CLEANUP(strings_endp) struct strings names = {0};

    if (retirement->params->snapshots != RETIRE_DELETE_SNAPSHOTS)
        return 0;
    for (size_t i = retirement->snapshots.count; i-- > 0;) { /* children are behind their parents */
        const struct snapshot_info *each = list_at(&retirement->snapshots, struct snapshot_info, i);

        if (may_go(retirement, each->owner) && strings_add(&names, each->name, err) < 0)
            return -1;
    }
    if (!names.count)
        return 0;
    return plan_delete_snapshots(retirement->backend, retirement->domain, &names, retirement->params->foreign, plan,
                                 err);
}

int plan_target_retire(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(retirement_end) struct retirement retirement = {0};

    if (look(&retirement, backend, job, err) < 0 || libvirt_no_foreign_job(retirement.domain, err) < 0 ||
        expect_check(retirement.domain, job, err) < 0 || choose_backups(&retirement, job, err) < 0 ||
        set_pins(&retirement, job, plan, err) < 0 || tell_in_the_way(&retirement, true, &plan->facts, err) < 0)
        return -1;
    if (!plan_add(plan, &step_check, err, NULL) || removal_add_marks(&retirement.removal, plan, err) < 0 ||
        add_checkpoints(&retirement, plan, err) < 0 || add_snapshots(&retirement, plan, err) < 0)
        return -1;
    return removal_add_files(&retirement.removal, plan, err);
}

/* What is in the way now: a job that died half way has left what its plan had promised to take. */
int report_target_retire(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err)
{
    CLEANUP(retirement_end) struct retirement retirement = {0};
    struct err why = {0};

    facts_remove(&report->result->facts, "in_the_way");
    if (report_deleted_snapshots(known, report, err) < 0 || report_deleted_points(known, report, err) < 0)
        return -1;
    if (look(&retirement, backend, job, &why) == 0)
        return tell_in_the_way(&retirement, false, &report->result->facts, err);
    if (why.code == VIR_ERR_NO_DOMAIN) /* undefined by a person who did not wait */
        return 0;
    *err = why;
    return -1;
}
