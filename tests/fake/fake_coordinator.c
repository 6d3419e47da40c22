#include "fake/fake_coordinator.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/facts.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "coordinator/deploys.h"
#include "coordinator/plans.h"
#include "coordinator/plans_recover.h"
#include "coordinator/transfer.h"
#include "model/job_state.h"
#include "model/select.h"
#include "model/status.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct coordinator {
    pthread_mutex_t lock; /* protects everything */
    char view[32];
    json_t *tables;  /* hosts, targets … → array */
    json_t *scripts; /* op → array */
    json_t *jobs;    /* job_id → item, with "events" */
    json_t *order;   /* job ids, oldest first */
    json_t *events;  /* all, oldest first: index + 1 is the cursor */
    json_t *submitted;
    json_t *shown; /* copies that fake_submitted handed out: the server's threads go on writing the other */
    json_t *keys;  /* idempotency key → job_id */
    struct ledger_entry **ledger;
    size_t ledger_count;
    struct err next;
    int64_t told_rate;
    int told_finish;
    size_t audits;
    char audit[512];
};

struct view_reader {
    struct coordinator *fake;
};

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
    fake_load(
        fake, "hosts",
        "[{\"host\":\"alpha\",\"version\":\"0.1.0\",\"state\":\"running\",\"alive\":true,\"enrolled\":true,\"heartbeat_at\":\"2026-11-20T14:00:00Z\",\"open_jobs\":0,"
        "\"running\":0,\"waiting\":0,\"executors\":4,\"journal_bytes\":1258291,\"clock_skew_ms\":3,"
        "\"backends\":[{\"kind\":\"libvirt\",\"uri\":\"qemu:///system\",\"version\":\"libvirt 9.0.0, QEMU 7.2\",\"ok\":true}],"
        "\"repositories\":[{\"id\":\"b0000000-0000-4000-8000-000000000001\",\"name\":\"main\",\"path\":\"/backup/main\",\"free_bytes\":500000000000,\"total_bytes\":1000000000000,\"min_free_bytes\":100000000000,\"ok\":true}]},"
        "{\"host\":\"beta\",\"version\":\"0.1.0\",\"state\":\"running\",\"alive\":false,\"enrolled\":true,\"heartbeat_at\":\"2026-11-20T13:55:48Z\",\"open_jobs\":2}]");
    fake_load(
        fake, "targets",
        "[{\"host\":\"alpha\",\"target\":{\"kind\":\"libvirt\",\"id\":\"a0000000-0000-4000-8000-000000000001\",\"name\":\"shop-1\"},\"state\":\"running\",\"agent\":\"answers\","
        "\"labels\":{\"app\":\"shop\",\"tier\":\"web\"},\"host_alive\":true,\"migratable\":false,\"migratable_reason\":\"1 snapshot\",\"at\":\"2026-11-20T14:00:00Z\","
        "\"disks\":[{\"name\":\"vda\",\"device\":\"disk\",\"format\":\"qcow2\",\"source\":\"/vm/shop-1.qcow2\",\"size_bytes\":10737418240,\"backup\":\"incremental\"}],"
        "\"snapshots\":[{\"name\":\"before-deploy\",\"state\":\"disk-only\",\"created_at\":\"2026-11-20T14:02:00Z\",\"children\":1,\"current\":false,\"has_metadata\":true,\"location\":\"external\",\"owner\":\"d0000000-0000-4000-8000-000000000001\",\"level\":\"filesystem\"},"
        "{\"name\":\"after-migration\",\"parent\":\"before-deploy\",\"state\":\"disk-only\",\"created_at\":\"2026-11-21T09:11:00Z\",\"children\":0,\"current\":true,\"has_metadata\":true,\"location\":\"external\",\"owner\":\"d0000000-0000-4000-8000-000000000002\",\"level\":\"filesystem\"},"
        "{\"name\":\"experiment\",\"state\":\"shutoff\",\"created_at\":\"2026-11-18T08:00:00Z\",\"children\":0,\"current\":false,\"has_metadata\":true,\"location\":\"internal\"}],"
        "\"last_backup\":{\"id\":\"c0000000-0000-4000-8000-000000000002\",\"kind\":\"incremental\",\"created_at\":\"2026-11-20T11:00:00Z\",\"size_bytes\":1258291,\"verified\":\"boot\"}},"
        "{\"host\":\"beta\",\"target\":{\"kind\":\"libvirt\",\"id\":\"a0000000-0000-4000-8000-000000000002\",\"name\":\"shop-2\"},\"state\":\"running\",\"agent\":\"silent\","
        "\"labels\":{\"app\":\"shop\",\"tier\":\"db\"},\"host_alive\":false,\"migratable\":true,\"last_backup\":null},"
        "{\"host\":\"alpha\",\"target\":{\"kind\":\"libvirt\",\"id\":\"a0000000-0000-4000-8000-000000000003\",\"name\":\"db\"},\"state\":\"paused\",\"host_alive\":true,\"migratable\":true,\"last_backup\":null},"
        "{\"host\":\"beta\",\"target\":{\"kind\":\"libvirt\",\"id\":\"a0000000-0000-4000-8000-000000000004\",\"name\":\"db\"},\"state\":\"shutoff\",\"host_alive\":false,\"migratable\":true,\"last_backup\":null}]");
    fake_load(
        fake, "repositories",
        "[{\"id\":\"b0000000-0000-4000-8000-000000000001\",\"name\":\"main\",\"points\":2,\"size_bytes\":1259549696,"
        "\"hosts\":[{\"host\":\"alpha\",\"path\":\"/backup/main\",\"total_bytes\":1000000000000,\"free_bytes\":500000000000,\"min_free_bytes\":100000000000,\"ok\":true}]}]");
    fake_load(
        fake, "points",
        "[{\"id\":\"c0000000-0000-4000-8000-000000000002\",\"kind\":\"backup\",\"state\":\"complete\",\"target\":{\"kind\":\"libvirt\",\"id\":\"a0000000-0000-4000-8000-000000000001\",\"name\":\"shop-1\"},"
        "\"host\":\"alpha\",\"created_at\":\"2026-11-20T11:00:00Z\",\"backup_kind\":\"incremental\",\"parent\":\"c1000000-0000-4000-8000-000000000001\",\"chain\":\"c1000000-0000-4000-8000-000000000001\",\"chain_length\":2,"
        "\"repository\":\"b0000000-0000-4000-8000-000000000001\",\"level\":\"filesystem\",\"size_bytes\":1258291,\"frozen_ms\":38,\"duration_ms\":3400},"
        "{\"id\":\"c1000000-0000-4000-8000-000000000001\",\"kind\":\"backup\",\"state\":\"complete\",\"target\":{\"kind\":\"libvirt\",\"id\":\"a0000000-0000-4000-8000-000000000001\",\"name\":\"shop-1\"},"
        "\"host\":\"alpha\",\"created_at\":\"2026-11-19T11:00:00Z\",\"backup_kind\":\"full\",\"chain\":\"c1000000-0000-4000-8000-000000000001\",\"chain_length\":1,"
        "\"repository\":\"b0000000-0000-4000-8000-000000000001\",\"level\":\"filesystem\",\"size_bytes\":1258291405,"
        "\"verified\":[{\"at\":\"2026-11-19T12:00:00Z\",\"depth\":\"checksum\",\"ok\":true}]},"
        "{\"id\":\"d0000000-0000-4000-8000-000000000001\",\"kind\":\"snapshot\",\"state\":\"complete\",\"target\":{\"kind\":\"libvirt\",\"id\":\"a0000000-0000-4000-8000-000000000001\",\"name\":\"shop-1\"},"
        "\"host\":\"alpha\",\"name\":\"before-deploy\",\"created_at\":\"2026-11-20T14:02:00Z\"}]");
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

