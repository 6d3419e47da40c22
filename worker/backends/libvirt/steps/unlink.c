/*
 * unlink: removes files that a deleted snapshot left, each only if nobody names it, nothing stands on it, no guest writes it, and no revert keeps it for its way back. What is still needed stays and
 * is said: known "left.<n>".
 * args: file:<n>
 */
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

static int render_unlink(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                         struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    for (size_t i = 0; i < step->args.count; i++)
        text_addf(command, "%srm '%s'", i ? "\n" : "", step->args.items[i].value);
    return 0;
}

static int still_needed(const struct step_run *run, const char *file, bool *out, struct err *err)
{
    struct libvirt_backend *backend = libvirt_of(run->backend);
    CLEANUP(strings_endp) struct strings needed = {0};

    if (libvirt_connect(backend, err) < 0 || image_holders(backend->connection, file, &needed, err) < 0 ||
        image_users(backend->connection, file, &needed, err) < 0)
        return -1;
    *out = needed.count > 0 || kept_now(run->backend->config, file, NULL) || image_written(file);
    return 0;
}

static int remove_one(const struct step_run *run, const struct fact *file, struct facts *learned, struct err *err)
{
    char key[160];
    bool needed;

    if (!file_exists(file->value))
        return 0;
    if (still_needed(run, file->value, &needed, err) < 0)
        return -1;
    if (!needed)
        return file_remove(file->value, err) < 0 ? -1 : kept_forget(run->backend->config, file->value, err);
    snprintf(key, sizeof key, "left.%s", file->key + 5);
    return facts_set(learned, key, file->value, err);
}

static int execute_unlink(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    for (size_t i = 0; i < step->args.count; i++)
        if (strncmp(step->args.items[i].key, "file:", 5) == 0 && remove_one(run, &step->args.items[i], learned, err) < 0)
            return -1;
    return 0;
}

const struct step_type step_unlink = {
    .name = "unlink",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render_unlink,
    .execute = execute_unlink,
    .settle = settle_by_repeating, /* removing what is gone is success */
};
