/* The fake's memory, its jobs and its ledger. */
#include "fake/coordinator/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "model/job_state.h"
#include "model/select.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct coordinator_state fake_state = {.leading = true,
                                       .name = "c1",
                                       .term = 7,
                                       .epoch = 3,
                                       .redis_ok = true,
                                       .kafka_ok = true,
                                       .started_at_ms = 1763630000000};

struct coordinator *fake_coordinator_new(void)
{
    struct coordinator *fake = calloc(1, sizeof *fake);

    pthread_mutex_init(&fake->lock, NULL);
    snprintf(fake->view, sizeof fake->view, "fake:%p", (void *)fake);
    fake->tables = json_object();
    fake->scripts = json_object();
    fake->jobs = json_object();
    fake->order = json_array();
    fake->events = json_array();
    fake->submitted = json_array();
    fake->shown = json_array();
    fake->keys = json_object();
    return fake;
}

void fake_coordinator_free(struct coordinator *fake)
{
    json_decref(fake->tables);
    json_decref(fake->scripts);
    json_decref(fake->jobs);
    json_decref(fake->order);
    json_decref(fake->events);
    json_decref(fake->submitted);
    json_decref(fake->shown);
    json_decref(fake->keys);
    for (size_t i = 0; i < fake->ledger_count; i++)
        ledger_entry_free(fake->ledger[i]);
    free(fake->ledger);
    pthread_mutex_destroy(&fake->lock);
    free(fake);
}

const char *fake_coordinator_view(struct coordinator *fake)
{
    return fake->view;
}

static json_t *parse(const char *json)
{
    json_error_t problem;
    json_t *value = json_loads(json, 0, &problem);

    if (!value)
        fprintf(stderr, "fixture: %s at %d:%d\n", problem.text, problem.line, problem.column);
    assert(value);
    return value;
}

void fake_load(struct coordinator *fake, const char *what, const char *json)
{
    LOCK_SCOPE(&fake->lock);
    json_object_set_new(fake->tables, what, parse(json));
}

void fake_script(struct coordinator *fake, const char *op, const char *events)
{
    LOCK_SCOPE(&fake->lock);
    json_object_set_new(fake->scripts, op, parse(events));
}

void fake_fail_next(struct coordinator *fake, enum err_kind kind, const char *text, const char *hint)
{
    LOCK_SCOPE(&fake->lock);
    err_set(&fake->next, kind, "%s", text);
    if (hint)
        err_hint(&fake->next, "%s", hint);
}

const json_t *fake_submitted(struct coordinator *fake)
{
    LOCK_SCOPE(&fake->lock);
    json_t *copy = json_deep_copy(fake->submitted);

    json_array_append_new(fake->shown, copy);
    return copy;
}

size_t fake_audits(const struct coordinator *fake)
{
    return fake->audits;
}

const char *fake_last_audit(const struct coordinator *fake)
{
    return fake->audit;
}

void fake_load_fleet(struct coordinator *fake)
{
    LOCK_SCOPE(&fake->lock);
    json_error_t problem;
    json_t *fleet = json_load_file(SOURCE_DIR "/tests/fake/coordinator/fleet.json", 0, &problem);

    if (!fleet)
        fprintf(stderr, "fleet.json: %s at %d:%d\n", problem.text, problem.line, problem.column);
    assert(fleet);
    json_object_update(fake->tables, fleet);
    json_decref(fleet);
}

/* ---- jobs ---- */

static void merge_event(json_t *job, const json_t *event)
{
    static const char *const members[] = {"state",   "phase", "done",   "total", "waiting", "token",
                                          "attempt", "error", "result", "at",    "lost",    "resolved"};
    const char *state = json_string_value(json_object_get(event, "state"));
    int index = state ? name_index(job_state_names, state) : -1;

    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(event, members[i]))
            json_object_set(job, members[i], json_object_get(event, members[i]));
    if (state && strcmp(state, "RUNNING") == 0 && !json_object_get(job, "started_at"))
        json_object_set(job, "started_at", json_object_get(event, "at"));
    if (index >= 0 && job_state_terminal((enum job_state)index))
        json_object_set(job, "ended_at", json_object_get(event, "at"));
}

