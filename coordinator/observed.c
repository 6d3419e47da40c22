/* The file has a line for each sample, "room AT FREE REPOSITORY", and for each target, "unprotected SINCE TARGET HOST NAME"; lines that cannot be read are left out. */
#include "coordinator/observed.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "model/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

enum { FILE_MAX = 256 * 1024 * 1024, NAME = 256 };

static const int64_t WEEK_MS = 7LL * 24 * 3600 * 1000;

struct room {
    UT_hash_handle hh;
    struct space_sample samples[OBSERVED_SAMPLES]; /* oldest first */
    size_t count;
    int64_t seen_ms; /* in the last look */
    char id[];
};

struct bare { /* a target that no policy backs up */
    UT_hash_handle hh;
    int64_t since_ms, seen_ms;
    char target[TARGET_TEXT], host[NAME], name[NAME];
};

struct observed {
    struct room *rooms;
    struct bare *bare;
    int64_t looked_ms;
};

int observed_new(struct observed **out, struct err *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : err_memory(err, "observed");
}

static void forget(struct observed *observed, struct bare *bare)
{
    HASH_DEL(observed->bare, bare);
    free(bare);
}

void observed_free(struct observed *observed)
{
    struct room *room, *next_room;
    struct bare *bare, *next_bare;

    if (!observed)
        return;
    HASH_ITER (hh, observed->rooms, room, next_room) {
        HASH_DEL(observed->rooms, room);
        free(room);
    }
    HASH_ITER (hh, observed->bare, bare, next_bare)
        forget(observed, bare);
    free(observed);
}

/* ---- repositories ---- */

static struct room *find_room(const struct observed *observed, const char *id)
{
    struct room *room;

    HASH_FIND_STR(observed->rooms, id, room);
    return room;
}

/* NULL: no memory; the next time, perhaps. */
static struct room *room_of(struct observed *observed, const char *id)
{
    struct room *room = find_room(observed, id);
    size_t len = strlen(id) + 1;

    if (room || !(room = calloc(1, sizeof *room + len)))
        return room;
    memcpy(room->id, id, len);
    HASH_ADD_STR(observed->rooms, id, room);
    return room;
}

void observed_room(struct observed *observed, const char *repository, int64_t free_bytes, int64_t now_ms)
{
    struct room *room = room_of(observed, repository);

    if (!room)
        return;
    if (room->count && now_ms - room->samples[room->count - 1].at_ms < OBSERVED_EVERY_MS)
        return;
    if (room->count == OBSERVED_SAMPLES)
        memmove(room->samples, room->samples + 1, --room->count * sizeof *room->samples);
    room->samples[room->count++] = (struct space_sample){now_ms, free_bytes};
}

const struct space_sample *observed_samples(const struct observed *observed, const char *repository, size_t *out_count)
{
    const struct room *room = find_room(observed, repository);

    *out_count = room ? room->count : 0;
    return room ? room->samples : NULL;
}

bool observed_see(struct observed *observed, const char *repository, int64_t now_ms)
{
    struct room *room = room_of(observed, repository);

    if (!room || room->seen_ms == now_ms)
        return false;
    room->seen_ms = now_ms;
    return true;
}

int observed_each_unseen(const struct observed *observed, int64_t now_ms, observed_repository *visit, void *context,
                         struct err *err)
{
    for (const struct room *room = observed->rooms; room; room = room->hh.next)
        if (room->seen_ms != now_ms && visit(context, room->id, err) < 0)
            return -1;
    return 0;
}

/* ---- targets ---- */

static struct bare *note_bare(struct observed *observed, const char *target, const char *host, const char *name,
                              int64_t since_ms)
{
    struct bare *bare;

    HASH_FIND_STR(observed->bare, target, bare);
    if (!bare) {
        if (!(bare = calloc(1, sizeof *bare)))
            return NULL;
        snprintf(bare->target, sizeof bare->target, "%s", target);
        bare->since_ms = since_ms;
        HASH_ADD_STR(observed->bare, target, bare);
    }
    snprintf(bare->host, sizeof bare->host, "%s", host);
    snprintf(bare->name, sizeof bare->name, "%s", name);
    return bare;
}

void observed_unprotected(struct observed *observed, const char *target, const char *host, const char *name,
                          int64_t now_ms)
{
    struct bare *bare = note_bare(observed, target, host, name, now_ms);

    if (bare)
        bare->seen_ms = now_ms;
}

void observed_looked(struct observed *observed, int64_t now_ms)
{
    struct bare *bare, *next;

    observed->looked_ms = now_ms;
    HASH_ITER (hh, observed->bare, bare, next)
        if (bare->seen_ms != now_ms)
            forget(observed, bare);
}

int64_t observed_looked_ms(const struct observed *observed)
{
    return observed->looked_ms;
}

int observed_each_unprotected(const struct observed *observed, observed_target *visit, void *context, struct err *err)
{
    for (const struct bare *bare = observed->bare; bare; bare = bare->hh.next) {
        const struct alarm_unprotected target = {bare->target, bare->name, bare->host, bare->since_ms};
        if (visit(context, &target, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the file ---- */

int observed_save(const struct observed *observed, const char *path, struct err *err)
{
    CLEANUP(text_free) struct text out = {0};

    for (const struct room *room = observed->rooms; room; room = room->hh.next)
        for (size_t i = 0; i < room->count; i++)
            text_addf(&out, "room %lld %lld %s\n", (long long)room->samples[i].at_ms,
                      (long long)room->samples[i].free_bytes, room->id);
    for (const struct bare *bare = observed->bare; bare; bare = bare->hh.next)
        text_addf(&out, "unprotected %lld %s %s %s\n", (long long)bare->since_ms, bare->target, bare->host, bare->name);
    return out.failed ? err_memory(err, path) : file_write_atomic(path, text_str(&out), out.len, 0600, err);
}

static void read_line(struct observed *observed, const char *line, int64_t now_ms)
{
    char target[TARGET_TEXT], host[NAME];
    long long at_ms, free_bytes;
    int rest = 0;

    if (sscanf(line, "room %lld %lld %n", &at_ms, &free_bytes, &rest) == 2 && rest) {
        if (line[rest] && at_ms <= now_ms && at_ms >= now_ms - WEEK_MS && free_bytes >= 0)
            observed_room(observed, line + rest, free_bytes, at_ms);
        return;
    }
    _Static_assert(TARGET_TEXT == 256 && NAME == 256, "the widths below");
    if (sscanf(line, "unprotected %lld %255s %255s %n", &at_ms, target, host, &rest) == 3 && rest && at_ms <= now_ms)
        note_bare(observed, target, host, line + rest, at_ms);
}

int observed_load(struct observed *observed, const char *path, int64_t now_ms, struct err *err)
{
    CLEANUP(freep) char *text = NULL;
    char *save = NULL;
    size_t len;

    if (access(path, F_OK) != 0)
        return 0;
    if (file_read(path, FILE_MAX, &text, &len, err) < 0)
        return -1;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        read_line(observed, line, now_ms);
    return 0;
}
