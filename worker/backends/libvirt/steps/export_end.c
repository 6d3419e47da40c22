/*
 * export-end: the copy is whole, by the word of who made it. The hypervisor's job ends and scratch goes; the checkpoint stays, for the next export to count from. From here on
 * there is no way back: what was said to be done is not done once more from another moment.
 */
#include "base/text.h"
#include "worker/backends/libvirt/backup_xml.h"
#include "worker/backends/libvirt/export.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)lost;
    (void)err;
    text_addf(command, "virsh domjobabort '%s'\nrm -r '%s'", step_subject(run), step_arg(step, "folder"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    const struct export_server server = export_server_of(step);

    (void)learned;
    if (step_domain(run, &domain, err) < 0 || export_abort(domain, step_arg(step, "folder"), &server, err) < 0)
        return -1;
    return export_room_clear(step_arg(step, "folder"), &server, err);
}

const struct step_type step_export_end = {
    .name = "export-end",
    .class = STEP_ADDS,
    .final = true,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating,
};
