/*
 * libvirt notes that a domain has a job before it asks QEMU for anything, and all about it only when QEMU has begun it. A daemon that dies between the two finds half a note when
 * it starts again. For an embedded driver we are that daemon, so we mend the notes before it starts (all of this seen on libvirt 9.0).
 *
 * A backup that has no description keeps its place for ever: there is nothing that could end, abort has nothing to abort, and every later backup, snapshot or migration waits half a
 * minute for the place and fails. Only a guest that is powered off gives it back. Its place is taken out. What QEMU may have begun meanwhile is ended when the next backup begins.
 *
 * A commit of the active layer, by a snapshot's delete or by itself, whose disk has no <mirror> yet: it gets ready and never looks so, and where it is cancelled (of a delete by the
 * driver itself, as it starts) the driver reads the mirror that is not there, and takes the process down. So the note loses what it is of: a block job that libvirt does not
 * understand it cancels in QEMU and forgets, and the chain stays as it was. That is over a moment after the driver has started; until then another commit of the disk is refused.
 *
 * A commit that has ended in QEMU, which has gone over to the lower image and has been told to forget the job, and is noted as completed, but its disk not yet as the lower image: the
 * driver would not read that note at all (the mirror has an empty job in it), take the guest for off, and name the upper image as its disk. So the note is brought to where it was
 * going. The definition is left to the commit step, which looks at it.
 */
#include "worker/backends/libvirt/half_begun.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "worker/backends/libvirt/libvirt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NOTE_MAX_BYTES = 4 << 20, POLL_MS = 10 };

static bool cut_backup(xmlNodePtr root)
{
    if (!xml_find(root, "job[@async='backup']") || xml_find(root, "backups/domainbackup"))
        return false;
    xml_remove_all(root, "job[@async='backup']");
    return true;
}

static xmlNodePtr find_disk(xmlNodePtr root, const char *name)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr targets = xml_all(root, "domain/devices/disk/target");

    for (int i = 0; targets && targets->nodesetval && i < targets->nodesetval->nodeNr; i++) {
        CLEANUP(freep) char *each = xml_get_at(targets->nodesetval->nodeTab[i], "@dev");

        if (each && strcmp(each, name) == 0)
            return targets->nodesetval->nodeTab[i]->parent;
    }
    return NULL;
}

static xmlNodePtr find_layer(xmlNodePtr disk, const char *node)
{
    for (xmlNodePtr layer = xml_find(disk, "backingStore"); layer; layer = xml_find(layer, "backingStore")) {
        CLEANUP(freep) char *each = xml_get_at(layer, "source/privateData/nodenames/nodename[@type='format']/@name");

        if (each && strcmp(each, node) == 0)
            return layer;
    }
    return NULL;
}

static void replace(xmlNodePtr old, xmlNodePtr new)
{
    xmlUnlinkNode(new);
    xmlReplaceNode(old, new);
    xmlFreeNode(old);
}

/* The disk is that layer of its chain from now on. */
static bool stand_on(xmlNodePtr disk, xmlNodePtr layer)
{
    CLEANUP(freep) char *index = xml_get_at(layer, "@index");
    CLEANUP(freep) char *format = xml_get_at(layer, "format/@type");
    xmlNodePtr source = xml_find(layer, "source"), below = xml_find(layer, "backingStore");
    xmlNodePtr old = xml_find(disk, "source"), driver = xml_find(disk, "driver");

    if (!index || !format || !source || !below || !old || !driver)
        return false;
    xml_attr(driver, "type", format);
    xml_attr(source, "index", index);
    replace(old, source);
    replace(xml_find(disk, "backingStore"), below); /* frees the layer */
    xml_remove_all(disk, "mirror");
    return true;
}