/* Locked by the caller. */
static void add_event(struct coordinator *fake, const char *job_id, const json_t *partial)
{
    json_t *job = json_object_get(fake->jobs, job_id), *event = json_deep_copy(partial);
    char at[40];

    assert(job);
    json_object_set_new(event, "job_id", json_string(job_id));
    json_object_set(event, "op", json_object_get(job, "op"));
    json_object_set(event, "target", json_object_get(job, "target"));
    json_object_set(event, "host", json_object_get(job, "host"));
    if (!json_object_get(event, "at"))
        json_object_set_new(event, "at", json_string(format_rfc3339(clock_real_ms(), at, sizeof at)));
    merge_event(job, event);
    json_array_append(json_object_get(job, "events"), event);
    json_array_append_new(fake->events, event);
}

void fake_event(struct coordinator *fake, const char *job_id, const char *event)
{
    json_t *parsed = parse(event);

    LOCK_SCOPE(&fake->lock);
    add_event(fake, job_id, parsed);
    json_decref(parsed);
}

void coordinator_state(struct coordinator *fake, struct coordinator_state *out)
{
    (void)fake;
    *out = fake_state;
}

int fake_fails(struct coordinator *fake, struct err *err)
{
    if (fake->next.kind == ERR_NONE)
        return 0;
    *err = fake->next;
    fake->next = (struct err){0};
    return -1;
}

static void run_script(struct coordinator *fake, const char *job_id, const struct job *job)
{
    char name[64];
    const json_t *event;
    size_t index;

    snprintf(name, sizeof name, "%s%s", op_info((enum op)job->op)->name, job->dry_run ? "?dry" : "");
    json_t *planned = json_pack("{s:s}", "state", "PLANNED");
    add_event(fake, job_id, planned);
    json_decref(planned);
    json_array_foreach(json_object_get(fake->scripts, name), index, event) add_event(fake, job_id, event);
}

/* Locked by the caller. */
static void add_job(struct coordinator *fake, const struct caller *caller, const struct job *job, const char *job_id)
{
    CLEANUP(freep) char *text = NULL;
    char at[40];

    assert(record_to_json(&job_record, job, false, &text, NULL) == 0);
    json_t *item = json_loads(text, 0, NULL);
    json_array_append_new(fake->submitted, json_deep_copy(item));
    json_object_set_new(item, "job_id", json_string(job_id));
    json_object_set_new(item, "class", json_string(class_names[job_class(job)]));
    json_object_set_new(item, "requested_by", json_string(caller->token));
    json_object_set_new(item, "issued_at", json_string(format_rfc3339(clock_real_ms(), at, sizeof at)));
    json_object_set_new(item, "dry_run", json_boolean(job->dry_run));
    json_object_set_new(item, "lost", json_false());
    json_object_set_new(item, "events", json_array());
    json_object_set_new(fake->jobs, job_id, item);
    json_array_append_new(fake->order, json_string(job_id));
    run_script(fake, job_id, job);
}

int coordinator_submit(struct coordinator *fake, const struct caller *caller, const struct job *job,
                       const char *idempotency_key, char *out_job_id, struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    const char *known = idempotency_key ? json_string_value(json_object_get(fake->keys, idempotency_key)) : NULL;

    if (fake_fails(fake, err) < 0)
        return -1;
    if (known) {
        memcpy(out_job_id, known, UUID_TEXT);
        return 0;
    }
    uuid_random(out_job_id);
    if (idempotency_key)
        json_object_set_new(fake->keys, idempotency_key, json_string(out_job_id));
    add_job(fake, caller, job, out_job_id);
    return 0;
}

