/*
 * A copy is written as NAME.part, under an flock that the child inherits, and renamed when it is whole, on disk, and what it was made of was found to be good (where that is asked for).
 * So a file with its final name is proof of finished work, and a lock on the .part is proof of a child that is still at it.
 */
#include "worker/backends/libvirt/qemu_img.h"

#include "base/file.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

struct watch {
    const struct step_run *run;
    struct chain_lease *lease;
    const struct image_copy *copy;
};

static bool cancelled(void *context)
{
    struct watch *watch = context;

    if (watch->lease)
        chain_lease_tick(watch->lease);
    return step_cancelled(watch->run);
}

static bool stop(void *context)
{
    struct watch *watch = context;

    return cancelled(watch) || (watch->copy && chain_sums_bad(watch->copy->sums));
}

/* "    (12.34/100%)" */
static void progress(void *context, const char *line)
{
    struct watch *watch = context;
    double percent;

    if (watch->run->attempt && sscanf(line, " (%lf/100%%)", &percent) == 1)
        attempt_progress(watch->run->attempt,
                         watch->copy->done_before + (int64_t)((double)watch->copy->size_bytes * percent / 100),
                         watch->copy->total);
}

int qemu_img(const struct step_run *run, struct chain_lease *lease, const char *const argv[], int *out_status,
             struct err *err)
{
    struct watch watch = {.run = run, .lease = lease};
    struct process_options options = {.inherit_fd = -1, .stop = stop, .context = &watch};

    return process_run(argv, &options, NULL, out_status, err);
}

int image_part_open(const char *path, int flags, struct err *err)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return err_errno(err, errno, path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    close(fd);
    return err_set(err, ERR_RETRY, "%s: a qemu-img of an earlier attempt still writes it", path);
}

static int run_convert(struct watch *watch, const char *part, int fd, struct err *err)
{
    const struct image_copy *copy = watch->copy;
    struct process_options options = {.inherit_fd = fd, .stop = stop, .line = progress, .context = watch};
    const char *argv[16] = {"qemu-img", "convert", "-p", "-f", copy->source_format, "-O", copy->target_format};
    size_t count = 7;
    char rate[24];

    snprintf(rate, sizeof rate, "%lld", (long long)copy->rate_limit);
    if (copy->compress)
        argv[count++] = "-c";
    if (copy->rate_limit) {
        argv[count++] = "-r";
        argv[count++] = rate;
    }
    argv[count++] = copy->source;
    argv[count] = part;
    return process_run(argv, &options, NULL, NULL, err);
}

/* That a file is damaged says more than what qemu-img made of it. */
static int convert(const struct step_run *run, struct chain_lease *lease, const struct image_copy *copy,
                   const char *part, int fd, struct err *err)
{
    struct watch watch = {run, lease, copy};
    struct err damage = {0};
    int failed = run_convert(&watch, part, fd, err);

    if (!failed && copy->sums && fsync(fd) < 0) /* while they are still being compared */
        failed = err_errno(err, errno, part);
    if (chain_sums_wait(copy->sums, cancelled, &watch, &damage) == 0)
        return failed;
    if (!failed || chain_sums_bad(copy->sums))
        *err = damage;
    return -1;
}

int image_put_in_place(const char *part, const char *target, int fd, struct err *err)
{
    char folder[PATH_MAX];

    if (fsync(fd) < 0 || rename(part, target) < 0)
        return err_errno(err, errno, target);
    snprintf(folder, sizeof folder, "%s", target);
    *strrchr(folder, '/') = '\0';
    return file_sync_directory(folder, err);
}

struct image_copy image_copy_asked(const struct step *step)
{
    return (struct image_copy){
        .source = step_arg(step, "image"),
        .source_format = "qcow2",
        .target = step_arg(step, "target"),
        .target_format = "qcow2",
        .size_bytes = facts_get_int(&step->args, "size", 0),
        .done_before = facts_get_int(&step->args, "before", 0),
        .total = facts_get_int(&step->args, "total", 0),
    };
}

/* An empty file is a name that was reserved. */
static bool finished(const char *target)
{
    struct stat status;

    return stat(target, &status) == 0 && status.st_size > 0;
}

int image_copy(const struct step_run *run, struct chain_lease *lease, const struct image_copy *copy, struct err *err)
{
    char part[PATH_MAX];
    CLEANUP(closep) int fd = -1;

    if (finished(copy->target))
        return 0;
    snprintf(part, sizeof part, "%s.part", copy->target);
    fd = image_part_open(part, O_RDWR | O_CREAT, err);
    if (fd < 0 || convert(run, lease, copy, part, fd, err) < 0)
        return -1;
    return image_put_in_place(part, copy->target, fd, err);
}

int image_copy_undo(const char *target, struct err *err)
{
    char part[PATH_MAX];
    CLEANUP(closep) int fd = -1;

    snprintf(part, sizeof part, "%s.part", target);
    if (file_exists(part)) {
        fd = image_part_open(part, O_RDWR, err);
        if (fd < 0)
            return -1;
    }
    if (file_remove(part, err) < 0)
        return -1;
    return file_remove(target, err);
}

int image_copy_settle(const char *target, enum settled *out, struct err *err)
{
    char part[PATH_MAX];
    CLEANUP(closep) int fd = -1;

    (void)err;
    snprintf(part, sizeof part, "%s.part", target);
    *out = SETTLED_NOT_DONE;
    if (finished(target))
        *out = SETTLED_DONE;
    else if (file_exists(part) && (fd = image_part_open(part, O_RDWR, NULL)) < 0)
        *out = SETTLED_BUSY;
    return 0;
}