/* true: the note was changed. */
static bool mend_commit(xmlNodePtr root, xmlNodePtr job)
{
    CLEANUP(freep) char *name = xml_get_at(job, "disk/@dst");
    CLEANUP(freep) char *base = xml_get_at(job, "base/@node");
    CLEANUP(freep) char *ended = xml_get_at(job, "@newstate");
    xmlNodePtr disk = name ? find_disk(root, name) : NULL;
    xmlNodePtr mirror = disk ? xml_find(disk, "mirror") : NULL;
    xmlNodePtr layer = disk && base ? find_layer(disk, base) : NULL;

    if (!disk)
        return false;
    if (!mirror) {
        xml_remove_all(job, "disk | base");
        return true;
    }
    if (!ended || strcmp(ended, "completed") != 0 || !layer || !stand_on(disk, layer))
        return false;
    xmlUnlinkNode(job);
    xmlFreeNode(job);
    return true;
}

static bool mend_commits(xmlNodePtr root)
{
    bool any = false;

    for (xmlNodePtr job = xml_find(root, "blockjobs/blockjob"), next; job; job = next) {
        CLEANUP(freep) char *type = xml_get_at(job, "@type");

        next = xmlNextElementSibling(job);
        any = (type && strcmp(type, "active-commit") == 0 && mend_commit(root, job)) || any;
    }
    return any;
}

int half_begun_cut(const char *note, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    bool backup, commits;

    *out = NULL;
    if (!strstr(note, "async='backup'") && !strstr(note, "active-commit"))
        return 0;
    if (xml_parse(note, "status", &doc, err) < 0)
        return -1;
    backup = cut_backup(xmlDocGetRootElement(doc));
    commits = mend_commits(xmlDocGetRootElement(doc));
    return backup || commits ? xml_format(doc, out, err) : 0;
}

/* As we left it, or as libvirt writes what it did not understand. */
bool half_begun_ending(const char *note)
{
    static const char job[] = "blockjobs/blockjob[(@type='active-commit' and not(disk)) or @brokentype='active-commit']";

    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    return strstr(note, "active-commit") && xml_parse(note, "status", &doc, NULL) == 0 &&
           xml_find(xmlDocGetRootElement(doc), job);
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

static bool folder_of(const char *root, char out[PATH_MAX])
{
    return snprintf(out, PATH_MAX, "%s/run/qemu", root) < PATH_MAX;
}

typedef bool each_note(const char *path, const char *note);

/* How many of the notes `each` says true of. One that cannot be read is left out, with a word in the log. */
static size_t count_notes(const char *folder, each_note *each)
{
    CLEANUP(dir_closep) DIR *dir = opendir(folder);
    char path[PATH_MAX];
    size_t count = 0;

    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        CLEANUP(freep) char *note = NULL;
        size_t len = strlen(entry->d_name), note_len;
        struct err err = {0};

        if (len < 4 || strcmp(entry->d_name + len - 4, ".xml") != 0 ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path)
            continue;
        if (file_read(path, NOTE_MAX_BYTES, &note, &note_len, &err) < 0)
            log_warning("libvirt", "%s", err.text);
        else
            count += each(path, note);
    }
    return count;
}

static bool mend(const char *path, const char *note)
{
    CLEANUP(freep) char *cut = NULL;
    struct err err = {0};

    if (half_begun_cut(note, &cut, &err) < 0 || (cut && file_write_atomic(path, cut, strlen(cut), 0600, &err) < 0)) {
        log_warning("libvirt", "%s", err.text);
        return false;
    }
    if (cut)
        log_warning("libvirt",
                    "%s: held half a note of a backup or commit, from a process that died as it began; libvirt ends it",
                    path);
    return cut;
}

void half_begun_forget(const char *root)
{
    char folder[PATH_MAX];

    if (folder_of(root, folder) && !daemon_lives(folder))
        count_notes(folder, mend);
}

static bool ending(const char *path, const char *note)
{
    (void)path;
    return half_begun_ending(note);
}

void half_begun_wait(const char *root, int64_t limit_ms)
{
    int64_t until = clock_monotonic_ms() + limit_ms;
    char folder[PATH_MAX];

    if (!folder_of(root, folder))
        return;
    while (count_notes(folder, ending) > 0) {
        if (clock_monotonic_ms() >= until) {
            log_warning("libvirt", "%s: libvirt has not ended a commit that was half begun; it is gone on without",
                        root);
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
}
