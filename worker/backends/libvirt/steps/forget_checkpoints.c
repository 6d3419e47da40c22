/*
 * forget_checkpoints: of a guest that is off and has checkpoints, libvirt redefines no snapshot ("cannot perform block operations while checkpoint exists"), and after a revert by hand
 * no dirty bitmap says the truth. So their metadata goes before the tree is made right. The bitmaps are in the disks that are kept: going back brings the metadata back, as well as
 * libvirt lets it; what it costs otherwise is that the next backup is full.
 * args: checkpoint:<n>, xml:<n>, parents first; stays (the bitmaps stay true: the next backup defines the checkpoints again)
 */
#include "worker/backends/libvirt/inventory.h"
#include "worker/backends/libvirt/revert_hand.h"
#include "worker/backends/libvirt/steps/steps.h"

#include <string.h>

static const char prefix[] = "checkpoint:";

static bool names_one(const struct fact *fact)
{
    return strncmp(fact->key, prefix, sizeof prefix - 1) == 0;
}

static int add_one(virDomainPtr domain, const char *name, size_t index, struct step *step, struct err *err)
{
    CLEANUP(checkpoint_freep) virDomainCheckpointPtr checkpoint = virDomainCheckpointLookupByName(domain, name, 0);
    CLEANUP(freep)
    char *xml = checkpoint ? virDomainCheckpointGetXMLDesc(checkpoint, VIR_DOMAIN_CHECKPOINT_XML_SECURE) : NULL;
    char key[40];

    if (!xml)
        return libvirt_err(err, "checkpoint %s", name);
    snprintf(key, sizeof key, "%s%06zu", prefix, index);
    if (facts_set(&step->args, key, name, err) < 0)
        return -1;
    snprintf(key, sizeof key, "xml:%06zu", index);
    return facts_set(&step->args, key, xml, err);
}

int plan_forget_checkpoints(virDomainPtr domain, const struct list *checkpoints, struct plan *plan, struct err *err)
{
    struct step *step;

    if (checkpoints->count == 0)
        return 0;
    step = plan_add(plan, &step_forget_checkpoints, err, NULL);
    for (size_t i = 0; step && i < checkpoints->count; i++)
        if (add_one(domain, list_at(checkpoints, struct inventory_checkpoint, i)->name, i, step, err) < 0)
            return -1;
    return step ? 0 : -1;
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    int count = 0;

    (void)err;
    for (size_t i = 0; i < step->args.count; i++)
        if (names_one(&step->args.items[i]))
            text_addf(command, "%svirsh checkpoint-delete '%s' '%s' --metadata", count++ ? "\n" : "", step_target(run),
                      step->args.items[i].value);
    if (!facts_get(&step->args, "stays"))
        text_addf(lost, "%d checkpoint%s: the next backup is full", count, count == 1 ? "" : "s");
    return 0;
}

static int forget(const struct step_run *run, virDomainPtr domain, const char *name, struct err *err)
{
    CLEANUP(checkpoint_freep) virDomainCheckpointPtr checkpoint = virDomainCheckpointLookupByName(domain, name, 0);

    if (!checkpoint)
        return libvirt_code() == VIR_ERR_NO_DOMAIN_CHECKPOINT ? 0 : libvirt_err(err, "checkpoint %s", name);
    if (virDomainCheckpointDelete(checkpoint, VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) < 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "checkpoint %s", name);
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    int64_t count = 0;

    if (step_open(run, &domain, err) < 0)
        return -1;
    for (size_t i = step->args.count; i-- > 0;) { /* children first */
        if (!names_one(&step->args.items[i]))
            continue;
        if (forget(run, domain, step->args.items[i].value, err) < 0)
            return -1;
        count++;
    }
    return facts_set_int(learned, "checkpoints_ended", count, err);
}

/* A checkpoint that does not come back costs a full backup, not data: no reason to leave the rest undone. */
static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)learned;
    if (step_open(run, &domain, err) < 0)
        return -1;
    for (size_t i = 0; i < step->args.count; i++) {
        if (strncmp(step->args.items[i].key, "xml:", 4) != 0)
            continue;
        CLEANUP(checkpoint_freep)
        virDomainCheckpointPtr checkpoint = virDomainCheckpointCreateXML(domain, step->args.items[i].value,
                                                                         VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE);
        (void)checkpoint;
    }
    return 0;
}

const struct step_type step_forget_checkpoints = {
    .name = "forget_checkpoints",
    .class = STEP_DESTROYS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle_by_repeating, /* forgetting what is forgotten is success */
};
