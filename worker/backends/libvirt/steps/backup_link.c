/*
 * link: names the parent's file as backing file of an incremental one, relative to it, without touching a byte of data. With that, stock qemu-img reads any point
 * of the chain through its own file. Written again by a repetition; the folder's undo takes the file away as a whole.
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
    text_addf(command, "qemu-img rebase -u -f qcow2 -F qcow2 -b '%s' '%s'", step_arg(step, "backing"),
              step_arg(step, "file"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    const char *argv[] = {"qemu-img",
                          "rebase",
                          "-u",
                          "-f",
                          "qcow2",
                          "-F",
                          "qcow2",
                          "-b",
                          step_arg(step, "backing"),
                          step_arg(step, "file"),
                          NULL};

    (void)learned;
    return qemu_img(run, NULL, argv, NULL, err);
}

const struct step_type step_backup_link = {
    .name = "link",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating,
};
