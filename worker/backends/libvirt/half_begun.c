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

static bool has_mirror(xmlNodePtr root, const char *disk)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr targets = xml_all(root, "domain/devices/disk[mirror]/target");

    for (int i = 0; targets && targets->nodesetval && i < targets->nodesetval->nodeNr; i++) {
        CLEANUP(freep) char *name = xml_get_at(targets->nodesetval->nodeTab[i], "@dev");

        if (name && strcmp(name, disk) == 0)
            return true;
    }
    return false;
}

static bool cut_commits(xmlNodePtr root)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr jobs = xml_all(root, "blockjobs/blockjob[@type='active-commit']");
    bool any = false;

    for (int i = 0; jobs && jobs->nodesetval && i < jobs->nodesetval->nodeNr; i++) {
        CLEANUP(freep) char *disk = xml_get_at(jobs->nodesetval->nodeTab[i], "disk/@dst");

        if (!disk || has_mirror(root, disk))
            continue;
        xml_remove_all(jobs->nodesetval->nodeTab[i], "disk | base");
        any = true;
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
    commits = cut_commits(xmlDocGetRootElement(doc));
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
