/*
 * qemu-storage-daemon exports each disk over FUSE; the kernel and it do the rest. process_run() asks look() twice a second, which keeps the lease and decides when it is over. Idle is
 * when the server has read nothing and no file is open: the first its counters in /proc say, the second an unmount that is not forced.
 */
#include "worker/mount.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/uuid.h"
#include "worker/backends/libvirt/chain_files.h"
#include "worker/local_points.h"
#include "worker/repository.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { LEASE_RENEW_MS = 10000, READY_MS = 60000, PID_FILE_MAX = 64, IO_FILE_MAX = 4096 };

struct mount {
    const struct mount_request *request;
    struct repository repository;
    struct list points, chain;
    struct chain_files files;
    const struct restore_point *point;
    char chain_folder[PATH_MAX], lease[UUID_TEXT];
    bool leased, made_directory;
    struct mounted_image *images;
    size_t count;
    char *work;  /* the folder in which the server says its pid, until that was read */
    int server;  /* pid */
    dev_t below; /* the file system of the directory: an image of another one is mounted */
    int64_t begun_ms, renewed_ms, used_ms;
    long long read_bytes; /* by the server, so far */
    bool ready, ended, late;
};

/* ---- what is to be shown ---- */

static int take_lease(struct mount *mount, struct err *err)
{
    char *folder = NULL;

    if (repository_point_folder(&mount->repository, mount->point->target.id, mount->point->chain, mount->point->id,
                                &folder, err) < 0)
        return -1;
    snprintf(mount->chain_folder, sizeof mount->chain_folder, "%s", folder);
    free(folder);
    *strrchr(mount->chain_folder, '/') = '\0';
    uuid_random(mount->lease);
    if (lease_take(mount->chain_folder, mount->lease, mount->request->host, err) < 0)
        return -1;
    mount->leased = true;
    return lease_check_calm(mount->chain_folder, mount->lease, err);
}

static char *names_of(const struct strings *disks)
{
    struct text names = {0};

    for (size_t i = 0; i < disks->count; i++)
        text_addf(&names, "%s%s", i ? " " : "", disks->items[i]);
    return text_take(&names);
}

/* Read again under the lease: what was deleted before it is no chain any more. */
static int find_files(struct mount *mount, struct err *err)
{
    CLEANUP(freep) char *names = mount->request->disks->count ? names_of(mount->request->disks) : NULL;

    if (repository_chain(&mount->repository, mount->point->target.id, mount->point->id, &mount->chain, err) < 0 ||
        chain_files(&mount->chain, mount->chain_folder, names, &mount->files, err) < 0)
        return -1;
    for (size_t i = 0; i < mount->files.count; i++)
        if (chain_file_check_size(&mount->files.items[i], err) < 0)
            return -1;
    return mount->files.count ? 0 : err_set(err, ERR_PERMANENT, "backup %s has no disks", mount->point->id);
}

static int choose(struct mount *mount, struct err *err)
{
    const struct mount_request *request = mount->request;

    if (repository_open(request->repository, NULL, &mount->repository, err) < 0 ||
        local_points(&mount->repository, &mount->points, NULL, err) < 0 ||
        local_point_choose(&mount->points, request->repository, request->backup, &mount->point, err) < 0 ||
        take_lease(mount, err) < 0)
        return -1;
    return find_files(mount, err);
}

/* ---- where ---- */

static int make_directory(struct mount *mount, struct err *err)
{
    const char *directory = mount->request->directory;
    struct stat status;

    if (mkdir(directory, 0700) == 0)
        mount->made_directory = true;
    else if (errno != EEXIST)
        return err_errno(err, errno, directory);
    if (stat(directory, &status) < 0)
        return err_errno(err, errno, directory);
    mount->below = status.st_dev;
    return S_ISDIR(status.st_mode) ? 0 : err_set(err, ERR_PERMANENT, "%s is no directory", directory);
}

/* The file on which the image is mounted; an empty one is what a mount that was killed left. */
static int make_place(struct mount *mount, const char *path, struct err *err)
{
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0400);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0) {
        err_errno(err, errno, path);
        return errno == ENOTCONN ? err_hint(err, "what is mounted there lost its server: umount %s", path) : -1;
    }
    if (S_ISREG(status.st_mode) && status.st_size == 0 && status.st_dev == mount->below)
        return 0;
    err_set(err, ERR_CONFLICT, "%s is there already", path);
    return err_hint(err, "take another directory; one that does not exist is made, and removed afterwards");
}