static int fails(struct coordinator *fake, struct err *err)
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

    if (fails(fake, err) < 0)
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
    if (fails(fake, err) < 0)
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
    if (fails(fake, err) < 0)
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
    if (fails(fake, err) < 0)
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
    if (fails(fake, err) < 0)
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
    if (fails(fake, err) < 0 || ledger_entry_clone(entry, &copy, err) < 0)
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
    if (fails(fake, err) < 0)
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
    if (fails(fake, err) < 0)
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

/* ---- view ---- */

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

/* ---- policies and runs: lists are the tables "policies" and "runs"; what is found there by name or id is shown, changed and cancelled ---- */

static json_t *find_item(struct coordinator *fake, const char *table, const char *member, const char *value)
{
    json_t *item;
    size_t index;

    json_array_foreach(json_object_get(fake->tables, table), index, item)
    {
        const char *text = json_string_value(json_object_get(item, member));
        if (text && strncmp(text, value, strlen(value)) == 0)
            return item;
    }
    return NULL;
}

static int copy_table(struct coordinator *fake, const char *table, json_t **out, struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    if (fails(fake, err) < 0)
        return -1;
    *out = json_deep_copy(json_object_get(fake->tables, table));
    if (!*out)
        *out = json_array();
    return 0;
}

static int copy_item(struct coordinator *fake, const char *table, const char *member, const char *value, json_t **out,
                     struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    if (fails(fake, err) < 0)
        return -1;
    *out = json_deep_copy(find_item(fake, table, member, value));
    return *out != NULL;
}

