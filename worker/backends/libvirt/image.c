/*
 * The few fields of a qcow2 header that decide whether an image may be touched: its backing file and its table of internal snapshots. (QEMU's docs/interop/qcow2.txt;
 * everything is big-endian.) Sizes in the file are not trusted: a name is at most 1023 bytes, a table at most 65536 entries.
 */
#include "worker/backends/libvirt/image.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { QCOW2_MAGIC = 0x514649fb, BACKING_MAX = 1023, NAME_MAX_BYTES = 65535, SNAPSHOTS_MAX = 65536, CHAIN_MAX = 256 };

struct __attribute__((packed)) qcow2_header {
    uint32_t magic, version;
    uint64_t backing_offset;
    uint32_t backing_size, cluster_bits;
    uint64_t size;
    uint32_t crypt_method, l1_size;
    uint64_t l1_offset, refcount_offset;
    uint32_t refcount_clusters, snapshot_count;
    uint64_t snapshots_offset;
};

struct __attribute__((packed)) qcow2_snapshot {
    uint64_t l1_offset;
    uint32_t l1_size;
    uint16_t id_size, name_size;
    uint32_t seconds, nanoseconds;
    uint64_t vm_clock;
    uint32_t vm_state_size, extra_size;
};

static bool read_at(int fd, uint64_t offset, void *out, size_t len)
{
    return offset <= INT64_MAX && pread(fd, out, len, (off_t)offset) == (ssize_t)len;
}

/* An open image with its header; -1 and *out_qcow2 false when it is something else. */
static int open_image(const char *path, struct qcow2_header *header, bool *out_qcow2, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return err_errno(err, errno, path);
    *out_qcow2 = read_at(fd, 0, header, sizeof *header) && be32toh(header->magic) == QCOW2_MAGIC;
    return fd;
}

bool image_is_qcow2(const char *path)
{
    struct qcow2_header header;
    bool qcow2 = false;
    CLEANUP(closep) int fd = open_image(path, &header, &qcow2, NULL);

    return fd >= 0 && qcow2;
}

/* As typed, it is relative to the folder of the image. */
static char *absolute(const char *image, const char *name)
{
    const char *slash = strrchr(image, '/');
    char *path = NULL;

    if (name[0] == '/' || !slash || strchr(name, ':'))
        return strdup(name);
    if (asprintf(&path, "%.*s/%s", (int)(slash - image), image, name) < 0)
        return NULL;
    return path;
}

int image_backing(const char *path, char **out, struct err *err)
{
    struct qcow2_header header;
    char name[BACKING_MAX + 1] = "";
    bool qcow2;
    CLEANUP(closep) int fd = open_image(path, &header, &qcow2, err);

    if (fd < 0)
        return -1;
    *out = NULL;
    if (!qcow2 || header.backing_offset == 0)
        return 0;
    if (be32toh(header.backing_size) > BACKING_MAX ||
        !read_at(fd, be64toh(header.backing_offset), name, be32toh(header.backing_size)))
        return err_set(err, ERR_PERMANENT, "%s: damaged qcow2 header", path);
    *out = absolute(path, name);
    return *out ? 0 : err_memory(err, path);
}

/* Reads one entry at *offset and moves it on. */
static int snapshot_name_at(int fd, uint64_t *offset, char name[NAME_MAX_BYTES + 1])
{
    struct qcow2_snapshot entry;
    uint64_t names;

    if (!read_at(fd, *offset, &entry, sizeof entry))
        return -1;
    names = *offset + sizeof entry + be32toh(entry.extra_size);
    if (!read_at(fd, names + be16toh(entry.id_size), name, be16toh(entry.name_size)))
        return -1;
    name[be16toh(entry.name_size)] = '\0';
    *offset = (names + be16toh(entry.id_size) + be16toh(entry.name_size) + 7) & ~7ULL;
    return 0;
}

int image_has_snapshot(const char *path, const char *name, bool *out, struct err *err)
{
    struct qcow2_header header;
    CLEANUP(freep) char *each = malloc(NAME_MAX_BYTES + 1);
    bool qcow2;
    CLEANUP(closep) int fd = open_image(path, &header, &qcow2, err);
    uint64_t offset;
    bool found = false;

    if (fd < 0 || !each)
        return fd < 0 ? -1 : err_memory(err, path);
    offset = be64toh(header.snapshots_offset);
    for (uint32_t i = 0; qcow2 && !found && i < be32toh(header.snapshot_count); i++) {
        if (i == SNAPSHOTS_MAX || snapshot_name_at(fd, &offset, each) < 0)
            return err_set(err, ERR_PERMANENT, "%s: damaged table of snapshots", path);
        found = strcmp(each, name) == 0;
    }
    *out = found;
    return 0;
}

int image_chain(const char *path, struct strings *out, struct err *err)
{
    CLEANUP(freep) char *at = strdup(path);

    for (int depth = 0; at; depth++) {
        char *next = NULL;

        if (depth == CHAIN_MAX)
            return err_set(err, ERR_PERMANENT, "%s: stands on more than %d files", path, CHAIN_MAX);
        if (strings_add(out, at, err) < 0 || (at[0] == '/' && image_backing(at, &next, err) < 0))
            return -1;
        free(at);
        at = next;
    }
    return out->count > 0 ? 0 : err_memory(err, path);
}

bool image_same(const char *a, const char *b)
{
    struct stat left, right;

    if (strcmp(a, b) == 0)
        return true;
    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}
