/*
 * redefine: libvirt lost its metadata of a checkpoint whose bitmaps are still in the disks (a domain defined anew, an overwritten /var/lib/libvirt). It is told again,
 * and validates the bitmaps while it is at it. Harmless to repeat; nothing to take back, because it only states what is.
 */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)lost;
    (void)err;
    text_addf(command, "virsh checkpoint-create '%s' /dev/stdin --redefine --redefine-validate <<END\n%sEND",
              step_subject(run), step_arg(step, "xml"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(checkpoint_freep) virDomainCheckpointPtr checkpoint = NULL;

    (void)learned;
    if (step_domain(run, &domain, err) < 0)
        return -1;
    checkpoint = virDomainCheckpointCreateXML(domain, step_arg(step, "xml"),
                                              VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE |
                                                  VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE);
    return checkpoint ? 0 : libvirt_err(err, "define the parent's checkpoint again");
}

const struct step_type step_backup_redefine = {
    .name = "checkpoint-redefine",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating,
};
