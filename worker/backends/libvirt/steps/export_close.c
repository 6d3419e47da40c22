/*
 * export-close: ends an export that no job watches any more: its worker lost its memory, or gave it up. "keep" is what a person says of the copy: it is whole, so its checkpoint
 * stays. Else the checkpoint goes too.
 */
#include "base/text.h"
#include "worker/backends/libvirt/export.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const char *checkpoint = facts_get(&step->args, "checkpoint");

    (void)err;
    text_addf(command, "virsh domjobabort '%s'", step_subject(run));
    if (checkpoint)
        text_addf(command, "\nvirsh checkpoint-delete '%s' %s", step_subject(run), checkpoint);
    text_addf(command, "\nrm -r '%s'", step_arg(step, "folder"));
    text_addf(lost, "the export of job %.8s%s", step_arg(step, "job"), checkpoint ? ", with its checkpoint" : "");
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    const struct export_server server = export_server_of(step);
    const char *checkpoint = facts_get(&step->args, "checkpoint"), *folder = step_arg(step, "folder");

    if (step_domain(run, &domain, err) < 0 || export_abort(domain, folder, &server, err) < 0 ||
        (checkpoint && checkpoint_remove(domain, checkpoint, err) < 0) || export_room_clear(folder, &server, err) < 0)
        return -1;
    return facts_set(learned, "export", "ended", err);
}

const struct step_type step_export_close = {
    .name = "export-close",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating,
};
