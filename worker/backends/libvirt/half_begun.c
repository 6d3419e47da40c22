/*
 * libvirt notes that a domain has a backup job before it asks QEMU for anything, and what that backup is only when QEMU has begun it. A daemon that dies between the two finds the
 * job in its notes when it starts again, and keeps its place for ever: there is no backup that could end, abort has nothing to abort, and every later backup, snapshot or
 * migration waits half a minute for the place and fails (seen on libvirt 9.0). Only a guest that is powered off gives it back.
 *
 * For an embedded driver we are that daemon, so we take the place out of the notes before it starts. What QEMU may have begun meanwhile is ended when the next backup begins.
 */
#include "worker/backends/libvirt/half_begun.h"

#include "base/file.h"
#include "base/log.h"
#include "worker/backends/libvirt/libvirt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NOTE_MAX_BYTES = 4 << 20 };

int half_begun_cut(const char *note, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    xmlNodePtr root, job;

    *out = NULL;
    if (!strstr(note, "async='backup'"))
        return 0;
    if (xml_parse(note, "status", &doc, err) < 0)
        return -1;
    root = xmlDocGetRootElement(doc);
    job = xml_find(root, "job[@async='backup']");
    if (!job || xml_find(root, "backups/domainbackup"))
        return 0;
    xmlUnlinkNode(job);
    xmlFreeNode(job);
    return xml_format(doc, out, err);
}

static int forget_in(const char *path, struct err *err)
{
    CLEANUP(freep) char *note = NULL;
    CLEANUP(freep) char *cut = NULL;
    size_t len;

    if (file_read(path, NOTE_MAX_BYTES, &note, &len, err) < 0 || half_begun_cut(note, &cut, err) < 0)
        return -1;
    if (!cut)
        return 0;
    if (file_write_atomic(path, cut, strlen(cut), 0600, err) < 0)
        return -1;
    log_warning("libvirt", "%s: held the place of a backup that was never begun; it is free again", path);
    return 0;
}

/* The daemon of a root holds a lock on this file for as long as it lives. */
static bool daemon_lives(const char *folder)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/driver.pid", folder) >= (int)sizeof path)
        return true;
    CLEANUP(closep) int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? errno != ENOENT : fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

static inline void dir_closep(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

void half_begun_forget(const char *root)
{
    CLEANUP(dir_closep) DIR *dir = NULL;
    char folder[PATH_MAX], path[PATH_MAX];

    if (snprintf(folder, sizeof folder, "%s/run/qemu", root) >= (int)sizeof folder)
        return;
    dir = opendir(folder);
    if (!dir || daemon_lives(folder))
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t len = strlen(entry->d_name);
        struct err err = {0};

        if (len < 4 || strcmp(entry->d_name + len - 4, ".xml") != 0 ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path)
            continue;
        if (forget_in(path, &err) < 0)
            log_warning("libvirt", "%s", err.text);
    }
}