static int add_image(struct mount *mount, const struct chain_file *file, struct err *err)
{
    struct mounted_image *items = reallocarray(mount->images, mount->count + 1, sizeof *items), *image;

    if (!items)
        return err_memory(err, "images");
    mount->images = items;
    image = &items[mount->count];
    *image = (struct mounted_image){.size_bytes = file->disk->size_bytes};
    if (!name_valid_plain(file->disk->name))
        return err_set(err, ERR_PERMANENT, "\"%s\" is no name of a disk", file->disk->name);
    image->disk = strdup(file->disk->name);
    if (asprintf(&image->path, "%s/%s.raw", mount->request->directory, file->disk->name) < 0)
        image->path = NULL;
    if (!image->disk || !image->path) {
        free(image->disk);
        free(image->path);
        return err_memory(err, "images");
    }
    if (make_place(mount, image->path, err) < 0) { /* not ours to remove */
        free(image->disk);
        free(image->path);
        return -1;
    }
    mount->count++;
    return 0;
}

/* Of each disk the newest file; those below it are found by its header. */
static bool is_newest(const struct mount *mount, const struct chain_file *file)
{
    return strcmp(file->point->id, mount->point->id) == 0;
}

/* ---- the server ---- */

static int add_json(struct strings *argv, const char *option, json_t *json, struct err *err)
{
    CLEANUP(freep) char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (!text)
        return err_memory(err, option);
    return strings_add(argv, option, err) < 0 ? -1 : strings_add(argv, text, err);
}

static int add_server(const struct chain_file *file, const struct mounted_image *image, struct strings *argv,
                      struct err *err)
{
    json_t *node = json_pack("{s:s, s:s, s:b, s:{s:s, s:s, s:b}}", "driver", "qcow2", "node-name", image->disk,
                             "read-only", 1, "file", "driver", "file", "filename", file->path, "read-only", 1);
    json_t *export = json_pack("{s:s, s:s, s:s, s:s}", "type", "fuse", "id", image->disk, "node-name", image->disk,
                               "mountpoint", image->path);

    if (add_json(argv, "--blockdev", node, err) == 0)
        return add_json(argv, "--export", export, err);
    json_decref(export);
    return -1;
}

/* setpriv: a server whose master is killed ends, and takes its mounts with it. */
static int server_command(struct mount *mount, struct strings *argv, struct err *err)
{
    static const char *const words[] = {"setpriv", "--pdeathsig", "TERM", "qemu-storage-daemon", "--pidfile"};
    CLEANUP(freep) char *pid_file = NULL;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strings_add(argv, words[i], err) < 0)
            return -1;
    if (asprintf(&pid_file, "%s/pid", mount->work) < 0) {
        pid_file = NULL;
        return err_memory(err, "pid");
    }
    if (strings_add(argv, pid_file, err) < 0)
        return -1;
    for (size_t i = 0; i < mount->files.count; i++) {
        const struct chain_file *file = &mount->files.items[i];

        if (is_newest(mount, file) &&
            (add_image(mount, file, err) < 0 || add_server(file, &mount->images[mount->count - 1], argv, err) < 0))
            return -1;
    }
    return 0;
}

/* ---- while it is there ---- */

