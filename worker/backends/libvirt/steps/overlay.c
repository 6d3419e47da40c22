/*
 * overlay: a new, empty overlay on the file that holds the snapshot's state, which must never be written again. Owner and mode are those of the overlay that it replaces.
 * args: disk, file, base, format (of base), like
 */
#include "worker/backends/libvirt/commit.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

static int render_overlay(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                          struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "qemu-img create -f qcow2 -F %s -b '%s' '%s'", step_get(step, "format"), step_get(step, "base"),
              step_get(step, "file"));
    return 0;
}

static int execute_overlay(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    char key[160];

    (void)run;
    if (image_create_overlay(step_get(step, "file"), step_get(step, "base"), step_get(step, "format"),
                             step_get(step, "like"), err) < 0)
        return -1;
    snprintf(key, sizeof key, "file.%s", step_get(step, "disk"));
    return facts_set(learned, key, step_get(step, "file"), err);
}

static int undo_overlay(const struct step_run *run, const struct step *step, const struct facts *learned,
                        struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(strings_endp) struct strings chain = {0};

    (void)learned;
    if (step_open(run, &domain, err) < 0 ||
        (disk_chain(domain, step_get(step, "disk"), &chain, err) < 0 && err->kind != ERR_CONFLICT))
        return -1; /* a disk that the domain has no more is in no chain of it */
    for (size_t i = 0; i < chain.count; i++)
        if (image_same(chain.items[i], step_get(step, "file")))
            return err_set(err, ERR_UNKNOWN, "%s: in use, so it is not removed", step_get(step, "file"));
    if (image_open(step_get(step, "file")))
        return err_set(err, ERR_UNKNOWN, "%s: in use, but in no chain that libvirt knows", step_get(step, "file"));
    return file_remove(step_get(step, "file"), err);
}

const struct step_type step_overlay = {
    .name = "overlay",
    .class = STEP_ADDS,
    .render = render_overlay,
    .execute = execute_overlay,
    .undo = undo_overlay,
    .settle = settle_by_repeating, /* a repeat finds its own */
};
