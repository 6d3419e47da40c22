/*
 * verify-checksum: reads every file of the chain. Where the manifest has a checksum, it must be that one. The point's own files get one at the first time: from then
 * on it is known what they were when they were new.
 */
#include "base/text.h"
#include "crypto/digest.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/verify.h"

#include <stdio.h>
#include <string.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "sha256sum '%s'/*/*.qcow2   # %s and its parents", step_arg(step, "chain_folder"),
              step_arg(step, "point"));
    return 0;
}

static int check_file(struct verify *verify, const struct chain_file *file, struct facts *learned, struct err *err)
{
    bool own = strcmp(file->point->id, step_arg(verify->step, "point")) == 0;
    char sum[DIGEST_TEXT], key[160];

    if (!own && !file->disk->sha256)
        return 0;
    if (chain_file_check_sum(file, DIGEST_DROP, verify_progress, verify, sum, err) < 0)
        return -1;
    snprintf(key, sizeof key, "sha256.%s", file->disk->name);
    return own ? facts_set(learned, key, sum, err) : 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(verify_end) struct verify verify = {0};

    if (verify_open(&verify, run, step, err) < 0)
        return -1;
    verify.total = verify.files.bytes;
    for (size_t i = 0; i < verify.files.count; i++)
        if (check_file(&verify, &verify.files.items[i], learned, err) < 0)
            return verify_failed(&verify, err);
    return facts_set_int(learned, "hashed_bytes", verify.done, err);
}

const struct step_type step_verify_checksum = {
    .name = "verify-checksum",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
