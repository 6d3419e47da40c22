#include "worker/backends/libvirt/image.h"

#include "base/file.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { QUICK_TIMEOUT_MS = 30000 };

static int run_quick(const char *const argv[], struct err *err)
{
    const struct process_options options = {.inherit_fd = -1, .timeout_ms = QUICK_TIMEOUT_MS};

    return process_run(argv, &options, NULL, NULL, err);
}

static int same_owner(const char *path, const char *like, struct err *err)
{
    struct stat wanted;

    if (stat(like, &wanted) < 0)
        return err_errno(err, errno, like);
    if (chown(path, wanted.st_uid, wanted.st_gid) < 0 || chmod(path, wanted.st_mode & 0777) < 0)
        return err_errno(err, errno, path);
    return 0;
}

static bool stands_on(const char *path, const char *base)
{
    CLEANUP(freep) char *backing = NULL;

    return image_backing(path, &backing, NULL) == 0 && backing && image_same(backing, base);
}

int image_create_overlay(const char *path, const char *base, const char *base_format, const char *like, struct err *err)
{
    const char *argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", base_format, "-b", base, path, NULL};
    CLEANUP(closep) int fd = -1;

    if (!stands_on(path, base)) { /* not there yet, or a killed attempt's beginning of it */
        if (file_remove(path, err) < 0 || run_quick(argv, err) < 0)
            return -1;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_errno(err, errno, path);
    return same_owner(path, like, err);
}

static bool stop(void *context)
{
    const struct step_run *run = context;

    return run->attempt && attempt_cancelled(run->attempt);
}

int image_commit(const struct step_run *run, const char *top, const char *base, struct err *err)
{
    const char *argv[] = {"qemu-img", "commit", "-q", "-f", "qcow2", "-d", "-b", base, top, NULL};
    CLEANUP(closep) int fd = open(top, O_RDONLY | O_CLOEXEC);
    struct process_options options = {.inherit_fd = fd, .stop = stop, .context = (void *)(uintptr_t)run};

    if (fd < 0)
        return err_errno(err, errno, top);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, ERR_RETRY, "%s: a qemu-img of an earlier attempt still reads it", top);
    return process_run(argv, &options, NULL, NULL, err);
}

bool image_busy(const char *path)
{
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* QEMU (block/file-posix.c, RAW_LOCK_PERM_BASE) holds byte 100 + n of an image, up to 199, for its permission n: 0 reads, 1 writes. */
static bool locked(const char *path, off_t first, off_t count)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = count};
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool image_open(const char *path)
{
    return locked(path, 100, 100);
}

bool image_written(const char *path)
{
    return locked(path, 101, 1);
}

int image_rebase_name(const char *path, const char *base, const char *base_format, struct err *err)
{
    const char *argv[] = {"qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-F", base_format, "-b", base, path, NULL};

    return stands_on(path, base) ? 0 : run_quick(argv, err);
}

/* The word of qemu-img info; a snapshot of the same name is taken for it, and then removing says what is wrong. */
static int has_bitmap(const char *path, const char *name, bool *out, struct err *err)
{
    const char *argv[] = {"qemu-img", "info", "-U", "--output=json", path, NULL};
    const struct process_options options = {.inherit_fd = -1, .timeout_ms = QUICK_TIMEOUT_MS};
    CLEANUP(freep) char *info = NULL;
    char wanted[320];

    if (process_run(argv, &options, &info, NULL, err) < 0)
        return -1;
    snprintf(wanted, sizeof wanted, "\"name\": \"%s\"", name);
    *out = strstr(info, wanted) != NULL;
    return 0;
}

int image_remove_bitmap(const char *path, const char *name, struct err *err)
{
    const char *argv[] = {"qemu-img", "bitmap", "--remove", path, name, NULL};
    bool there;

    if (!image_is_qcow2(path))
        return 0;
    if (has_bitmap(path, name, &there, err) < 0)
        return -1;
    return there ? run_quick(argv, err) : 0;
}
