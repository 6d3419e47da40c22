/* view.h over the fake's tables. */
#include "fake/coordinator/internal.h"

#include "base/clock.h"
#include "base/facts.h"
#include "base/parse.h"
#include "model/job_state.h"
#include "model/select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct view_reader {
    struct coordinator *fake;
};

int view_reader_open(const char *path, struct view_reader **out, struct err *err)
{
    void *fake = NULL;

    if (sscanf(path, "fake:%p", &fake) != 1)
        return err_set(err, ERR_RETRY, "no view");
    struct view_reader *reader = calloc(1, sizeof *reader);
    reader->fake = fake;
    *out = reader;
    return 0;
}

void view_reader_close(struct view_reader *reader)
{
    free(reader);
}

static const char *text(const json_t *object, const char *member)
{
    const char *value = json_string_value(json_object_get(object, member));

    return value ? value : "";
}

static bool same_target(const json_t *target, const char *wanted)
{
    char own[300];

    snprintf(own, sizeof own, "%s:%s", text(target, "kind"), text(target, "id"));
    return strcmp(own, wanted) == 0;
}

static bool labels_match(const json_t *item, const char *text_)
{
    struct selector *selector = NULL;
    struct facts labels = {0};
    const char *key;
    json_t *value;

    if (selector_parse(text_, &selector, NULL) < 0)
        return false;
    json_object_foreach(json_object_get(item, "labels"), key, value)
        facts_set(&labels, key, json_string_value(value), NULL);
    bool match = selector_match(selector, &labels);
    facts_clear(&labels);
    selector_free(selector);
    return match;
}

static bool ended(const json_t *item)
{
    int index = name_index(job_state_names, text(item, "state"));

    return index >= 0 && job_state_terminal((enum job_state)index);
}

static bool has_state(const json_t *item, const char *state)
{
    if (strcmp(state, "LOST") == 0)
        return json_is_true(json_object_get(item, "lost")) && !ended(item);
    return strcmp(text(item, "state"), state) == 0;
}

static bool matches(const json_t *item, const struct view_filter *filter)
{
    const char *id = *text(item, "job_id") ? text(item, "job_id") : text(item, "id");

    return (!filter->target || same_target(json_object_get(item, "target"), filter->target)) &&
           (!filter->host || strcmp(text(item, "host"), filter->host) == 0) &&
           (!filter->state || has_state(item, filter->state)) &&
           (!filter->op || strcmp(text(item, "op"), filter->op) == 0) &&
           (!filter->kind || strcmp(text(item, "kind"), filter->kind) == 0) &&
           (!filter->repository || strcmp(text(item, "repository"), filter->repository) == 0) &&
           (!filter->id_prefix || strncmp(id, filter->id_prefix, strlen(filter->id_prefix)) == 0) &&
           (!filter->selector || labels_match(item, filter->selector)) && (!filter->open_only || !ended(item));
}

/* Cursor: the index of the next item. */
static int page_of(const json_t *all, const struct view_filter *filter, json_t **out)
{
    json_t *items = json_array(), *next = json_null();
    size_t limit = (size_t)(filter->limit ? filter->limit : 100), index;
    int64_t skip = 0;
    char as_of[40];

    if (filter->after)
        parse_int(filter->after, 0, 1000000, &skip, NULL);
    for (index = (size_t)skip; index < json_array_size(all); index++) {
        if (json_array_size(items) == limit) {
            next = json_sprintf("%zu", index);
            break;
        }
        if (matches(json_array_get(all, index), filter))
            json_array_append_new(items, json_deep_copy(json_array_get(all, index)));
    }
    *out = json_pack("{s:o, s:o, s:s}", "items", items, "next", next, "as_of",
                     format_rfc3339(clock_real_ms(), as_of, sizeof as_of));
    return 0;
}

static int list(struct view_reader *reader, const char *what, const struct view_filter *filter, json_t **out,
                struct err *err)
{
    struct selector *selector = NULL;

    if (filter->selector && selector_parse(filter->selector, &selector, err) < 0)
        return -1;
    selector_free(selector);
    LOCK_SCOPE(&reader->fake->lock);
    return page_of(json_object_get(reader->fake->tables, what), filter, out);
}

int view_hosts(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    return list(reader, "hosts", filter, out, err);
}

int view_targets(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    return list(reader, "targets", filter, out, err);
}

static bool is_verified(const json_t *point)
{
    const json_t *checks = json_object_get(point, "verified");

    return json_is_true(json_object_get(json_array_get(checks, json_array_size(checks) - 1), "ok"));
}

static bool is_gone(struct view_reader *reader, const json_t *target)
{
    const json_t *item;
    size_t index;

    LOCK_SCOPE(&reader->fake->lock);
    json_array_foreach(json_object_get(reader->fake->tables, "targets"), index, item)
    {
        if (strcmp(text(json_object_get(item, "target"), "id"), text(target, "id")) == 0)
            return false;
    }
    return true;
}

