/*
 * drop_checkpoints: after a revert no dirty bitmap says the truth, and before an internal one QEMU refuses while any is active, after libvirt has stopped the guest. So they go:
 * with their bitmaps before libvirt's own revert (one by hand has forget_checkpoints).
 * args: checkpoint:<n>
 */
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/steps/steps.h"

#include <string.h>

static int render_drop(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    int count = 0;

    (void)err;
    for (size_t i = 0; i < step->args.count; i++) {
        if (strncmp(step->args.items[i].key, "checkpoint:", 11) != 0)
            continue;
        text_addf(command, "%svirsh checkpoint-delete '%s' '%s'", count++ ? "\n" : "", step_target(run),
                  step->args.items[i].value);
    }
    text_addf(lost, "%d checkpoint%s: the next backup is full", count, count == 1 ? "" : "s");
    return 0;
}

/* Of a guest that is off, libvirt forgets the checkpoint only; the bitmap would still make QEMU refuse the revert. */
static int drop_off(virDomainPtr domain, virDomainCheckpointPtr checkpoint, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};

    if (libvirt_domain_xml(domain, VIR_DOMAIN_XML_INACTIVE, &doc, err) < 0 || domain_disks_read(doc, &disks, err) < 0)
        return -1;
    for (size_t i = 0; i < disks.count; i++)
        if (domain_disk_writable(&disks.items[i]) && disks.items[i].source[0] == '/' &&
            image_remove_bitmap(disks.items[i].source, virDomainCheckpointGetName(checkpoint), err) < 0)
            return -1;
    if (virDomainCheckpointDelete(checkpoint, VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) < 0)
        return libvirt_err(err, "checkpoint %s", virDomainCheckpointGetName(checkpoint));
    return 0;
}

/* "bitmap not found in backing chain" is code 1 like much else: whatever it is, metadata that describes nothing can go. */
static int drop_live(struct libvirt_backend *backend, virDomainCheckpointPtr checkpoint, struct err *err)
{
    if (virDomainCheckpointDelete(checkpoint, 0) == 0)
        return 0;
    if (virDomainCheckpointDelete(checkpoint, VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) < 0)
        return libvirt_call_err(backend, err, "checkpoint %s", virDomainCheckpointGetName(checkpoint));
    return 0;
}

static int drop(const struct step_run *run, virDomainPtr domain, const char *name, struct err *err)
{
    CLEANUP(checkpoint_freep) virDomainCheckpointPtr checkpoint = virDomainCheckpointLookupByName(domain, name, 0);

    if (!checkpoint)
        return libvirt_code() == VIR_ERR_NO_DOMAIN_CHECKPOINT ? 0 : libvirt_err(err, "checkpoint %s", name);
    if (virDomainIsActive(domain) != 1)
        return drop_off(domain, checkpoint, err);
    return drop_live(libvirt_of(run->backend), checkpoint, err);
}

static int execute_drop(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    int64_t count = 0;

    if (step_open(run, &domain, err) < 0)
        return -1;
    for (size_t i = 0; i < step->args.count; i++) {
        const struct fact *fact = &step->args.items[i];

        if (strncmp(fact->key, "checkpoint:", 11) != 0)
            continue;
        if (drop(run, domain, fact->value, err) < 0)
            return -1;
        count++;
    }
    return facts_set_int(learned, "checkpoints_ended", count, err);
}

const struct step_type step_drop_checkpoints = {
    .name = "drop_checkpoints",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render_drop,
    .execute = execute_drop,
    .settle = settle_by_repeating, /* dropping what is gone is success */
};
