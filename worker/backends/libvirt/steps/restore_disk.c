/*
 * restore: one disk, flattened out of its chain into a file of its own. Meanwhile each file of the chain is compared with its checksum, where it has one: all of them are good before the
 * new file has its name. args: repository, source and point are there where they are to be compared.
 */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/qemu_img.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    if (facts_get(&step->args, "point"))
        text_addf(command, "sha256sum '%s'/*/%s.qcow2 &   # as far as %s\n", step_arg(step, "chain_folder"),
                  step_arg(step, "disk"), step_arg(step, "point"));
    text_addf(command, "qemu-img convert -p -f qcow2 -O %s '%s' '%s'", step_arg(step, "format"),
              step_arg(step, "image"), step_arg(step, "target"));
    return 0;
}

/* Nothing is compared for a copy that only shows whether the point boots. */
static int begin_sums(const struct step *step, struct chain_sums **out, struct err *err)
{
    if (!facts_get(&step->args, "point"))
        return 0;
    const struct chain_sums_of of = {
        .repository = step_arg(step, "repository"),
        .source = step_arg(step, "source"),
        .chain_folder = step_arg(step, "chain_folder"),
        .point = step_arg(step, "point"),
        .disk = step_arg(step, "disk"),
    };

    return chain_sums_begin(&of, out, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(chain_lease_endp) struct chain_lease lease = {0};
    CLEANUP(chain_sums_endp) struct chain_sums *sums = NULL;
    struct image_copy copy = {
        .source = step_arg(step, "image"),
        .source_format = "qcow2",
        .target = step_arg(step, "target"),
        .target_format = step_arg(step, "format"),
        .size_bytes = facts_get_int(&step->args, "size", 0),
        .done_before = facts_get_int(&step->args, "before", 0),
        .total = facts_get_int(&step->args, "total", 0),
    };

    if (chain_lease_take(&lease, run, step_arg(step, "chain_folder"), err) < 0 || begin_sums(step, &sums, err) < 0)
        return -1;
    copy.sums = sums;
    if (image_copy(run, &lease, &copy, err) < 0)
        return err_wrap(err, "disk %s", step_arg(step, "disk"));
    attempt_progress(run->attempt, copy.done_before + copy.size_bytes, copy.total);
    return facts_set(learned, "restoring", "yes", err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    return image_copy_undo(step_arg(step, "target"), err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    if (image_copy_settle(step_arg(step, "target"), out, err) < 0)
        return -1;
    chain_lease_settle(run, step, *out);
    return facts_set(learned, "restoring", "yes", err);
}

const struct step_type step_restore_disk = {
    .name = "restore-disk",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