/* From what the kernel knows: a stat() would be a question to the server, and look like use. */
static bool mounted(const struct mount *mount, const struct mounted_image *image)
{
    struct statx status;

    if (statx(AT_FDCWD, image->path, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0)
        return errno == ENOTCONN;
    return makedev(status.stx_dev_major, status.stx_dev_minor) != mount->below;
}

static size_t count_mounted(const struct mount *mount)
{
    size_t count = 0;

    for (size_t i = 0; i < mount->count; i++)
        count += mounted(mount, &mount->images[i]);
    return count;
}

static void forget_work(struct mount *mount)
{
    char path[PATH_MAX];

    if (!mount->work)
        return;
    snprintf(path, sizeof path, "%s/pid", mount->work);
    unlink(path);
    rmdir(mount->work);
    mount->work = NULL;
}

static void read_pid(struct mount *mount)
{
    CLEANUP(freep) char *pid = NULL;
    char path[PATH_MAX];
    size_t len;

    snprintf(path, sizeof path, "%s/pid", mount->work);
    if (file_read(path, PID_FILE_MAX, &pid, &len, NULL) == 0)
        mount->server = atoi(pid);
    forget_work(mount); /* now: who is killed leaves nothing */
}

/* What the server has read: the counter of all its system calls, which moves with each read of an image and of nothing else. */
static long long bytes_read(const struct mount *mount)
{
    CLEANUP(freep) char *counters = NULL;
    char path[64];
    size_t len;

    snprintf(path, sizeof path, "/proc/%d/io", mount->server);
    if (file_read(path, IO_FILE_MAX, &counters, &len, NULL) < 0 || strncmp(counters, "rchar:", 6) != 0)
        return 0;
    return strtoll(counters + 6, NULL, 10);
}

static void unmount(const struct mounted_image *image, bool open_too)
{
    const char *const as_user[] = {"fusermount3", open_too ? "-uzq" : "-uq", image->path, NULL};

    if (geteuid() == 0)
        umount2(image->path, (open_too ? MNT_DETACH : 0) | UMOUNT_NOFOLLOW);
    else
        process_run(as_user, NULL, NULL, NULL, NULL);
}

static void unmount_all(const struct mount *mount, bool open_too)
{
    for (size_t i = 0; i < mount->count; i++)
        if (mounted(mount, &mount->images[i]))
            unmount(&mount->images[i], open_too);
}

/* True: nobody has used it for the time, and nobody has a file of it open. */
static bool idle(struct mount *mount, int64_t now)
{
    long long read_bytes = bytes_read(mount);

    if (read_bytes != mount->read_bytes) {
        mount->read_bytes = read_bytes;
        mount->used_ms = now;
    }
    if (!mount->request->idle_ms || now - mount->used_ms < mount->request->idle_ms)
        return false;
    unmount_all(mount, false);
    if (count_mounted(mount) == 0)
        return true;
    mount->used_ms = now;
    mount->request->busy(mount->request->context);
    return false;
}

static bool get_ready(struct mount *mount, int64_t now)
{
    if (count_mounted(mount) < mount->count) {
        mount->late = now - mount->begun_ms > READY_MS;
        return mount->late;
    }
    read_pid(mount);
    mount->ready = true;
    mount->used_ms = now;
    mount->request->ready(mount->request->context, mount->point->id, mount->images, mount->count);
    return false;
}

/* Asked twice a second by process_run(); true ends the server. */
static bool look(void *context)
{
    struct mount *mount = context;
    int64_t now = clock_monotonic_ms();

    if (now - mount->renewed_ms >= LEASE_RENEW_MS) {
        mount->renewed_ms = now;
        lease_renew(mount->chain_folder, mount->lease, NULL); /* again in ten seconds; sixty times before it is stale */
    }
    if (mount->request->ending(mount->request->context))
        mount->ended = true;
    else if (!mount->ready)
        return get_ready(mount, now);
    else if (count_mounted(mount) == 0 || idle(mount, now)) /* a person may have unmounted it */
        mount->ended = true;
    return mount->ended;
}

static int serve(struct mount *mount, const struct strings *words, struct err *err)
{
    CLEANUP(freep) const char **argv = calloc(words->count + 1, sizeof *argv);
    struct process_options options = {.inherit_fd = -1, .stop = look, .context = mount};

    if (!argv)
        return err_memory(err, "arguments");
    memcpy(argv, words->items, words->count * sizeof *argv);
    mount->begun_ms = mount->renewed_ms = clock_monotonic_ms();
    if (process_run(argv, &options, NULL, NULL, err) == 0 || mount->ended)
        return 0;
    if (mount->late)
        return err_set(err, ERR_RETRY, "qemu-storage-daemon did not mount within a minute");
    return geteuid() == 0 ? -1 : err_hint(err, "who is not root needs fusermount3, of the package fuse3");
}

/* ---- all of it ---- */

static void mount_end(struct mount *mount)
{
    unmount_all(mount, true);
    for (size_t i = 0; i < mount->count; i++) {
        if (!mounted(mount, &mount->images[i]))
            unlink(mount->images[i].path);
        free(mount->images[i].disk);
        free(mount->images[i].path);
    }
    free(mount->images);
    if (mount->made_directory)
        rmdir(mount->request->directory);
    forget_work(mount);
    if (mount->leased)
        lease_drop(mount->chain_folder, mount->lease);
    chain_files_clear(&mount->files);
    points_clear(&mount->chain);
    points_clear(&mount->points);
    repository_clear(&mount->repository);
}

int mount_run(const struct mount_request *request, struct err *err)
{
    char work[] = "/tmp/fs-mount-XXXXXX";
    CLEANUP(mount_end) struct mount mount = {.request = request};
    struct strings argv = {0};
    int failed;

    if (choose(&mount, err) < 0 || make_directory(&mount, err) < 0)
        return -1;
    if (!(mount.work = mkdtemp(work)))
        return err_errno(err, errno, work);
    failed = server_command(&mount, &argv, err) < 0 || serve(&mount, &argv, err) < 0;
    strings_clear(&argv);
    return failed ? -1 : 0;
}
