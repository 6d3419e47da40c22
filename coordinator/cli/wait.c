/*
 * A broken connection is no broken job: the stream is taken up again where it was, for GIVE_UP_MS. On a terminal one line is drawn again and again; elsewhere a line per
 * phase, and one every PLAIN_MS so that no log looks dead.
 */
#include "coordinator/cli/wait.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/cli.h"
#include "coordinator/cli/export_show.h"
#include "coordinator/cli/http.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PLAIN_MS = 10000, GIVE_UP_MS = 60000, PAUSE_MS = 500, SILENCE_MS = 4000 };

struct waiter {
    struct cli *cli;
    struct progress *progress;
    bool live, quiet, drawn;
    int64_t plain_ms, heard_ms;
    char told_waiting[256];
    bool told_silence;
};

static void erase(struct waiter *waiter)
{
    if (waiter->drawn)
        fputs("\r\033[K", waiter->cli->err);
    waiter->drawn = false;
    fflush(waiter->cli->err);
}

static void draw(struct waiter *waiter)
{
    struct text line = {0};

    progress_line(waiter->progress, clock_monotonic_ms(), (size_t)waiter->cli->width - 1, &line);
    fprintf(waiter->cli->err, "\r\033[K%s", text_str(&line));
    fflush(waiter->cli->err);
    waiter->drawn = true;
    text_free(&line);
}

static void print_plain(struct waiter *waiter)
{
    struct text line = {0};

    progress_plain(waiter->progress, clock_monotonic_ms(), &line);
    fprintf(waiter->cli->err, "%s\n", text_str(&line));
    fflush(waiter->cli->err);
    waiter->plain_ms = clock_monotonic_ms();
    text_free(&line);
}

/* " (backup.create on alpha, running for 12 s)" of the job that holds the lock; nothing if it cannot be asked. */
static void describe_holder(struct waiter *waiter, const char *id, char *out, size_t size)
{
    struct cli silent = *waiter->cli;
    struct http_answer answer = {0};
    char path[128], age[32];

    *out = '\0';
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    if (http_request(silent.http, "GET", path, NULL, NULL, &answer, NULL) == 0 && answer.status == 200) {
        int64_t since = member_time(answer.body, "started_at");
        snprintf(out, size, " (%s on %s%s%s)", member_text(answer.body, "op"), member_text(answer.body, "host"),
                 since ? ", running for " : "", since ? format_duration(cli_now(&silent) - since, age, sizeof age) : "");
    }
    http_answer_clear(&answer);
}

/* Between streams only: one handle serves both. "lock: alpha/8a11…", "parked: target is closed by a parked job: 8a11…" */
static void tell_waiting(struct waiter *waiter)
{
    const char *waiting = waiter->progress->waiting, *slash = strrchr(waiting, '/');
    char holder[256] = "";

    if (!*waiting || strcmp(waiting, waiter->told_waiting) == 0)
        return;
    snprintf(waiter->told_waiting, sizeof waiter->told_waiting, "%s", waiting);
    erase(waiter);
    if (strncmp(waiting, "lock", 4) == 0 && slash) {
        describe_holder(waiter, slash + 1, holder, sizeof holder);
        fprintf(waiter->cli->err, "the job waits: %s is locked by job %.8s%s. It starts by itself; ^C detaches.\n",
                waiter->progress->target, slash + 1, holder);
    } else if (strncmp(waiting, "parked", 6) == 0 && strrchr(waiting, ' ')) {
        const char *job = strrchr(waiting, ' ') + 1;
        fprintf(waiter->cli->err,
                "the job waits: %s is closed by job %.8s, whose outcome is not known: fleetsnap job show %.8s. It starts "
                "by itself when that is resolved; ^C detaches.\n",
                waiter->progress->target, job, job);
    } else {
        fprintf(waiter->cli->err, "the job waits: %s. It starts by itself; ^C detaches.\n",
                strncmp(waiting, "retry: ", 7) == 0 ? waiting + 7 : waiting);
    }
}

static bool has_news(const struct waiter *waiter)
{
    return *waiter->progress->waiting && strcmp(waiter->progress->waiting, waiter->told_waiting) != 0;
}

/* On out, as soon as it is known: a script reads it from there. */
static void tell_export(struct waiter *waiter, const json_t *event)
{
    if (waiter->progress->exported || waiter->quiet || !export_told(event))
        return;
    waiter->progress->exported = true;
    erase(waiter);
    if (!waiter->cli->json)
        export_print(waiter->cli->out, event);
}

