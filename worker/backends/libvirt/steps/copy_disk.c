/*
 * copy-disk: one file of the copy. Flat: the disk as the whole chain has it, in one file. Else the file as it is, which then is linked to the copy of its parent. Both chains, the
 * one that is read and the one that is written, have a lease meanwhile.
 */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/qemu_img.h"

#include <stdio.h>
#include <string.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    if (facts_get(&step->args, "as_is"))
        text_addf(command, "cp '%s' '%s'", step_arg(step, "image"), step_arg(step, "target"));
    else
        text_addf(command, "qemu-img convert -p -f qcow2 -O qcow2 '%s' '%s'", step_arg(step, "image"),
                  step_arg(step, "target"));
    return 0;
}

static int copy_as_is(const struct step *step, struct err *err)
{
    const char *target = step_arg(step, "target");
    char part[PATH_MAX];

    if (file_exists(target)) /* finished work of an earlier attempt */
        return 0;
    if (snprintf(part, sizeof part, "%s.part", target) >= (int)sizeof part)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", target);
    if (file_copy(step_arg(step, "image"), part, 0600, NULL, err) < 0)
        return -1;
    return rename(part, target) < 0 ? err_set(err, ERR_RETRY, "%s: cannot be put in place", target) : 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(chain_lease_endp) struct chain_lease from = {0}, to = {0};
    const struct image_copy copy = image_copy_asked(step);

    (void)learned;
    if (chain_lease_take(&from, run, step_arg(step, "source_chain"), err) < 0 ||
        chain_lease_take(&to, run, step_arg(step, "chain_folder"), err) < 0)
        return -1;
    if ((facts_get(&step->args, "as_is") ? copy_as_is(step, err) : image_copy(run, &from, &copy, err)) < 0)
        return err_wrap(err, "disk %s", step_arg(step, "disk"));
    attempt_progress(run->attempt, copy.done_before + copy.size_bytes, copy.total);
    return 0;
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
    (void)learned;
    if (image_copy_settle(step_arg(step, "target"), out, err) < 0)
        return -1;
    chain_lease_settle(run, step, *out);
    return 0;
}

const struct step_type step_copy_disk = {
    .name = "copy-disk",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
