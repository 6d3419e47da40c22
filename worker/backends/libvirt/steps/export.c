/*
 * export: says where the disks are to be read, and watches until a person says that the copy is whole. Nothing else is a success: libvirt's event says success however a pull
 * ended, and a client that has left may have read all or half.
 *
 * It ends without success, and all is taken back, when
 *   nobody was connected for the idle time-out (a client that died is one that is not connected: nobody else says so), or only clients that do not read what they asked for
 *   scratch grows to its limit, or its file system nearly full: QEMU would fail the guest's own writes, and pause it
 *   the job is cancelled, its deadline comes, or the hypervisor's job is gone (the guest was stopped)
 *   the worker died meanwhile. A note in the scratch folder says that clients were told: one that reads on from another moment would mix two, so it is never begun again.
 * For the same reason no failure from the telling on is tried again by itself. What a person said before the worker died counts.
 */
#include "worker/backends/libvirt/export.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup_threshold.h"
#include "worker/backends/libvirt/backup_xml.h"
#include "worker/backends/libvirt/export_relay.h"
#include "worker/backends/libvirt/news.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 200, COUNT_MS = 1000, SILENT_MS = 30000, MIN_FREE_SHARE = 10 };

struct watched {
    const struct step_run *run;
    const struct step *step;
    const char *folder;
    struct export_server server;
    struct export_relay *relay; /* of a unix socket */
    virDomainPtr domain;
    struct facts told;
    struct connections clients;
    int64_t idle_ms;    /* monotonic: since when nobody has been connected, or all of them have read nothing */
    int64_t counted_ms; /* monotonic: when clients were last counted */
    int64_t heard_ms;   /* monotonic: when libvirt last answered */
    int64_t limit_bytes, idle_timeout_ms;
    struct news_listener news;
};

static void watched_end(struct watched *watched)
{
    export_relay_end(watched->relay);
    news_end(&watched->news);
    domain_freep(&watched->domain);
    facts_clear(&watched->told);
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const struct export_server server = export_server_of(step);
    CLEANUP(freep) char *disks = strdup(step_arg(step, "disks"));
    char *rest = NULL, idle[32];

    (void)run;
    (void)lost;
    if (!disks)
        return err_memory(err, "disks");
    for (char *disk = strtok_r(disks, " ", &rest); disk; disk = strtok_r(NULL, " ", &rest)) {
        CLEANUP(freep) char *uri = export_uri(&server, disk);
        text_addf(command, "nbdcopy '%s' ...\n", uri ? uri : "");
    }
    text_addf(command, "# until fleetsnap target export-finish, or until nobody was connected for %s",
              format_duration(facts_get_int(&step->args, "idle_timeout_ms", 0), idle, sizeof idle));
    return 0;
}

/* ---- what people are told ---- */

static int tell_disk(struct watched *watched, const char *disk, bool incremental, struct err *err)
{
    CLEANUP(freep) char *uri = export_uri(&watched->server, disk);
    char key[160];

    if (!uri)
        return err_memory(err, disk);
    snprintf(key, sizeof key, "uri.%.128s", disk);
    if (facts_set(&watched->told, key, uri, err) < 0)
        return -1;
    snprintf(key, sizeof key, "bitmap.%.128s", disk);
    return incremental ? facts_set(&watched->told, key, "qemu:dirty-bitmap:" EXPORT_BITMAP, err) : 0;
}

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = words; (at = strstr(at, word)); at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
            return true;
    return false;
}

static int tell_fact(struct watched *watched, const char *key, struct err *err)
{
    const char *value = facts_get(watched->run->known, key);

    return value ? facts_set(&watched->told, key, value, err) : 0;
}

/* The plan hoped for a freeze. */
static const char *level_of(const struct step_run *run)
{
    return level_reached(run->known, facts_get_or(run->known, "level", "crash"));
}

