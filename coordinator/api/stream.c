/*
 * Server-sent events. One thread follows the view for all streams, so that a watcher costs no HTTP thread: it asks for the events after each stream's cursor, renders
 * them into the stream's buffer, and wakes the connection, which sleeps (suspended) while there is nothing to send. A stream of one job ends after the job's terminal
 * event. Between events of a running job the stream tells its progress. It looks when the view has news, but rests four times as long as the last look took.
 *
 *     id: 1234                      where to go on: Last-Event-ID (on the last of several that came together)
 *     event: status                 status | progress | end
 *     data: {"job_id": …}
 *
 * A reader that does not read is cut off at BUFFER_MAX; it comes back with Last-Event-ID and has lost nothing.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "coordinator/api/internal.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

enum { TICK_MS = 50, REST = 4, PROGRESS_MS = 500, ALIVE_MS = 10000, BUFFER_MAX = 1024 * 1024, RETRY_MS = 1000 };

struct stream {
    int64_t id;  /* 0: free */
    char *token; /* whose */
    char *job;   /* NULL: all */
    int64_t cursor;
    struct text buffer;
    size_t sent; /* of buffer */
    bool ended;
    int64_t alive_ms, progress_ms;
    char *progress;              /* the last that was told */
    void (*wake)(void *context); /* set while the connection sleeps */
    void *wake_context;
};

struct streams {
    struct api_context *context;
    pthread_mutex_t lock; /* protects everything below; held while a connection is woken, so that it cannot go meanwhile */
    pthread_cond_t changed;
    pthread_t thread;
    bool started, stopping;
    int64_t last_id;
    size_t max, max_per_token;
    struct stream *items;
};

static void stream_clear(struct stream *stream)
{
    free(stream->token);
    free(stream->job);
    free(stream->progress);
    text_free(&stream->buffer);
    *stream = (struct stream){0};
}

static void wake(struct stream *stream)
{
    void (*function)(void *context) = stream->wake;

    stream->wake = NULL;
    if (function)
        function(stream->wake_context);
}

static struct stream *find(struct streams *streams, int64_t id)
{
    for (size_t i = 0; i < streams->max; i++)
        if (id && streams->items[i].id == id)
            return &streams->items[i];
    return NULL;
}

static void add_event(struct stream *stream, const char *name, int64_t id, const json_t *data)
{
    CLEANUP(freep) char *text = json_dumps(data, JSON_COMPACT);

    if (!text)
        return;
    if (id > 0)
        text_addf(&stream->buffer, "id: %lld\n", (long long)id);
    text_addf(&stream->buffer, "event: %s\ndata: ", name);
    text_add(&stream->buffer, text);
    text_add(&stream->buffer, "\n\n");
    stream->alive_ms = clock_monotonic_ms();
}

static void end(struct stream *stream)
{
    text_add(&stream->buffer, "event: end\ndata: {}\n\n");
    stream->ended = true;
}

static bool is_terminal(const json_t *event)
{
    const char *state = json_text(event, "state");
    int index = state ? name_index(job_state_names, state) : -1;

    return index >= 0 && job_state_terminal((enum job_state)index);
}

static void add_events(struct stream *stream, const json_t *events, int64_t cursor)
{
    size_t count = json_array_size(events);
    bool terminal = false;

    for (size_t i = 0; i < count; i++) {
        const json_t *event = json_array_get(events, i);
        add_event(stream, "status", i + 1 == count ? cursor : 0, event);
        terminal = terminal || is_terminal(event);
    }
    stream->cursor = cursor;
    if (stream->job && terminal)
        end(stream);
    if (stream->buffer.failed || stream->buffer.len > BUFFER_MAX)
        stream->ended = true;
}

/* What moves between events. */
static json_t *progress_of(struct api_context *context, struct view_reader *reader, const char *job)
{
    json_t *item = NULL, *progress = NULL;
    struct coordinator_rate rate;

    if (view_job(reader, job, &item, NULL) < 0 || !item)
        return NULL;
    if (!is_terminal(item))
        progress = json_pack("{s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:o*}", "job_id", json_object_get(item, "job_id"),
                             "state", json_object_get(item, "state"), "phase", json_object_get(item, "phase"), "done",
                             json_object_get(item, "done"), "total", json_object_get(item, "total"), "waiting",
                             json_object_get(item, "waiting"), "rate_limit",
                             api_rate_told(context, item, &rate) ? json_integer(rate.rate_limit) : NULL);
    json_decref(item);
    return progress;
}

