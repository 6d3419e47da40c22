/*
 * images: the empty files that the push will fill, each of its disk's size; that of an incremental names the parent's as its backing file, relative to it, so that stock
 * qemu-img reads any point of the chain through its own file. They are not left to the hypervisor to make: QEMU (7.2) aborts, and its guest with it, when anybody asks about its
 * images in the moment in which it creates one.
 * args: file:<disk>, size:<disk> (bytes), backing:<disk> (of an incremental)
 */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/qemu_img.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *of_disk(const struct step *step, const char *what, const char *disk)
{
    char key[160];

    snprintf(key, sizeof key, "%s:%s", what, disk);
    return facts_get(&step->args, key);
}

/* The disk of the argument with this number, or NULL when it is not a file's. */
static const char *disk_at(const struct step *step, size_t i)
{
    const char *key = step->args.items[i].key;

    return strncmp(key, "file:", 5) == 0 ? key + 5 : NULL;
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    for (size_t i = 0; i < step->args.count; i++) {
        const char *disk = disk_at(step, i), *backing = disk ? of_disk(step, "backing", disk) : NULL;

        if (!disk)
            continue;
        text_addf(command, "%sqemu-img create -f qcow2 ", command->len ? "\n" : "");
        if (backing)
            text_addf(command, "-u -F qcow2 -b '%s' ", backing);
        text_addf(command, "'%s' %s", step->args.items[i].value, of_disk(step, "size", disk));
    }
    return 0;
}

/* Readable by nobody else before anything is in it. */
static int make(const struct step_run *run, const char *file, const char *size, const char *backing, struct err *err)
{
    const char *full[] = {"qemu-img", "create", "-q", "-f", "qcow2", file, size, NULL};
    const char *link[] = {"qemu-img", "create", "-q",    "-f", "qcow2", "-u", "-F",
                          "qcow2",    "-b",     backing, file, size,    NULL};

    if (qemu_img(run, NULL, backing ? link : full, NULL, err) < 0)
        return -1;
    return chmod(file, 0600) < 0 ? err_errno(err, errno, file) : 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)learned;
    for (size_t i = 0; i < step->args.count; i++) {
        const char *disk = disk_at(step, i);

        if (disk &&
            make(run, step->args.items[i].value, of_disk(step, "size", disk), of_disk(step, "backing", disk), err) < 0)
            return -1;
    }
    return 0;
}

/* The undo of the folder takes them away. */
const struct step_type step_backup_images = {
    .name = "images",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating,
};