static int add_state(struct coordinator *fake, const char *job_id, const char *state, struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    json_t *event = json_pack("{s:s}", "state", state);
    add_event(fake, job_id, event);
    json_decref(event);
    return 0;
}

int coordinator_cancel(struct coordinator *fake, const struct caller *caller, const char *job_id, const char *reason,
                       struct err *err)
{
    (void)caller;
    (void)reason;
    return add_state(fake, job_id, "CANCELLED", err);
}

int coordinator_set_rate(struct coordinator *fake, const struct caller *caller, const char *job_id, int64_t rate_limit,
                         const char *reason, struct err *err)
{
    (void)caller;
    (void)reason;
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    (void)job_id;
    fake->told_rate = rate_limit;
    return 0;
}

int coordinator_finish(struct coordinator *fake, const struct caller *caller, const char *job_id, const char *reason,
                       struct err *err)
{
    (void)caller;
    (void)reason;
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    (void)job_id;
    fake->told_finish++;
    return 0;
}

int fake_told_finish(struct coordinator *fake)
{
    LOCK_SCOPE(&fake->lock);
    return fake->told_finish;
}

void fake_share(struct coordinator *fake, const struct coordinator_rate *rate)
{
    LOCK_SCOPE(&fake->lock);
    fake->rate = *rate;
}

bool coordinator_rate(struct coordinator *fake, const char *job_id, struct coordinator_rate *out)
{
    (void)job_id;
    LOCK_SCOPE(&fake->lock);
    *out = fake->rate;
    return fake->rate.rate_limit != 0;
}

void coordinator_bandwidth(struct coordinator *fake, const char *repository, const char *name,
                           struct coordinator_bandwidth *out)
{
    (void)repository;
    (void)name;
    LOCK_SCOPE(&fake->lock);
    *out = fake->rate.of;
}

int64_t fake_told_rate(struct coordinator *fake)
{
    LOCK_SCOPE(&fake->lock);
    return fake->told_rate;
}

int coordinator_resolve(struct coordinator *fake, const struct caller *caller, const char *job_id, bool done,
                        const char *reason, struct err *err)
{
    (void)caller;
    (void)reason;
    (void)done;
    return add_state(fake, job_id, "PARKED", err);
}

int coordinator_retry(struct coordinator *fake, const struct caller *caller, const char *job_id, char *out_job_id,
                      struct err *err)
{
    (void)caller;
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    json_t *copy = json_deep_copy(json_object_get(fake->jobs, job_id)),
           *event = json_pack("{s:s}", "state", "SUCCEEDED");
    uuid_random(out_job_id);
    json_object_set_new(copy, "job_id", json_string(out_job_id));
    json_object_set_new(copy, "events", json_array());
    json_object_set_new(fake->jobs, out_job_id, copy);
    json_array_append_new(fake->order, json_string(out_job_id));
    add_event(fake, out_job_id, event);
    json_decref(event);
    return 0;
}

/* ---- ledger ---- */

static size_t find(const struct coordinator *fake, int kind, const char *id)
{
    size_t i = 0;

    while (i < fake->ledger_count && (fake->ledger[i]->kind != kind || strcmp(fake->ledger[i]->id, id) != 0))
        i++;
    return i;
}

int coordinator_put(struct coordinator *fake, const struct caller *caller, const struct ledger_entry *entry,
                    struct err *err)
{
    struct ledger_entry *copy;

    (void)caller;
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0 || ledger_entry_clone(entry, &copy, err) < 0)
        return -1;
    size_t at = find(fake, entry->kind, entry->id);
    if (at < fake->ledger_count) {
        ledger_entry_free(fake->ledger[at]);
    } else {
        fake->ledger = realloc(fake->ledger, ++fake->ledger_count * sizeof *fake->ledger);
    }
    fake->ledger[at] = copy;
    return 0;
}

