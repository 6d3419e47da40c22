/*
 * The order of the mends is so that a death between two of them is mended by the next start: the definition first, since nothing in it asks for it again once the note is right; then
 * the note; then what is left in QEMU, which only takes up room there.
 */
#include "worker/backends/libvirt/notes.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "worker/backends/libvirt/half_begun.h"
#include "worker/backends/libvirt/half_ended.h"
#include "worker/backends/libvirt/half_taken.h"
#include "worker/backends/libvirt/monitor.h"
#include "worker/backends/libvirt/snapshots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NOTE_MAX_BYTES = 4 << 20, POLL_MS = 10, ANSWER_MS = 10000 };

/* ---- files ---- */

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

struct place {
    const char *root;
    char folder[PATH_MAX]; /* of the notes */
};

static bool place_of(const char *root, struct place *out)
{
    out->root = root;
    return snprintf(out->folder, sizeof out->folder, "%s/run/qemu", root) < (int)sizeof out->folder;
}

typedef bool each_note(const struct place *place, const char *file, const char *note);

/* How many of the notes `each` says true of. One that cannot be read is left out, with a word in the log. */
static size_t count_notes(const struct place *place, each_note *each)
{
    CLEANUP(dir_closep) DIR *dir = opendir(place->folder);
    char path[PATH_MAX];
    size_t count = 0;

    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        CLEANUP(freep) char *note = NULL;
        size_t len = strlen(entry->d_name), note_len;
        struct err err = {0};

        if (len < 4 || strcmp(entry->d_name + len - 4, ".xml") != 0 ||
            snprintf(path, sizeof path, "%s/%s", place->folder, entry->d_name) >= (int)sizeof path)
            continue;
        if (file_read(path, NOTE_MAX_BYTES, &note, &note_len, &err) < 0)
            log_warning("libvirt", "%s", err.text);
        else
            count += each(place, entry->d_name, note);
    }
    return count;
}

static int write_note(const struct place *place, const char *file, const char *text, struct err *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", place->folder, file) >= (int)sizeof path)
        return err_set(err, ERR_PERMANENT, "%s: the path is too long", file);
    return file_write_atomic(path, text, strlen(text), 0600, err);
}

/* ---- what had ended ---- */

struct asked {
    struct monitor *monitor; /* NULL: QEMU does not answer */
    char *jobs, *blocks;
};

static void asked_clear(struct asked *asked)
{
    monitor_close(asked->monitor);
    free(asked->jobs);
    free(asked->blocks);
}

static bool ask(const char *file, const char *socket, struct asked *out)
{
    struct err err = {0};

    if (socket && monitor_open(socket, ANSWER_MS, &out->monitor, &err) == 0 &&
        monitor_ask(out->monitor, "query-jobs", NULL, &out->jobs, &err) == 0 &&
        monitor_ask(out->monitor, "query-block", NULL, &out->blocks, &err) == 0)
        return true;
    log_warning("libvirt", "%s: of what may have happened to its disks QEMU cannot be asked: %s", file,
                socket ? err.text : "no monitor");
    monitor_close(out->monitor);
    out->monitor = NULL;
    return false;
}

/* What has no definition is a transient guest. */
static int define(const struct place *place, const char *file, const char *before, const char *after, struct err *err)
{
    CLEANUP(freep) char *definition = NULL;
    CLEANUP(freep) char *defined = NULL;
    char path[PATH_MAX];
    size_t len;

    if (snprintf(path, sizeof path, "%s/etc/qemu/%s", place->root, file) >= (int)sizeof path || !file_exists(path))
        return 0;
    if (file_read(path, NOTE_MAX_BYTES, &definition, &len, err) < 0 ||
        half_ended_define(definition, before, after, &defined, err) < 0)
        return -1;
    return defined ? file_write_atomic(path, defined, strlen(defined), 0600, err) : 0;
}

/* The note, after the definition. NULL: nothing was mended. */
static int keep(const struct place *place, const char *file, const char *note, const char *mended, struct err *err)
{
    return !mended || (define(place, file, note, mended, err) == 0 && write_note(place, file, mended, err) == 0) ? 0
                                                                                                                 : -1;
}

static void tell(struct monitor *monitor, const char *command, json_t *arguments)
{
    char *text = arguments ? json_dumps(arguments, JSON_COMPACT) : NULL;

    if (text)
        monitor_ask(monitor, command, text, NULL, NULL);
    free(text);
    json_decref(arguments);
}

/* QEMU refuses to close what it uses. */
static void close_nodes(struct monitor *monitor, const struct strings *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        tell(monitor, "blockdev-del", json_pack("{s:s}", "node-name", nodes->items[i]));
}