static int change_item(struct coordinator *fake, const char *table, const char *member, const char *value,
                       const char *changed, json_t *to, struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    json_t *item = find_item(fake, table, member, value);
    int result = fails(fake, err) < 0 ? -1 : item != NULL;

    if (result > 0)
        json_object_set(item, changed, to);
    json_decref(to);
    return result;
}

/* No YAML here: a text with a tab is wrong, another is one policy "nightly". */
int plans_apply(struct coordinator *fake, const struct caller *caller, const char *file, const char *yaml,
                const char *reason, bool dry_run, json_t **out, struct err *err)
{
    (void)caller;
    (void)reason;
    LOCK_SCOPE(&fake->lock);
    if (fails(fake, err) < 0)
        return -1;
    if (strchr(yaml, '\t'))
        return err_set(err, ERR_PERMANENT, "%s:1:1: a tab", file);
    json_t *known = find_item(fake, "policies", "name", "nightly");
    const char *before = json_string_value(json_object_get(known, "source"));
    *out = json_pack("{s:[{s:s, s:i, s:s, s:s?, s:s}]}", "policies", "name", "nightly", "version", known ? 2 : 1,
                     "change",
                     !known                                ? "created"
                     : before && strcmp(before, yaml) == 0 ? "unchanged"
                                                           : "changed",
                     "before", before, "after", yaml);
    if (known && !dry_run)
        json_object_set_new(known, "source", json_string(yaml));
    return 0;
}

int plans_list(struct coordinator *fake, json_t **out, struct err *err)
{
    return copy_table(fake, "policies", out, err);
}

int plans_show(struct coordinator *fake, const char *name, json_t **out, struct err *err)
{
    return copy_item(fake, "policies", "name", name, out, err) < 0 ? -1 : 0;
}

int plans_pause(struct coordinator *fake, const struct caller *caller, const char *name, bool pause, const char *reason,
                struct err *err)
{
    (void)caller;
    (void)reason;
    return change_item(fake, "policies", "name", name, "paused", json_boolean(pause), err);
}

int plans_delete(struct coordinator *fake, const struct caller *caller, const char *name, const char *reason,
                 struct err *err)
{
    (void)caller;
    (void)reason;
    return change_item(fake, "policies", "name", name, "name", json_string("(deleted)"), err);
}

int plans_run_now(struct coordinator *fake, struct view_reader *reader, const struct caller *caller, const char *name,
                  char *out_run_id, struct err *err)
{
    json_t *run = NULL;
    int result = copy_item(fake, "runs", "policy", name, &run, err);

    (void)reader;
    (void)caller;
    if (result > 0)
        snprintf(out_run_id, 37, "%s", json_string_value(json_object_get(run, "run_id")));
    json_decref(run);
    return result;
}

