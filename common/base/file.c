#include "base/file.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

static int read_all(int fd, size_t max_bytes, char **out, size_t *out_len, struct err *err)
{
    CLEANUP(freep) char *data = NULL;
    size_t capacity = 0;
    size_t len = 0;

    for (;;) {
        if (len + 1 >= capacity) {
            capacity = capacity ? capacity * 2 : 4096;
            char *larger = realloc(data, capacity);
            if (!larger)
                return err_set(err, ERR_RETRY, "out of memory");
            data = larger;
        }
        ssize_t got = read(fd, data + len, capacity - len - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "read");
        len += (size_t)got;
        if (len > max_bytes)
            return err_set(err, ERR_PERMANENT, "larger than %zu bytes", max_bytes);
        if (got == 0)
            break;
    }
    data[len] = '\0';
    if (out_len)
        *out_len = len;
    *out = TAKE_PTR(data);
    return 0;
}

static int read_path(const char *path, size_t max_bytes, bool secret, char **out, size_t *out_len, struct err *err)
{
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat info;

    if (fd < 0 || fstat(fd, &info) < 0)
        return err_errno(err, errno, path);
    if (S_ISDIR(info.st_mode))
        return err_errno(err, EISDIR, path);
    if (secret && (info.st_mode & 077)) {
        err_set(err, ERR_PERMANENT, "%s: others can read it (mode %03o)", path, (unsigned)(info.st_mode & 0777));
        return err_hint(err, "chmod 600 %s", path);
    }
    if (read_all(fd, max_bytes, out, out_len, err) < 0)
        return err_wrap(err, "%s", path);
    return 0;
}

int file_read(const char *path, size_t max_bytes, char **out, size_t *out_len, struct err *err)
{
    return read_path(path, max_bytes, false, out, out_len, err);
}

int file_read_secret(const char *path, size_t max_bytes, char **out, size_t *out_len, struct err *err)
{
    return read_path(path, max_bytes, true, out, out_len, err);
}

int file_sync_directory(const char *path, struct err *err)
{
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return err_errno(err, errno, path);
    return 0;
}

static int write_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t written = write(fd, at, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        at += written;
        len -= (size_t)written;
    }
    return 0;
}

/* Everything up to the rename; the temporary file stays behind on failure. */
static int write_temporary(int fd, const void *data, size_t len, mode_t mode)
{
    if (write_all(fd, data, len) < 0 || fchmod(fd, mode) < 0)
        return -1;
    return fsync(fd);
}

static int sync_parent(const char *path, struct err *err)
{
    CLEANUP(freep) char *copy = strdup(path);

    if (!copy)
        return err_memory(err, path);
    return file_sync_directory(dirname(copy), err);
}

static int replace(const char *path, int fd, const char *temporary, const void *data, size_t len, mode_t mode,
                   struct err *err)
{
    if (write_temporary(fd, data, len, mode) < 0 || rename(temporary, path) < 0) {
        int code = errno;
        unlink(temporary);
        return err_errno(err, code, path);
    }
    return sync_parent(path, err);
}

int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    CLEANUP(freep) char *temporary = NULL;

    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return err_memory(err, path);
    }
    CLEANUP(closep) int fd = mkostemp(temporary, O_CLOEXEC);
    return fd < 0 ? err_errno(err, errno, path) : replace(path, fd, temporary, data, len, mode, err);
}

int file_write_atomic_by(const char *path, const char *writer, const void *data, size_t len, mode_t mode,
                         struct err *err)
{
    CLEANUP(freep) char *temporary = NULL;

    if (asprintf(&temporary, "%s.%s", path, writer) < 0) {
        temporary = NULL;
        return err_memory(err, path);
    }
    CLEANUP(closep) int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? err_errno(err, errno, path) : replace(path, fd, temporary, data, len, mode, err);
}

int file_make_directories(const char *path, mode_t mode, struct err *err)
{
    CLEANUP(freep) char *copy = strdup(path);
    struct stat info;

    if (!copy)
        return err_memory(err, path);
    for (char *at = copy + 1; *copy && *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return err_errno(err, errno, copy);
        *at = '/';
    }
    if (mkdir(copy, mode) < 0 && errno != EEXIST)
        return err_errno(err, errno, path);
    if (stat(path, &info) < 0)
        return err_errno(err, errno, path);
    return S_ISDIR(info.st_mode) ? 0 : err_errno(err, ENOTDIR, path);
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int file_identity(const char *path, char **out, struct err *err)
{
    struct stat status;
    char *text;

    if (stat(path, &status) < 0)
        return err_errno(err, errno, path);
    if (asprintf(&text, "%s dev %u:%u ino %ju", path, major(status.st_dev), minor(status.st_dev),
                 (uintmax_t)status.st_ino) < 0)
        return err_memory(err, path);
    *out = text;
    return 0;
}

int file_remove(const char *path, struct err *err)
{
    if (unlink(path) < 0 && errno != ENOENT)
        return err_errno(err, errno, path);
    return 0;
}

int file_free_space(const char *path, int64_t *free_bytes, int64_t *total_bytes, struct err *err)
{
    struct statvfs info;

    if (statvfs(path, &info) < 0)
        return err_errno(err, errno, path);
    if (free_bytes)
        *free_bytes = (int64_t)info.f_bavail * (int64_t)info.f_frsize;
    if (total_bytes)
        *total_bytes = (int64_t)info.f_blocks * (int64_t)info.f_frsize;
    return 0;
}

static bool has_dot_dot(const char *path)
{
    for (const char *at = path; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return true;
    }
    return false;
}

/* The longest existing beginning of `path`, resolved. False if a link on the way leads nowhere: what is created there would land outside. */
static bool resolve_existing(const char *path, char resolved[PATH_MAX])
{
    CLEANUP(freep) char *part = strdup(path);
    struct stat info;

    if (!part)
        return false;
    while (!realpath(part, resolved)) {
        char *slash = strrchr(part, '/');
        if (errno != ENOENT || !slash || lstat(part, &info) == 0)
            return false;
        if (has_dot_dot(path + (slash - part)))
            return false;
        if (slash == part)
            slash++;
        *slash = '\0';
    }
    return true;
}

bool file_inside(const char *path, const char *root)
{
    char inner[PATH_MAX];
    char outer[PATH_MAX];

    if (path[0] != '/' || !realpath(root, outer) || !resolve_existing(path, inner))
        return false;
    size_t len = strlen(outer);
    if (len == 1)
        return true;
    return strncmp(inner, outer, len) == 0 && (inner[len] == '/' || inner[len] == '\0');
}

int file_remove_folder(const char *folder, struct err *err)
{
    char path[PATH_MAX];
    struct dirent *entry;
    int result = 0;
    DIR *dir = opendir(folder);

    if (!dir)
        return errno == ENOENT ? 0 : err_errno(err, errno, folder);
    while (result == 0 && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        result = file_remove(path, err);
    }
    closedir(dir);
    if (result == 0 && rmdir(folder) < 0 && errno != ENOENT)
        return err_errno(err, errno, folder);
    return result;
}
