/*
 * claim: the files that an earlier job keeps are to be used again, so their time ends no more while this job is under way; only then is it certain that they stay, and they are
 * looked at once more. Taking it back gives them the end that they had.
 * args: job (which keeps them), until (ms), boot, file:<disk>, which:<disk>
 */
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/undo_record.h"

#include <stdio.h>
#include <string.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_add(command, "ls -i");
    for (size_t i = 0; i < step->args.count; i++)
        if (undo_disk_of(&step->args.items[i], "file"))
            text_addf(command, " '%s'", step->args.items[i].value);
    text_addf(command, "   # kept by job %s", step_get(step, "job"));
    return 0;
}

static int claim_one(const struct step_run *run, const struct step *step, const char *disk, const char *file,
                     struct err *err)
{
    char boot[40], key[160];

    if (kept_set(run->backend->config, step_get(step, "job"), disk, INT64_MAX, err) < 0 || host_boot(boot, err) < 0)
        return -1;
    snprintf(key, sizeof key, "which:%s", disk);
    if (undo_file_is(file, step_get(step, key), strcmp(boot, step_get(step, "boot")) == 0))
        return 0;
    return err_set(err, ERR_CONFLICT, "disk %s: %s is gone, or another file, since the plan was made", disk, file);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    for (size_t i = 0; i < step->args.count; i++) {
        const char *disk = undo_disk_of(&step->args.items[i], "file");

        if (disk && claim_one(run, step, disk, step->args.items[i].value, err) < 0)
            return -1;
    }
    return facts_set(learned, "undone", step_get(step, "job"), err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    int64_t until = facts_get_int(&step->args, "until", INT64_MAX);

    (void)learned;
    for (size_t i = 0; i < step->args.count; i++) {
        const char *disk = undo_disk_of(&step->args.items[i], "file");
        struct err gone = {0};

        if (disk && kept_set(run->backend->config, step_get(step, "job"), disk, until, &gone) < 0 &&
            gone.kind != ERR_PERMANENT)
            return *err = gone, -1;
    }
    return 0;
}

const struct step_type step_claim = {
    .name = "claim",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle_by_repeating,
};