int plans_preview(struct coordinator *fake, struct view_reader *reader, const char *name, const char *file,
                  const char *yaml, int64_t firings, json_t **out, struct err *err)
{
    (void)reader;
    (void)file;
    (void)firings;
    return copy_item(fake, "previews", "name", yaml ? "nightly" : name, out, err);
}

/* Who has a backup is protected, by the policy "nightly". */
int plans_annotate(struct coordinator *fake, json_t *items, bool unprotected_only, struct err *err)
{
    (void)fake;
    (void)err;
    for (size_t i = json_array_size(items); i-- > 0;) {
        json_t *item = json_array_get(items, i);
        bool has = json_is_object(json_object_get(item, "last_backup"));
        json_object_set_new(item, "policies", has ? json_pack("[s]", "nightly") : json_array());
        json_object_set_new(item, "protection", json_string(has ? "protected" : "unprotected"));
        if (unprotected_only && has)
            json_array_remove(items, i);
    }
    return 0;
}

int transfer_export(struct coordinator *fake, json_t **out, struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    if (fails(fake, err) < 0)
        return -1;
    *out = json_pack("{s:i, s:i, s:[{s:s}]}", "fleetsnap_export", TRANSFER_VERSION, "epoch", 3, "records", "id",
                     "alpha");
    return *out ? 0 : err_memory(err, "export");
}

int transfer_import(struct coordinator *fake, const struct caller *caller, const json_t *document, bool dry_run,
                    json_t **out, struct err *err)
{
    int count = (int)json_array_size(json_object_get(document, "records"));

    (void)caller;
    LOCK_SCOPE(&fake->lock);
    if (fails(fake, err) < 0)
        return -1;
    *out = json_pack("{s:b, s:o, s:{s:{s:i, s:i}}}", "dry_run", dry_run, "epoch",
                     json_object_get(document, "epoch") ? json_integer(1027) : json_null(), "kinds", "host", "added",
                     count, "there", 0);
    return *out ? 0 : err_memory(err, "import");
}

int plans_recover(struct coordinator *fake, struct view_reader *reader, const struct caller *caller,
                  const struct recovery *asked, json_t **out, struct err *err)
{
    (void)reader;
    (void)caller;
    LOCK_SCOPE(&fake->lock);
    if (fails(fake, err) < 0)
        return -1;
    *out = json_pack("{s:s, s:s?, s:b, s:[{s:i, s:s, s:s, s:s, s:s, s:i, s:s}, {s:n, s:s, s:n, s:s}], s:i, s:i, s:i}",
                     "host", asked->host, "run_id", asked->dry_run ? NULL : "5f1e0000-0000-4000-8000-000000000001",
                     "dry_run", asked->dry_run, "targets", "order", 1, "name", "shop-2", "point",
                     "5f1e2a33-0000-4000-8000-000000000001", "backup_kind", "full", "created_at", "2026-11-20T02:14:00Z",
                     "size_bytes", 1073741824, "onto", asked->onto->items[0], "order", "name", "legacy", "onto", "why",
                     "no good backup: it cannot be recovered", "recoverable", 1, "total", 2, "size_bytes", 1073741824);
    return *out ? 0 : err_memory(err, "recover");
}

int plans_report(struct coordinator *fake, struct view_reader *reader, int64_t since_ms, json_t **out, struct err *err)
{
    (void)fake;
    (void)reader;
    (void)err;
    *out = json_pack(
        "{s:I, s:{s:i, s:i, s:i, s:i, s:i, s:s, s:i, s:i, s:i, s:[{s:s, s:i}]}, "
        "s:[{s:s, s:s, s:i, s:i, s:i, s:i, s:s, s:i, s:s, s:i}], s:[{s:s, s:s, s:i, s:s}, {s:s, s:s, s:n, s:s}]}",
        "since_ms", (json_int_t)since_ms, "fleet", "targets", 4, "restorable", 1, "late", 1, "unprotected", 2,
        "worst_age_ms", 97200000, "worst_target", "shop-1", "worst_gap_ms", 97200000, "unverified", 3, "failures", 2,
        "causes", "cause", "backup.create FAILED: no room", "count", 2, "policies", "name", "nightly", "operation",
        "backup.create", "targets", 2, "restorable", 1, "late", 1, "worst_age_ms", 97200000, "worst_target", "shop-1",
        "max_age_ms", 93600000, "last_verified_at", "2026-11-19T12:00:00Z", "failures", 2, "targets", "name", "shop-1",
        "host", "alpha", "age_ms", 97200000, "protection", "late", "name", "db", "host", "beta", "age_ms", "protection",
        "unprotected");
    return *out ? 0 : -1;
}

