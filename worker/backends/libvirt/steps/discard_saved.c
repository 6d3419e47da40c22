/* discard_saved: a managed save image would load stale memory over the disks of another time at the next start; libvirt leaves it where it is. */
#include "worker/backends/libvirt/steps/steps.h"

static int render_discard(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                          struct err *err)
{
    (void)step;
    (void)err;
    text_addf(command, "virsh managedsave-remove '%s'", step_target(run));
    text_add(lost, "the saved memory of the guest (managed save)");
    return 0;
}

static int execute_discard(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)step;
    (void)learned;
    if (step_open(run, &domain, err) < 0)
        return -1;
    if (virDomainHasManagedSaveImage(domain, 0) == 1 && virDomainManagedSaveRemove(domain, 0) < 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "managed save of %s", virDomainGetName(domain));
    return 0;
}

const struct step_type step_discard_saved = {
    .name = "discard_saved",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render_discard,
    .execute = execute_discard,
    .settle = settle_by_repeating, /* removing what is gone is success */
};