static int say_where(struct watched *watched, struct err *err)
{
    CLEANUP(freep) char *disks = strdup(step_arg(watched->step, "disks"));
    const char *incremental = facts_get_or(&watched->step->args, "incremental", "");
    char *rest = NULL;

    if (!disks)
        return err_memory(err, "disks");
    for (char *disk = strtok_r(disks, " ", &rest); disk; disk = strtok_r(NULL, " ", &rest))
        if (tell_disk(watched, disk, has_word(incremental, disk), err) < 0)
            return -1;
    return tell_fact(watched, "kind", err) < 0 || tell_fact(watched, "parent", err) < 0
               ? -1
               : facts_set(&watched->told, "level", level_of(watched->run), err);
}

/* ---- clients ---- */

/* All of them leave unread what is there for them. */
static bool all_hang(const struct watched *watched, const struct connections *seen, int64_t now)
{
    const struct connections *before = &watched->clients;

    if (watched->relay)
        return now - export_relay_alive_ms(watched->relay) > COUNT_MS;
    return seen->waiting == seen->count && seen->count == before->count && seen->unread == before->unread;
}

static int refuse_idle(const struct watched *watched, struct err *err)
{
    char text[32];

    format_duration(watched->idle_timeout_ms, text, sizeof text);
    if (watched->clients.count > 0)
        return err_set(err, ERR_PERMANENT, "its clients (%d) have read nothing for %s of what is there for them",
                       watched->clients.count, text);
    return err_set(err, ERR_PERMANENT, "nobody was connected for %s, and nobody said that the copy is whole", text);
}

static int count_clients(struct watched *watched, struct err *err)
{
    int64_t now = clock_monotonic_ms();
    struct connections seen;
    int clients, before = watched->clients.count;

    if (watched->counted_ms && now - watched->counted_ms < COUNT_MS)
        return 0;
    clients = export_clients(&watched->server, &seen);
    watched->counted_ms = now;
    if (clients < 0 || (clients > 0 && !all_hang(watched, &seen, now))) /* or unknown: then only the deadline ends it */
        watched->idle_ms = now;
    watched->clients = seen;
    if (clients != before) {
        if (facts_set_int(&watched->told, "clients", clients, err) < 0)
            return -1;
        attempt_tell(watched->run->attempt, &watched->told);
    }
    return now - watched->idle_ms < watched->idle_timeout_ms ? 0 : refuse_idle(watched, err);
}

/* ---- scratch ---- */

static int refuse_room(const struct watched *watched, struct err *err)
{
    char limit[32];

    if (watched->limit_bytes)
        err_set(err, ERR_PERMANENT,
                "scratch %s: what the guest overwrites has reached %s, or its file system is nearly full",
                watched->folder, format_size(watched->limit_bytes, limit, sizeof limit));
    else
        err_set(err, ERR_PERMANENT, "scratch %s: its file system is nearly full, and a full one would stop the guest",
                watched->folder);
    return err_hint(err, "copy faster, or give more room with --scratch and --scratch-limit");
}

static int watch_room(struct watched *watched, struct err *err)
{
    int64_t free_bytes, total_bytes, used = export_room_bytes(watched->folder);
    bool stopped = backup_stopped_guest(watched->domain);

    if (stopped && export_abort(watched->domain, watched->folder, &watched->server, err) < 0) /* it goes on then */
        return -1;
    if (stopped || (watched->limit_bytes && used >= watched->limit_bytes))
        return refuse_room(watched, err);
    if (file_free_space(watched->folder, &free_bytes, &total_bytes, NULL) == 0 &&
        free_bytes < total_bytes / MIN_FREE_SHARE)
        return refuse_room(watched, err);
    return 0;
}

/* So that the hypervisor wakes us before the room is used up. */
static void set_threshold(const struct watched *watched)
{
    int64_t free_bytes, total_bytes;

    if (file_free_space(watched->folder, &free_bytes, &total_bytes, NULL) < 0)
        return;
    free_bytes -= total_bytes / MIN_FREE_SHARE;
    backup_threshold_set(watched->domain,
                         watched->limit_bytes && watched->limit_bytes < free_bytes ? watched->limit_bytes : free_bytes);
}