static bool seen_enough(const struct progress *progress)
{
    return progress->terminal || progress->lost || (progress->until_exported && progress->exported);
}

static enum stream_verdict on_event(void *context, const char *name, const json_t *data)
{
    struct waiter *waiter = context;

    waiter->heard_ms = clock_monotonic_ms();
    if (strcmp(name, "end") == 0)
        return STREAM_STOP;
    bool changed = progress_event(waiter->progress, data, waiter->heard_ms);
    if (!waiter->progress->terminal)
        tell_export(waiter, data);
    if (waiter->cli->verbose && strcmp(name, "status") == 0 && !waiter->quiet) {
        erase(waiter);
        fprintf(waiter->cli->err, "  %s  %-9s  %s\n", member_text(data, "at"), member_text(data, "state"),
                member_text(data, "phase"));
    } else if (changed && !waiter->live && !waiter->quiet && !waiter->progress->terminal &&
               progress_worth_a_line(waiter->progress)) {
        print_plain(waiter);
    }
    return seen_enough(waiter->progress) || has_news(waiter) ? STREAM_STOP : STREAM_GO_ON;
}

/* The job is on its topic, and nobody takes it: say so once, also where nothing else is shown. */
static void tell_silence(struct waiter *waiter)
{
    const struct progress *progress = waiter->progress;
    bool taken = *progress->state && strcmp(progress->state, "PLANNED") != 0 &&
                 strcmp(progress->state, "PUBLISHED") != 0;

    if (waiter->told_silence || taken || clock_monotonic_ms() - progress->begun_ms < SILENCE_MS)
        return;
    waiter->told_silence = true;
    erase(waiter);
    fprintf(
        waiter->cli->err,
        "%s: host %s has not taken the job yet. It starts when the host answers; ^C detaches.   fleetsnap host show %s\n",
        progress->target, progress->host, progress->host);
    fflush(waiter->cli->err);
}

static enum stream_verdict on_tick(void *context)
{
    struct waiter *waiter = context;

    if (cli_interrupted())
        return STREAM_STOP;
    tell_silence(waiter);
    if (waiter->live)
        draw(waiter);
    else if (!waiter->quiet && clock_monotonic_ms() - waiter->plain_ms >= PLAIN_MS)
        print_plain(waiter);
    return STREAM_GO_ON;
}

static void pause_ms(int ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

/* One connection's worth. */
static int follow_once(struct waiter *waiter, const char *path, int64_t *cursor)
{
    struct stream_watcher watcher = {on_event, on_tick, waiter};
    struct http_answer answer = {0};
    struct err err = {0};

    int result = http_stream(cli_http(waiter->cli), path, cursor, &watcher, &answer, &err);
    if (result == 0 && answer.status != 200) {
        erase(waiter);
        if (answer.status != 503 && answer.status != 404)
            cli_fail(waiter->cli, 0, waiter->progress->target, member_text(answer.body, "hint"), "%s",
                     member_text(answer.body, "detail"));
        result = answer.status == 503 || answer.status == 404 ? -1 : answer.status;
    }
    http_answer_clear(&answer);
    return result;
}

enum wait_outcome wait_for_job(struct cli *cli, const char *job_id, struct progress *progress, bool quiet)
{
    struct waiter waiter = {.cli = cli,
                            .progress = progress,
                            .quiet = quiet,
                            .plain_ms = clock_monotonic_ms(),
                            .heard_ms = clock_monotonic_ms()};
    char path[128];
    int64_t cursor = 0;

    waiter.live = cli->err_terminal && cli->out_terminal;
    snprintf(path, sizeof path, "/v1/jobs/%s/events", job_id);
    while (!seen_enough(progress) && !cli_interrupted()) {
        int result = follow_once(&waiter, path, &cursor);
        tell_waiting(&waiter);
        if (result > 0 || (result < 0 && clock_monotonic_ms() - waiter.heard_ms > GIVE_UP_MS))
            break;
        if (result < 0)
            pause_ms(PAUSE_MS);
    }
    erase(&waiter);
    if (progress->terminal)
        return WAIT_ENDED;
    if (progress->until_exported && progress->exported)
        return WAIT_EXPORTED;
    return progress->lost ? WAIT_LOST : cli_interrupted() ? WAIT_DETACHED : WAIT_UNSEEN;
}
