/*
 * An image that is to stand on another file and keep its content: the file is copied as it is, then qemu-img rebase puts into the copy what differs between the old and the new
 * backing file. The original is only read. (qemu-img convert -B would copy the child's own clusters only, and qemu-img commit would change the file below.)
 */
#include "base/file.h"
#include "base/process.h"
#include "worker/backends/libvirt/qemu_img.h"

#include <fcntl.h>
#include <stdio.h>

struct watch {
    const struct step_run *run;
    struct chain_lease *lease;
};

static bool stop(void *context)
{
    struct watch *watch = context;

    chain_lease_tick(watch->lease);
    return step_cancelled(watch->run);
}

int image_restand(const struct step_run *run, struct chain_lease *lease, const char *child, const char *backing,
                  const char *target, struct err *err)
{
    char part[PATH_MAX];
    const char *const copy[] = {"cp", "--reflink=auto", "--sparse=always", child, part, NULL};
    const char *const rebase[] = {"qemu-img", "rebase", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, part, NULL};
    CLEANUP(closep) int fd = -1;
    struct watch watch = {run, lease};
    struct process_options options = {.stop = stop, .context = &watch};

    if (file_exists(target)) /* finished work of an earlier attempt */
        return 0;
    if (snprintf(part, sizeof part, "%s.part", target) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", target);
    fd = options.inherit_fd = image_part_open(part, O_RDWR | O_CREAT, err);
    if (fd < 0 || process_run(copy, &options, NULL, NULL, err) < 0 || process_run(rebase, &options, NULL, NULL, err) < 0)
        return -1;
    return image_put_in_place(part, target, fd, err);
}