int plans_runs(struct coordinator *fake, const char *policy, bool open_only, int64_t limit, json_t **out,
               struct err *err)
{
    (void)policy;
    (void)open_only;
    (void)limit;
    return copy_table(fake, "runs", out, err);
}

int plans_run_show(struct coordinator *fake, struct view_reader *reader, const char *prefix, json_t **out,
                   struct err *err)
{
    (void)reader;
    return copy_item(fake, "runs", "run_id", prefix, out, err);
}

int plans_run_cancel(struct coordinator *fake, const struct caller *caller, const char *prefix, const char *reason,
                     char *out_run_id, struct err *err)
{
    (void)caller;
    snprintf(out_run_id, 37, "%s", prefix);
    return change_item(fake, "runs", "run_id", prefix, "cancel", json_string(reason ? reason : ""), err);
}

/* ---- deploys ---- */

/* As the table "deploys" has it; a list in its "next" is states that it comes to, one each time that it is shown. */
int deploys_show(struct coordinator *fake, struct view_reader *reader, const struct caller *caller, const char *id,
                 json_t **out, struct err *err)
{
    (void)reader;
    (void)caller;
    LOCK_SCOPE(&fake->lock);
    json_t *item = find_item(fake, "deploys", "deploy_id", id), *next = json_object_get(item, "next");

    if (fails(fake, err) < 0)
        return -1;
    if (json_array_size(next)) {
        json_object_update(item, json_array_get(next, 0));
        json_array_remove(next, 0);
    }
    *out = item ? json_deep_copy(item) : NULL;
    return item != NULL;
}

int deploys_begin(struct coordinator *fake, struct view_reader *reader, const struct caller *caller, const char *id,
                  const struct deploy *asked, bool dry_run, json_t **out, struct err *err)
{
    CLEANUP(freep) char *text = NULL;
    int found = deploys_show(fake, reader, caller, id, out, err);

    if (found)
        return found < 0 ? -1 : 0;
    if (strstr(asked->selector, "nothing"))
        return err_set(err, ERR_PERMANENT, "no target has the labels \"%s\"", asked->selector);
    if (record_to_json(&deploy_record, asked, false, &text, err) < 0)
        return -1;
    LOCK_SCOPE(&fake->lock);
    *out = json_loads(text, 0, NULL);
    json_object_set_new(*out, "deploy_id", json_string(id));
    json_object_set_new(*out, "dry_run", json_boolean(dry_run));
    return 0;
}

int deploys_say(struct coordinator *fake, struct view_reader *reader, const struct caller *caller, const char *id,
                const struct deploy_word *word, bool dry_run, json_t **out, struct err *err)
{
    CLEANUP(freep) char *text = NULL;
    int found = deploys_show(fake, reader, caller, id, out, err);

    if (found <= 0)
        return found;
    if (record_to_json(&deploy_word_record, word, false, &text, err) < 0)
        return -1;
    json_object_set_new(*out, "said", json_loads(text, 0, NULL));
    json_object_set_new(*out, "dry_run", json_boolean(dry_run));
    return 1;
}

int deploys_list(struct coordinator *fake, const struct caller *caller, bool open_only, int64_t limit, json_t **out,
                 struct err *err)
{
    (void)caller;
    (void)open_only;
    (void)limit;
    return copy_table(fake, "deploys", out, err);
}

int coordinator_topic_key(struct coordinator *fake, const char *token, char **out_sealed, struct err *err)
{
    (void)fake;
    (void)token;
    *out_sealed = NULL;
    return string_set(out_sealed, "sealed", err);
}