/* Whatever QEMU says to it. */
static void clean(struct asked *asked, const char *before, const char *after)
{
    CLEANUP(strings_endp) struct strings bases = {0};
    CLEANUP(strings_endp) struct strings nodes = {0};
    struct half_ended_answers answers = {asked->jobs, asked->blocks};

    if (!asked->monitor || half_ended_bases(before, &answers, &bases, NULL) < 0 ||
        (after && half_ended_nodes(before, after, &nodes, NULL) < 0))
        return;
    for (size_t i = 0; i < bases.count; i++)
        tell(asked->monitor, "block-dirty-bitmap-remove",
             json_pack("{s:s, s:s}", "node", bases.items[i], "name", "libvirt-tmp-activewrite"));
    close_nodes(asked->monitor, &nodes);
}

/* true: QEMU was connected to. */
static bool mend_ended(const struct place *place, const char *file, const char *note)
{
    CLEANUP(asked_clear) struct asked asked = {0};
    CLEANUP(freep) char *socket = NULL;
    CLEANUP(freep) char *mended = NULL;
    enum half_ended result;
    struct err err = {0};

    if (!half_ended_doubtful(note, &socket))
        return false;
    ask(file, socket, &asked);
    if (half_ended_mend(note, &(struct half_ended_answers){asked.jobs, asked.blocks}, &result, &mended, &err) < 0 ||
        keep(place, file, note, mended, &err) < 0) {
        log_warning("libvirt", "%s: %s", file, err.text);
        return true;
    }
    if (result == HALF_ENDED_UNCLEAR)
        log_warning("libvirt",
                    "%s: a commit is over in QEMU, and its disk is neither what it was nor the base; left as it is",
                    file);
    if (mended)
        log_warning("libvirt", "%s: a commit had ended while no libvirt lived to note it; noted as QEMU has it", file);
    clean(&asked, note, mended);
    return true;
}

/* ---- what was taken ---- */

static void close_left(struct monitor *monitor, const char *note)
{
    CLEANUP(freep) char *nodes = NULL;
    CLEANUP(strings_endp) struct strings left = {0};

    if (monitor_ask(monitor, "query-named-block-nodes", "{\"flat\":true}", &nodes, NULL) == 0 &&
        half_taken_left(note, nodes, &left, NULL) == 0)
        close_nodes(monitor, &left);
}

/* *out: the note as it is now, when it was changed. true: QEMU was connected to. */
static bool mend_taken(const struct place *place, const char *file, const char *note, char **out)
{
    CLEANUP(asked_clear) struct asked asked = {0};
    CLEANUP(freep) char *socket = NULL;
    CLEANUP(freep) char *mended = NULL;
    struct err err = {0};

    if (!half_taken_doubtful(note, &socket))
        return false;
    if (!ask(file, socket, &asked))
        return true;
    if (half_taken_mend(note, asked.blocks, &mended, &err) < 0 || keep(place, file, note, mended, &err) < 0) {
        log_warning("libvirt", "%s: %s", file, err.text);
        return true;
    }
    if (mended)
        log_warning("libvirt", "%s: a snapshot was taken while no libvirt lived to note it; noted as QEMU has it", file);
    close_left(asked.monitor, mended ? mended : note);
    *out = TAKE_PTR(mended);
    return true;
}

/* ---- all notes ---- */

static bool mend(const struct place *place, const char *file, const char *note)
{
    CLEANUP(freep) char *cut = NULL;
    CLEANUP(freep) char *taken = NULL;
    struct err err = {0};
    bool connected;

    if (half_begun_cut(note, &cut, &err) < 0 || (cut && write_note(place, file, cut, &err) < 0)) {
        log_warning("libvirt", "%s: %s", file, err.text);
        return false;
    }
    if (cut)
        log_warning("libvirt",
                    "%s: held half a note of a backup or commit, from a process that died as it began; libvirt ends it",
                    file);
    connected = mend_taken(place, file, cut ? cut : note, &taken);
    return mend_ended(place, file, taken ? taken : cut ? cut : note) || connected;
}

bool notes_mend(const char *root)
{
    struct place place;

    return place_of(root, &place) && !daemon_lives(place.folder) && count_notes(&place, mend) > 0;
}

static bool ending(const struct place *place, const char *file, const char *note)
{
    (void)place;
    (void)file;
    return half_begun_ending(note);
}

void notes_wait(const char *root, int64_t limit_ms)
{
    int64_t until = clock_monotonic_ms() + limit_ms;
    struct place place;

    if (!place_of(root, &place))
        return;
    while (count_notes(&place, ending) > 0) {
        if (clock_monotonic_ms() >= until) {
            log_warning("libvirt", "%s: libvirt has not ended a commit that was half begun; it is gone on without",
                        root);
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
}