static void add_progress(struct stream *stream, const json_t *progress)
{
    CLEANUP(freep) char *text = progress ? json_dumps(progress, JSON_COMPACT) : NULL;

    if (!text || stream->ended || (stream->progress && strcmp(stream->progress, text) == 0))
        return;
    if (json_int(progress, "total") > 0 || stream->progress)
        add_event(stream, "progress", 0, progress);
    free(stream->progress);
    stream->progress = TAKE_PTR(text);
}

static void stay_alive(struct stream *stream, int64_t now)
{
    if (stream->ended || now - stream->alive_ms < ALIVE_MS)
        return;
    text_add(&stream->buffer, ": alive\n\n");
    stream->alive_ms = now;
}

/* What one look at the view needs of a stream, and brings back; taken and given under the lock, used without it. */
struct look {
    int64_t id, cursor;
    char job[64];
    bool all, want_progress;
    json_t *events, *progress;
};

static bool look_begin(struct streams *streams, size_t index, struct look *out)
{
    LOCK_SCOPE(&streams->lock);
    const struct stream *stream = &streams->items[index];
    int64_t now = clock_monotonic_ms();

    if (!stream->id || stream->ended)
        return false;
    *out = (struct look){.id = stream->id, .cursor = stream->cursor, .all = !stream->job};
    snprintf(out->job, sizeof out->job, "%s", stream->job ? stream->job : "");
    out->want_progress = stream->job && now - stream->progress_ms >= PROGRESS_MS;
    return true;
}

static void look_end(struct streams *streams, struct look *look)
{
    LOCK_SCOPE(&streams->lock);
    struct stream *stream = find(streams, look->id);
    int64_t now = clock_monotonic_ms();

    if (stream && !stream->ended) {
        add_events(stream, look->events, look->cursor);
        if (look->want_progress)
            stream->progress_ms = now;
        add_progress(stream, look->progress);
        stay_alive(stream, now);
        if (stream->buffer.len > stream->sent || stream->ended)
            wake(stream);
    }
    json_decref(look->events);
    json_decref(look->progress);
}

/* Whether there are events behind `cursor`, which moves to the last of those that came. -1: err. */
static int more(struct view_reader *reader, int64_t *cursor, struct err *err)
{
    json_t *events = NULL;

    if (view_follow(reader, NULL, cursor, 0, &events, err) < 0)
        return -1;
    int found = json_array_size(events) > 0;
    json_decref(events);
    return found;
}

/* "From now": the cursor of the last event there is, by bisection, because history is long and cursors only ask what comes behind them. */
static int find_end(struct view_reader *reader, int64_t *out, struct err *err)
{
    int64_t low = 0, high = 1024, at;
    int found;

    while ((at = high, found = more(reader, &at, err)) > 0) {
        low = at;
        high = at * 2;
    }
    while (found >= 0 && low < high) {
        at = low + (high - low) / 2;
        found = more(reader, &at, err);
        if (found > 0)
            low = at;
        else
            high = low + (high - low) / 2;
    }
    *out = low;
    return found < 0 ? -1 : 0;
}

static int look_at(struct api_context *context, struct view_reader *reader, struct look *look, struct err *err)
{
    if (look->cursor < 0 && find_end(reader, &look->cursor, err) < 0)
        return -1;
    if (view_follow(reader, look->all ? NULL : look->job, &look->cursor, 0, &look->events, err) < 0)
        return -1;
    if (look->want_progress)
        look->progress = progress_of(context, reader, look->job);
    return 0;
}

static void look_at_all(struct streams *streams, struct view_reader *reader)
{
    struct look look;
    struct err err = {0};

    for (size_t i = 0; i < streams->max; i++) {
        if (!look_begin(streams, i, &look))
            continue;
        if (look_at(streams->context, reader, &look, &err) < 0)
            log_warning("api", "event stream: %s", err.text);
        look_end(streams, &look);
    }
}

static bool any_stream(const struct streams *streams)
{
    for (size_t i = 0; i < streams->max; i++)
        if (streams->items[i].id)
            return true;
    return false;
}

static void wait_ms(struct streams *streams, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&streams->changed, &streams->lock, &until);
}

/* False: stop. Sleeps for good while nobody watches. */
static bool wait_for_streams(struct streams *streams, int64_t rest_ms)
{
    LOCK_SCOPE(&streams->lock);
    while (!streams->stopping && !any_stream(streams))
        pthread_cond_wait(&streams->changed, &streams->lock);
    if (!streams->stopping && rest_ms)
        wait_ms(streams, rest_ms);
    return !streams->stopping;
}

