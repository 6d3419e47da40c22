/* compare: the new disk holds, bit for bit, what the chain holds: proven before the old one is touched. Skipped when the disks are exchanged already (after a restart). */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/qemu_img.h"

#include <stdio.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "qemu-img compare -f qcow2 -F %s '%s' '%s'", step_arg(step, "format"), step_arg(step, "image"),
              step_arg(step, "target"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(chain_lease_endp) struct chain_lease lease = {0};
    const char *target = step_arg(step, "target");
    const char *argv[] = {
        "qemu-img", "compare", "-q", "-f", "qcow2", "-F", step_arg(step, "format"), step_arg(step, "image"),
        target,     NULL};
    int status = 0;

    (void)learned;
    if (!file_exists(target))
        return 0;
    if (chain_lease_take(&lease, run, step_arg(step, "chain_folder"), err) < 0 ||
        qemu_img(run, &lease, argv, &status, err) < 0)
        return -1;
    if (status == 0)
        return 0;
    return err_set(err, status == 1 ? ERR_PERMANENT : ERR_RETRY, "%s %s the backup", target,
                   status == 1 ? "differs from" : "could not be compared with");
}

const struct step_type step_restore_compare = {
    .name = "restore-compare",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
