/* verify-record: the outcome becomes part of the restore point's manifest. */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/verify.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "# '%s/%s/manifest.json': verified now", step_arg(step, "chain_folder"), step_arg(step, "point"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(verify_end) struct verify verify = {0};

    if (verify_open(&verify, run, step, err) < 0 || verify_record(&verify, NULL, err) < 0)
        return -1;
    return facts_set(learned, "verified", "yes", err);
}

const struct step_type step_verify_record = {
    .name = "verify-record",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