static void *follow(void *argument)
{
    struct streams *streams = argument;
    struct view_reader *reader = NULL;
    struct err err = {0};
    int64_t rest_ms = 0;

    while (wait_for_streams(streams, rest_ms)) {
        if (!reader && view_reader_open(streams->context->view_path, &reader, &err) < 0) {
            log_warning("api", "event streams: %s", err.text);
            rest_ms = RETRY_MS;
            continue;
        }
        int64_t began_ms = clock_monotonic_ms(), seen = view_news_now();
        look_at_all(streams, reader);
        rest_ms = REST * (clock_monotonic_ms() - began_ms);
        view_news_wait(seen, TICK_MS);
    }
    view_reader_close(reader);
    return NULL;
}

int streams_new(struct api_context *context, struct streams **out, struct err *err)
{
    struct streams *streams = calloc(1, sizeof *streams);
    pthread_condattr_t monotonic;

    if (!streams)
        return err_memory(err, "api");
    streams->context = context;
    streams->max = (size_t)context->config.streams_max;
    streams->max_per_token = (size_t)context->config.streams_per_token;
    streams->items = calloc(streams->max, sizeof *streams->items);
    pthread_mutex_init(&streams->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&streams->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    streams->started = streams->items && pthread_create(&streams->thread, NULL, follow, streams) == 0;
    if (!streams->started)
        return streams_free(streams), err_memory(err, "api");
    *out = streams;
    return 0;
}

static void end_all(struct streams *streams)
{
    LOCK_SCOPE(&streams->lock);
    streams->stopping = true;
    pthread_cond_broadcast(&streams->changed);
    for (size_t i = 0; i < streams->max; i++) {
        if (!streams->items[i].id)
            continue;
        streams->items[i].ended = true;
        wake(&streams->items[i]);
    }
}

void streams_stop(struct streams *streams)
{
    if (!streams || !streams->started)
        return;
    end_all(streams);
    pthread_join(streams->thread, NULL);
    streams->started = false;
}

void streams_free(struct streams *streams)
{
    if (!streams)
        return;
    streams_stop(streams);
    for (size_t i = 0; streams->items && i < streams->max; i++)
        stream_clear(&streams->items[i]);
    pthread_cond_destroy(&streams->changed);
    pthread_mutex_destroy(&streams->lock);
    free(streams->items);
    free(streams);
}

static struct stream *find_free(struct streams *streams)
{
    for (size_t i = 0; i < streams->max; i++)
        if (!streams->items[i].id)
            return &streams->items[i];
    return NULL;
}

static size_t count_of(const struct streams *streams, const char *token)
{
    size_t count = 0;

    for (size_t i = 0; i < streams->max; i++)
        count += streams->items[i].id && strcmp(streams->items[i].token, token) == 0;
    return count;
}

int streams_open(struct streams *streams, const char *token, const char *job, int64_t cursor, int64_t *out_stream,
                 struct err *err)
{
    CLEANUP(freep) char *whose = strdup(token ? token : "");
    CLEANUP(freep) char *what = job ? strdup(job) : NULL;

    if (!whose || (job && !what))
        return err_memory(err, "event stream");
    LOCK_SCOPE(&streams->lock);
    struct stream *stream = streams->stopping ? NULL : find_free(streams);
    if (!stream)
        return err_set(err, ERR_RETRY, "there are %zu event streams already", streams->max);
    if (count_of(streams, whose) >= streams->max_per_token)
        return err_set(err, ERR_RETRY, "the token %s has %zu event streams already", whose, streams->max_per_token);
    *stream = (struct stream){.id = ++streams->last_id,
                              .token = TAKE_PTR(whose),
                              .job = TAKE_PTR(what),
                              .cursor = cursor,
                              .alive_ms = clock_monotonic_ms()};
    text_add(&stream->buffer, "retry: 1000\n\n"); /* the head of the answer goes out at once */
    *out_stream = stream->id;
    pthread_cond_signal(&streams->changed);
    return 0;
}

void streams_close(struct streams *streams, int64_t id)
{
    LOCK_SCOPE(&streams->lock);
    struct stream *stream = find(streams, id);

    if (stream)
        stream_clear(stream);
}

long streams_read(struct streams *streams, int64_t id, char *out, size_t max, void (*function)(void *context),
                  void *context)
{
    LOCK_SCOPE(&streams->lock);
    struct stream *stream = find(streams, id);

    if (!stream)
        return -1;
    size_t len = stream->buffer.len - stream->sent;
    if (len == 0 && !stream->ended) {
        stream->wake = function;
        stream->wake_context = context;
        return 0;
    }
    if (len == 0)
        return -1;
    len = len < max ? len : max;
    memcpy(out, stream->buffer.data + stream->sent, len);
    stream->sent += len;
    if (stream->sent == stream->buffer.len) {
        text_clear(&stream->buffer);
        stream->sent = 0;
    }
    return (long)len;
}
