/* verify-image: qemu-img finds each file sound, and can open the newest of each disk with all that it stands on. */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/qemu_img.h"
#include "worker/backends/libvirt/verify.h"

#include <string.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command,
              "qemu-img check -f qcow2 FILE   # each of '%s/%s' and its parents\nqemu-img info --backing-chain FILE",
              step_arg(step, "chain_folder"), step_arg(step, "point"));
    return 0;
}

static int demand(struct verify *verify, const char *const argv[], const char *path, const char *what, struct err *err)
{
    int status = 0;

    if (qemu_img(verify->run, &verify->lease, argv, &status, err) < 0)
        return -1;
    if (status == 0 || status == 3) /* 3: clusters that nobody uses: wasted room, no damage */
        return 0;
    return err_set(err, ERR_PERMANENT, "%s: %s (qemu-img says %d)", path, what, status);
}

static int check_file(struct verify *verify, const struct chain_file *file, struct err *err)
{
    const char *check[] = {"qemu-img", "check", "-q", "-f", "qcow2", file->path, NULL};
    const char *info[] = {"qemu-img", "info", "--backing-chain", "-f", "qcow2", file->path, NULL};
    bool own = strcmp(file->point->id, step_arg(verify->step, "point")) == 0;

    if (demand(verify, check, file->path, "damaged", err) < 0)
        return -1;
    return own ? demand(verify, info, file->path, "its chain does not open", err) : 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(verify_end) struct verify verify = {0};

    if (verify_open(&verify, run, step, err) < 0)
        return -1;
    for (size_t i = 0; i < verify.files.count; i++) {
        if (check_file(&verify, &verify.files.items[i], err) < 0)
            return verify_failed(&verify, err);
        attempt_progress(run->attempt, (int64_t)i + 1, (int64_t)verify.files.count);
    }
    return facts_set_int(learned, "images", (int64_t)verify.files.count, err);
}

const struct step_type step_verify_image = {
    .name = "verify-image",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
