/*
 * Every record is complete and replaces what was known of its (kind, id); so replay is a table of nodes and one rule: the newest record wins, the keys of the others are
 * remembered until their tombstones are seen. Keys are unique per record because compaction must remove nothing by itself: a later record under the same key would make
 * an earlier one vanish before anyone knows whether the later one counts.
 */
#include "coordinator/ledger_internal.h"

#include "base/err.h"
#include "model/job_state.h"

#include <stdio.h>
#include <utlist.h>

/* Of a hundred thousand nodes each that is passed on the way to another is a miss of the cache. */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 4U

int ledger_new(struct ledger **out, struct err *err)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);

    if (!ledger)
        return err_memory(err, "ledger");
    *out = ledger;
    return 0;
}

static void ended_free(struct ledger_ended *ended)
{
    if (!ended)
        return;
    free(ended->target);
    free(ended->repository);
    free(ended->point);
    free(ended);
}

static void node_free(struct ledger_node *node)
{
    ledger_entry_free(node->entry);
    ended_free(node->ended);
    free(node->older);
    free(node->key);
    free(node);
}

static void unlist(struct ledger *ledger, struct ledger_node *node)
{
    if (!node->listed)
        return;
    if (node->ended)
        DL_DELETE(ledger->ended, node);
    else if (node->entry->kind != LEDGER_JOB)
        DL_DELETE(ledger->others, node);
    else {
        DL_DELETE(ledger->open, node);
        ledger->open_count--;
    }
    node->listed = false;
}

static void enlist(struct ledger *ledger, struct ledger_node *node)
{
    if (node->listed)
        return;
    if (node->ended)
        DL_APPEND(ledger->ended, node);
    else if (node->entry->kind != LEDGER_JOB)
        DL_APPEND(ledger->others, node);
    else {
        DL_APPEND(ledger->open, node);
        ledger->open_count++;
    }
    node->listed = true;
}

void ledger_remove(struct ledger *ledger, struct ledger_node *node)
{
    if (node->marks)
        marks_forget(ledger, node);
    marks_forget_job(ledger, node);
    unlist(ledger, node);
    HASH_DEL(ledger->nodes, node);
    node_free(node);
}

void ledger_clear(struct ledger *ledger)
{
    struct ledger_node *node, *next;
    struct host_name *host, *next_host;

    ledger->open = ledger->ended = ledger->others = ledger->idle_marks = NULL;
    ledger->open_count = 0;
    HASH_ITER (hh, ledger->nodes, node, next) {
        HASH_DEL(ledger->nodes, node);
        node_free(node);
    }
    HASH_ITER (hh, ledger->hosts, host, next_host) {
        HASH_DEL(ledger->hosts, host);
        free(host);
    }
    ledger->generation++;
    ledger->keys_version++;
    ledger->holds_version++;
}

void ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return;
    ledger_clear(ledger);
    free(ledger);
}

uint64_t ledger_generation(const struct ledger *ledger)
{
    return ledger->generation;
}

uint64_t ledger_holds_version(const struct ledger *ledger)
{
    return ledger->holds_version;
}

uint64_t ledger_keys_version(const struct ledger *ledger)
{
    return ledger->keys_version;
}

static struct ledger_node *find_key(const struct ledger *ledger, const char *key)
{
    struct ledger_node *node;

    HASH_FIND_STR(ledger->nodes, key, node);
    return node;
}

struct ledger_node *ledger_find(const struct ledger *ledger, int kind, const char *id)
{
    char key[LEDGER_KEY_TEXT];

    ledger_node_key(key, kind, id);
    return find_key(ledger, key);
}

struct ledger_node *ledger_find_job(const struct ledger *ledger, const char *job_id)
{
    return ledger_find(ledger, LEDGER_JOB, job_id);
}

struct ledger_node *ledger_first(const struct ledger *ledger)
{
    return ledger->nodes;
}

struct ledger_node *ledger_first_other(const struct ledger *ledger)
{
    return ledger->others;
}

struct ledger_node *ledger_first_open_job(const struct ledger *ledger)
{
    return ledger->open;
}

struct ledger_node *ledger_first_ended_job(const struct ledger *ledger)
{
    return ledger->ended;
}

size_t ledger_open_jobs(const struct ledger *ledger)
{
    return ledger->open_count;
}

/* Thousands of ended jobs share a few hosts. */
static const char *intern_host(struct ledger *ledger, const char *name)
{
    struct host_name *host;

    HASH_FIND_STR(ledger->hosts, name, host);
    if (host)
        return host->name;
    host = calloc(1, sizeof *host + strlen(name) + 1);
    if (!host)
        return NULL;
    strcpy(host->name, name);
    HASH_ADD_STR(ledger->hosts, name, host);
    return host->name;
}

static struct ledger_ended *make_ended(struct ledger *ledger, const struct ledger_job *record)
{
    struct ledger_ended *ended = calloc(1, sizeof *ended);
    const struct repository_ref *repository = job_repository(record->job);
    char target[TARGET_TEXT];
    const char *point = ledger_params_point(record->job);
    int outcome = name_index(job_state_names, record->outcome);

    if (!ended)
        return NULL;
    *ended = (struct ledger_ended){
        .ended_at_ms = record->ended_at_ms,
        .outcome = outcome < 0 ? STATE_FAILED : outcome,
        .op = record->job->op,
        .host = intern_host(ledger, record->job->host ? record->job->host : ""),
        .target = strdup(target_format(&record->job->target, target)),
        .repository = repository && repository->id ? strdup(repository->id) : NULL,
        .point = point ? strdup(point) : NULL,
    };
    if (ended->host && ended->target)
        return ended;
    ended_free(ended);
    return NULL;
}

