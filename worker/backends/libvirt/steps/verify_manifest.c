/* verify-manifest: the chain is whole, and every file of it is there with the size that its manifest says. */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/verify.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "ls -l '%s'/*   # against manifest.json of %s and its parents", step_arg(step, "chain_folder"),
              step_arg(step, "point"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(verify_end) struct verify verify = {0};

    if (verify_open(&verify, run, step, err) < 0)
        return verify_failed(&verify, err);
    for (size_t i = 0; i < verify.files.count; i++)
        if (chain_file_check_size(&verify.files.items[i], err) < 0)
            return verify_failed(&verify, err);
    return facts_set_int(learned, "files", (int64_t)verify.files.count, err);
}

const struct step_type step_verify_manifest = {
    .name = "verify-manifest",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