/* ---- the job ---- */

/* A libvirtd that restarts is silent for a while, and the export goes on without it. 1: it answers, 0: not now. */
static int hear(struct watched *watched, enum running_backup *out, struct err *err)
{
    struct err why = {0};

    if ((watched->domain || step_domain(watched->run, &watched->domain, &why) == 0) &&
        backup_running(watched->domain, watched->folder, out, &why) == 0) {
        watched->heard_ms = clock_monotonic_ms();
        return 1;
    }
    domain_freep(&watched->domain);
    watched->domain = NULL;
    if (why.kind == ERR_RETRY && clock_monotonic_ms() - watched->heard_ms < SILENT_MS)
        return 0;
    *err = why;
    return -1;
}

/* 1: a person said that the copy is whole, and it was alive until then. */
static int look(struct watched *watched, struct err *err)
{
    enum running_backup running = BACKUP_NONE;
    int heard = hear(watched, &running, err);

    if (heard < 0)
        return -1;
    if (heard && running != BACKUP_OURS)
        return err_set(err, ERR_PERMANENT, "the hypervisor's job is gone: the guest was stopped, or somebody ended it");
    if (heard && watch_room(watched, err) < 0)
        return -1;
    if (heard && attempt_told_to_end(watched->run->attempt))
        return 1;
    if (step_cancelled(watched->run))
        return err_set(err, ERR_CANCELLED, "asked to stop, or out of time, or the lock is another's");
    return count_clients(watched, err);
}

static int watch(struct watched *watched, struct err *err)
{
    int ended;

    watched->idle_ms = watched->heard_ms = clock_monotonic_ms();
    watched->clients.count = -1;
    while ((ended = look(watched, err)) == 0)
        news_wait(&watched->news, LOOK_MS);
    if (ended <
        0) /* never by itself once more: clients were told. What was cancelled, or has no time left, ends as that */
        err->kind = ERR_PERMANENT;
    return ended < 0 ? -1 : export_note(watched->folder, "done", err);
}

/* Whose name may be there from a worker that died before it told anybody. */
static int begin_relay(struct watched *watched, struct err *err)
{
    if (!watched->server.inner)
        return 0;
    export_remove_dead_sockets(watched->folder, &watched->server);
    return export_relay_begin(watched->server.socket, watched->server.inner, &watched->relay, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(watched_end)
    struct watched watched = {.run = run,
                              .step = step,
                              .folder = step_arg(step, "folder"),
                              .server = export_server_of(step),
                              .limit_bytes = facts_get_int(&step->args, "limit_bytes", 0),
                              .idle_timeout_ms = facts_get_int(&step->args, "idle_timeout_ms", 0)};

    if (facts_set(learned, "level", level_of(run), err) < 0)
        return -1;
    if (export_noted(watched.folder, "done"))
        return 0;
    if (export_noted(watched.folder, "told"))
        return err_set(err, ERR_PERMANENT,
                       "the worker was restarted while it was exported: it is ended, for nobody watched it meanwhile");
    news_listen(&watched.news, run->job->target.id);
    if (step_domain(run, &watched.domain, err) < 0 || say_where(&watched, err) < 0 || begin_relay(&watched, err) < 0 ||
        export_note(watched.folder, "told", err) < 0)
        return -1;
    set_threshold(&watched);
    return watch(&watched, err);
}

/* It goes on by itself; execute() finds by its notes whether it may. */
static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    (void)run;
    (void)learned;
    (void)err;
    *out = export_noted(step_arg(step, "folder"), "done") ? SETTLED_DONE : SETTLED_RUNNING;
    return 0;
}

const struct step_type step_export = {
    .name = "export",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .settle = settle,
};