void ledger_compact(struct ledger *ledger, struct ledger_node *node)
{
    struct ledger_ended *ended;

    if (!node->entry || !node->entry->job || !node->entry->job->outcome || !node->entry->job->job)
        return;
    ended = make_ended(ledger, node->entry->job);
    if (!ended)
        return; /* no memory to save memory: it stays as it is */
    unlist(ledger, node);
    node->ended = ended;
    ledger_entry_free(TAKE_PTR(node->entry));
    enlist(ledger, node);
}

static int note_ref(struct ledger_node *node, struct ledger_ref ref, struct err *err)
{
    if (node->newest.term) {
        struct ledger_ref *older = reallocarray(node->older, node->older_count + 1, sizeof *older);
        if (!older)
            return err_memory(err, node->key);
        node->older = older;
        node->older[node->older_count++] = node->newest;
    }
    node->newest = ref;
    return 0;
}

static void settle(struct ledger *ledger, struct ledger_node *node)
{
    int kind = node->entry ? node->entry->kind : LEDGER_JOB;

    if (kind == LEDGER_KEY || kind == LEDGER_HOST)
        ledger->keys_version++;
    if (kind == LEDGER_HOLD || kind == LEDGER_PIN)
        ledger->holds_version++;
    if (kind != LEDGER_JOB)
        return;
    enlist(ledger, node);
    ledger_compact(ledger, node);
}

struct ledger_node *ledger_add(struct ledger *ledger, struct ledger_entry *entry, struct err *err)
{
    struct ledger_node *node = calloc(1, sizeof *node);
    char key[LEDGER_KEY_TEXT];

    ledger_node_key(key, entry->kind, entry->id);
    if (!node || !(node->key = strdup(key))) {
        free(node);
        ledger_entry_free(entry);
        err_memory(err, "ledger");
        return NULL;
    }
    node->entry = entry;
    HASH_ADD_KEYPTR(hh, ledger->nodes, node->key, strlen(node->key), node);
    if (entry->kind != LEDGER_MARKS)
        enlist(ledger, node);
    return node;
}

int ledger_confirm(struct ledger *ledger, struct ledger_node *node, struct ledger_ref ref, struct err *err)
{
    if (note_ref(node, ref, err) < 0)
        return -1;
    settle(ledger, node);
    return 0;
}

static void replace_entry(struct ledger *ledger, struct ledger_node *node, struct ledger_entry *entry)
{
    if (node->ended) { /* what ended stays ended */
        ledger_entry_free(entry);
        return;
    }
    if (entry->kind == LEDGER_JOB && entry->job->published_at_ms)
        marks_forget_published(ledger, node);
    ledger_entry_free(node->entry);
    node->entry = entry;
}

int ledger_apply_marks(struct ledger *ledger, struct ledger_entry *entry, struct ledger_node *const *jobs,
                       struct ledger_node **out, struct err *err)
{
    struct ledger_ref ref = {entry->term, entry->n};
    struct ledger_node *node = ledger_find(ledger, LEDGER_MARKS, entry->id);

    if (node) /* applied before */
        ledger_entry_free(entry);
    else if (!(node = ledger_add(ledger, entry, err)) || marks_apply(ledger, node, ref, jobs, err) < 0)
        return -1;
    if (out)
        *out = node;
    return 0;
}

int ledger_apply(struct ledger *ledger, struct ledger_entry *entry, struct ledger_node **out, struct err *err)
{
    if (entry->kind == LEDGER_MARKS)
        return ledger_apply_marks(ledger, entry, NULL, out, err);
    struct ledger_node *node = ledger_find(ledger, entry->kind, entry->id);
    struct ledger_ref ref = {entry->term, entry->n};

    if (entry->kind == LEDGER_JOB && (!entry->job || !entry->job->job)) {
        ledger_entry_free(entry);
        return err_set(err, ERR_PERMANENT, "a job record without a job");
    }
    if (node)
        replace_entry(ledger, node, entry);
    else if (!(node = ledger_add(ledger, entry, err)))
        return -1;
    if (out)
        *out = node;
    return ledger_confirm(ledger, node, ref, err);
}

static void drop_older(struct ledger_node *node, struct ledger_ref ref)
{
    for (size_t i = 0; i < node->older_count; i++)
        if (node->older[i].term == ref.term && node->older[i].n == ref.n) {
            node->older[i] = node->older[--node->older_count];
            break;
        }
    if (node->older_count)
        return;
    free(node->older);
    node->older = NULL;
}

void ledger_tombstone(struct ledger *ledger, const char *key, size_t len)
{
    char node_key[LEDGER_KEY_TEXT];
    struct ledger_ref ref;
    struct ledger_node *node;

    if (!ledger_key_parse(key, len, node_key, &ref) || !(node = find_key(ledger, node_key)))
        return;
    drop_older(node, ref);
    if (node->newest.term == ref.term && node->newest.n == ref.n)
        ledger_remove(ledger, node);
}

int64_t ledger_epoch(const struct ledger *ledger, const char **out_run_id)
{
    const struct ledger_node *node = ledger_find(ledger, LEDGER_EPOCH, "redis");

    if (out_run_id)
        *out_run_id = node && node->entry->run_id ? node->entry->run_id : "";
    return node ? node->entry->epoch : 0;
}