/* What the real view decides from the records; `latest` is its own affair and tried with real servers. */
int view_points(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    int result = list(reader, "points", filter, out, err);
    json_t *items = result < 0 ? NULL : json_object_get(*out, "items");

    for (size_t i = json_array_size(items); i-- > 0;) {
        const json_t *point = json_array_get(items, i);
        if ((filter->full && strcmp(text(point, "backup_kind"), "full") != 0) ||
            (filter->verified && !is_verified(point)) ||
            (filter->parent && strcmp(text(point, "parent"), filter->parent) != 0) ||
            (filter->group && strcmp(text(point, "group_name"), filter->group) != 0) ||
            (filter->gone && !is_gone(reader, json_object_get(point, "target"))))
            json_array_remove(items, i);
    }
    return result;
}

int view_repositories(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    return list(reader, "repositories", filter, out, err);
}

int view_dead_letters(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    return list(reader, "dead_letters", filter, out, err);
}

int view_jobs(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    json_t *all = json_array();

    (void)err;
    LOCK_SCOPE(&reader->fake->lock);
    for (size_t i = json_array_size(reader->fake->order); i-- > 0;)
        json_array_append(
            all, json_object_get(reader->fake->jobs, json_string_value(json_array_get(reader->fake->order, i))));
    page_of(all, filter, out);
    json_decref(all);
    return 0;
}

int view_job(struct view_reader *reader, const char *job_id, json_t **out, struct err *err)
{
    (void)err;
    LOCK_SCOPE(&reader->fake->lock);
    *out = json_deep_copy(json_object_get(reader->fake->jobs, job_id));
    return 0;
}

int view_follow(struct view_reader *reader, const char *job_id, int64_t *cursor, int timeout_ms, json_t **out,
                struct err *err)
{
    struct coordinator *fake = reader->fake;
    json_t *events = json_array();

    (void)timeout_ms;
    (void)err;
    LOCK_SCOPE(&fake->lock);
    for (size_t i = (size_t)(*cursor > 0 ? *cursor : 0); i < json_array_size(fake->events); i++) {
        json_t *event = json_array_get(fake->events, i);
        if (job_id && strcmp(text(event, "job_id"), job_id) != 0)
            continue;
        json_array_append_new(events, json_deep_copy(event));
        *cursor = (int64_t)i + 1;
    }
    *out = events;
    return 0;
}

int64_t view_news_now(void)
{
    return 0;
}

void view_news_wait(int64_t seen, int timeout_ms)
{
    struct timespec pause = {.tv_nsec = timeout_ms * 1000000L};

    (void)seen;
    nanosleep(&pause, NULL);
}

static bool is_named(const json_t *item, const char *wanted)
{
    const json_t *target = json_object_get(item, "target");
    const char *slash = strchr(wanted, '/');

    if (strchr(wanted, ':'))
        return same_target(target, wanted);
    if (slash &&
        (strncmp(text(item, "host"), wanted, (size_t)(slash - wanted)) != 0 || text(item, "host")[slash - wanted]))
        return false;
    return strcmp(text(target, "name"), slash ? slash + 1 : wanted) == 0;
}

static bool is_near(const char *name, const char *wanted)
{
    size_t same = 0;

    while (name[same] && name[same] == wanted[same])
        same++;
    return same >= 2 && labs((long)strlen(name) - (long)strlen(wanted)) <= 1;
}

static json_t *brief(const json_t *item)
{
    const json_t *target = json_object_get(item, "target");

    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", text(target, "kind"), "id", text(target, "id"), "name",
                     text(target, "name"), "host", text(item, "host"), "state", text(item, "state"));
}

int view_resolve(struct view_reader *reader, const char *wanted, json_t **out, json_t **out_similar, struct err *err)
{
    const json_t *item;
    size_t index;

    (void)err;
    LOCK_SCOPE(&reader->fake->lock);
    *out = json_array();
    if (out_similar)
        *out_similar = json_array();
    json_array_foreach(json_object_get(reader->fake->tables, "targets"), index, item)
    {
        if (is_named(item, wanted))
            json_array_append_new(*out, brief(item));
        else if (out_similar && is_near(text(json_object_get(item, "target"), "name"), wanted))
            json_array_append_new(*out_similar, brief(item));
    }
    return 0;
}

int view_ids(struct view_reader *reader, const char *what, const char *prefix, json_t **out, struct err *err)
{
    const json_t *item;
    const char *id;
    size_t index;

    (void)err;
    LOCK_SCOPE(&reader->fake->lock);
    *out = json_array();
    json_object_foreach(reader->fake->jobs, id, item)
    {
        if (strcmp(what, "job") == 0 && strncmp(id, prefix, strlen(prefix)) == 0)
            json_array_append_new(*out, json_string(id));
    }
    json_array_foreach(json_object_get(reader->fake->tables, "points"), index, item)
    {
        if (strcmp(what, "point") == 0 && strncmp(text(item, "id"), prefix, strlen(prefix)) == 0)
            json_array_append_new(*out, json_string(text(item, "id")));
    }
    return 0;
}