int coordinator_add(struct coordinator *fake, const struct caller *caller, const struct ledger_entry *entry,
                    struct err *err)
{
    struct ledger_entry *known = NULL;

    if (coordinator_get(fake, entry->kind, entry->id, &known, err) < 0)
        return -1;
    if (!known)
        return coordinator_put(fake, caller, entry, err);
    ledger_entry_free(known);
    return err_set(err, ERR_CONFLICT, "there is one already");
}

int coordinator_get(struct coordinator *fake, int kind, const char *id, struct ledger_entry **out, struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    size_t at = find(fake, kind, id);

    *out = NULL;
    return at < fake->ledger_count && !fake->ledger[at]->gone ? ledger_entry_clone(fake->ledger[at], out, err) : 0;
}

int coordinator_ended_jobs(struct coordinator *fake, const char *repository, size_t max, struct strings *out,
                           bool *out_deletes_ended, struct err *err)
{
    (void)fake;
    (void)repository;
    (void)max;
    *out_deletes_ended = true;
    return strings_add(out, "e0000000-0000-4000-8000-000000000001", err);
}

int coordinator_each(struct coordinator *fake, int kind,
                     int (*each)(void *context, const struct ledger_entry *entry, struct err *err), void *context,
                     struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    for (size_t i = 0; i < fake->ledger_count; i++)
        if (fake->ledger[i]->kind == kind && !fake->ledger[i]->gone && each(context, fake->ledger[i], err) < 0)
            return -1;
    return 0;
}

void fake_put_token(struct coordinator *fake, const char *name, const char *secret_hash, const char *role,
                    const char *classes, const char *selector, int64_t expires_at_ms)
{
    struct ledger_entry entry = {.kind = LEDGER_TOKEN};

    entry.token = calloc(1, sizeof *entry.token);
    string_set(&entry.id, name, NULL);
    string_set(&entry.token->name, name, NULL);
    string_set(&entry.token->hash, secret_hash, NULL);
    string_set(&entry.token->role, role, NULL);
    string_set(&entry.token->classes, classes, NULL);
    string_set(&entry.token->selector, selector, NULL);
    entry.token->expires_at_ms = expires_at_ms;
    coordinator_put(fake, NULL, &entry, NULL);
    ledger_entry_clear(&entry);
}

int coordinator_enroll(struct coordinator *fake, const struct caller *caller, const char *host, bool rotate,
                       char **out_key_file, struct err *err)
{
    (void)caller;
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    return asprintf(out_key_file, "%d key-of-%s\n", rotate ? 2 : 1, host) < 0 ? err_memory(err, "key") : 0;
}

int coordinator_set_host(struct coordinator *fake, const struct caller *caller, const char *host, const char *state,
                         const char *why, struct err *err)
{
    struct ledger_host record = {.state = (char *)state};
    const struct ledger_entry entry = {.kind = LEDGER_HOST, .id = (char *)host, .host = &record, .why = (char *)why};

    return coordinator_put(fake, caller, &entry, err);
}

int coordinator_replace_host(struct coordinator *fake, const struct caller *caller, const char *host, const char *why,
                             char **out_key_file, struct err *err)
{
    (void)caller;
    (void)why;
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    return asprintf(out_key_file, "3 key-of-%s\n", host) < 0 ? err_memory(err, "key") : 0;
}

void coordinator_audit(struct coordinator *fake, const struct caller *caller, const char *action, const char *subject,
                       const char *reason, const char *outcome)
{
    (void)caller;
    (void)reason;
    LOCK_SCOPE(&fake->lock);
    fake->audits++;
    snprintf(fake->audit, sizeof fake->audit, "%s %s: %s", action, subject, outcome);
}

int coordinator_topic_key(struct coordinator *fake, const char *token, char **out_sealed, struct err *err)
{
    (void)fake;
    (void)token;
    *out_sealed = NULL;
    return string_set(out_sealed, "sealed", err);
}
