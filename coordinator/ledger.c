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

enum { GENERATION_HOLE_MAX = 16 };

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

/* Written by hand: several are made for each job, and printf costs more than the look-up. What does not fit is cut. */
static size_t add_text(char out[LEDGER_KEY_TEXT], size_t at, const char *text)
{
    size_t len = strlen(text), room = LEDGER_KEY_TEXT - 1 - at;

    len = len < room ? len : room;
    memcpy(out + at, text, len);
    out[at + len] = '\0';
    return at + len;
}

static size_t add_number(char out[LEDGER_KEY_TEXT], size_t at, int64_t number)
{
    char digits[24], *first = digits + sizeof digits - 1;

    *first = '\0';
    do
        *--first = (char)('0' + number % 10);
    while (number /= 10);
    return add_text(out, at, first);
}

void ledger_node_key(char out[LEDGER_KEY_TEXT], int kind, const char *id)
{
    size_t at = add_text(out, 0, ledger_kind_names[kind]);

    add_text(out, add_text(out, at, ":"), id);
}

void ledger_key_format(char out[LEDGER_KEY_TEXT], int kind, const char *id, struct ledger_ref ref)
{
    size_t at;

    ledger_node_key(out, kind, id);
    at = add_text(out, strlen(out), "@");
    at = add_number(out, at, ref.term);
    if (kind != LEDGER_TERM)
        add_number(out, add_text(out, at, "."), ref.n);
}

/* Behind the digits; NULL: there are none, or too many. */
static const char *read_number(const char *at, const char *end, int64_t *out)
{
    enum { DIGITS_MAX = 18 };
    const char *first = at;

    for (*out = 0; at < end && *at >= '0' && *at <= '9' && at - first < DIGITS_MAX; at++)
        *out = *out * 10 + (*at - '0');
    return at > first ? at : NULL;
}

bool ledger_key_parse(const char *key, size_t len, char out_node_key[LEDGER_KEY_TEXT], struct ledger_ref *out)
{
    const char *at = memrchr(key, '@', len), *end = key + len;
    struct ledger_ref ref = {0};

    if (!at || len >= LEDGER_KEY_TEXT)
        return false;
    const char *next = read_number(at + 1, end, &ref.term);
    if (next && next < end && *next == '.')
        next = read_number(next + 1, end, &ref.n);
    if (next != end)
        return false;
    memcpy(out_node_key, key, (size_t)(at - key));
    out_node_key[at - key] = '\0';
    *out = ref;
    return true;
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

static const char *params_point(const struct job *job)
{
    return job->op == OP_BACKUP_DELETE && job->params ? ((const struct params_backup_delete *)job->params)->point : NULL;
}

static struct ledger_ended *make_ended(struct ledger *ledger, const struct ledger_job *record)
{
    struct ledger_ended *ended = calloc(1, sizeof *ended);
    const struct repository_ref *repository = job_repository(record->job);
    char target[TARGET_TEXT];
    const char *point = params_point(record->job);
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

static bool host_enrolled(const struct ledger *ledger, const char *host)
{
    const struct ledger_node *node;

    if (!*host)
        return true;
    node = ledger_find(ledger, LEDGER_HOST, host);
    return node && node->entry && !node->entry->gone && node->entry->host && node->entry->host->state &&
           strcmp(node->entry->host->state, "removed") != 0;
}

/* The id of a generation's record; a rotation adds one, ended ones are forgotten after a while: holes are normal, a long one is the end. */
static const struct ledger_node *find_generation(const struct ledger *ledger, const char *host, uint32_t generation)
{
    char id[128];

    snprintf(id, sizeof id, "%s/%u", host, generation);
    return ledger_find(ledger, LEDGER_KEY, id);
}

int64_t ledger_host_since(const struct ledger *ledger, const char *host)
{
    const struct ledger_node *node = ledger_find(ledger, LEDGER_HOST, host);

    return node && node->entry && node->entry->host ? node->entry->host->since_ms : 0;
}

/* When a generation ended: by its own record, or with the machine that had it. */
static int64_t generation_end(const struct ledger_node *node, int64_t since_ms)
{
    const struct ledger_key *key = node ? node->entry->key : NULL;
    bool of_the_old = since_ms && (!key || key->created_at_ms < since_ms);

    if (!key || !key->ended_at_ms)
        return of_the_old ? since_ms : 0;
    return of_the_old && since_ms < key->ended_at_ms ? since_ms : key->ended_at_ms;
}

bool ledger_generations(const struct ledger *ledger, const char *host, struct ledger_generation *out, size_t max,
                        size_t *out_count)
{
    int64_t since_ms = ledger_host_since(ledger, host);
    size_t count = 0;
    uint32_t hole = 0;

    if (!host_enrolled(ledger, host))
        return false;
    for (uint32_t generation = 1; hole < GENERATION_HOLE_MAX; generation++) {
        const struct ledger_node *node = find_generation(ledger, host, generation);
        hole = node ? 0 : hole + 1;
        if (generation > 1 ? !node || node->entry->gone || !node->entry->key
                           : node && (node->entry->gone || !node->entry->key))
            continue;
        count = count < max ? count + 1 : max;
        memmove(out + 1, out, (count - 1) * sizeof *out); /* newest first */
        out[0] = (struct ledger_generation){generation, generation_end(node, since_ms)};
    }
    *out_count = count;
    return count > 0;
}

uint32_t ledger_highest_generation(const struct ledger *ledger, const char *host)
{
    uint32_t highest = 0;

    for (uint32_t generation = 1; generation - highest <= GENERATION_HOLE_MAX; generation++)
        if (find_generation(ledger, host, generation))
            highest = generation;
    return highest;
}

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
}

bool ledger_job_facts(const struct ledger_node *node, struct ledger_job_facts *out)
{
    *out = (struct ledger_job_facts){.ended = node->ended != NULL};
    if (node->ended) {
        out->op = node->ended->op;
        copy(out->host, sizeof out->host, node->ended->host);
        copy(out->target, sizeof out->target, node->ended->target);
        copy(out->repository, sizeof out->repository, node->ended->repository);
        copy(out->point, sizeof out->point, node->ended->point);
        return true;
    }
    if (!node->entry || !node->entry->job || !node->entry->job->job)
        return false;
    const struct job *job = node->entry->job->job;
    const struct repository_ref *repository = job_repository(job);
    out->op = job->op;
    copy(out->host, sizeof out->host, job->host);
    target_format(&job->target, out->target);
    copy(out->repository, sizeof out->repository, repository ? repository->id : NULL);
    copy(out->point, sizeof out->point, params_point(job));
    return true;
}

int ledger_set_outcome(struct ledger_node *node, const char *outcome, int64_t at_ms, struct err *err)
{
    if (string_set(&node->entry->job->outcome, outcome, err) < 0)
        return -1;
    node->entry->job->ended_at_ms = outcome ? at_ms : 0;
    return 0;
}

void ledger_set_published(struct ledger_node *node, int64_t at_ms, int32_t partition, int64_t offset)
{
    node->entry->job->published_at_ms = at_ms;
    node->entry->job->partition = partition;
    node->entry->job->offset = offset;
}

void ledger_inherit(struct ledger *ledger)
{
    for (struct ledger_node *node = ledger_first_open_job(ledger); node; node = node->next)
        node->maybe_published = !node->entry->job->published_at_ms;
}

bool ledger_job_out(const struct ledger_node *node)
{
    const struct ledger_job *record = node->entry ? node->entry->job : NULL;

    return record && !record->outcome && (record->published_at_ms || node->maybe_published);
}

static enum ledger_duty unpublished_duty(const struct ledger_node *node, int64_t now_ms)
{
    const struct ledger_job *record = node->entry->job;
    bool over = record->job->deadline_ms && record->job->deadline_ms <= now_ms;

    if (node->maybe_published)
        return over ? DUTY_ASSUME_PUBLISHED : DUTY_PUBLISH;
    if (record->cancel)
        return DUTY_END_CANCELLED;
    return over ? DUTY_END_EXPIRED : DUTY_PUBLISH;
}

enum ledger_duty ledger_job_duty(const struct ledger_node *node, int64_t now_ms)
{
    const struct ledger_job *record = node->entry ? node->entry->job : NULL;

    if (!record || record->outcome || node->stage != STAGE_IDLE || node->words_on_their_way)
        return DUTY_NONE;
    if (!record->published_at_ms)
        return unpublished_duty(node, now_ms);
    if ((record->resolve || record->finish || record->rate_limit) && !node->control_written)
        return DUTY_CONTROL;
    return record->cancel && !node->cancel_flagged ? DUTY_FLAG_CANCEL : DUTY_NONE;
}

void ledger_job_control(const struct ledger_job *record, char *out, size_t size)
{
    if (record->resolve)
        snprintf(out, size, "resolve:%s", record->resolve);
    else if (record->finish)
        snprintf(out, size, "finish:%s", record->finish);
    else if (record->rate_limit)
        snprintf(out, size, "rate:%lld", record->rate_limit > 0 ? (long long)record->rate_limit : 0);
    else
        snprintf(out, size, "%s", "");
}

bool ledger_job_overdue(const struct ledger_node *node, int64_t now_ms, int64_t grace_ms)
{
    const struct ledger_job *record = node->entry ? node->entry->job : NULL;

    return record && !record->outcome && record->published_at_ms && node->stage == STAGE_IDLE &&
           record->job->deadline_ms && now_ms - record->job->deadline_ms > grace_ms;
}

bool ledger_job_bygone(const struct ledger *ledger, const struct ledger_node *node)
{
    const struct ledger_job *record = node->entry ? node->entry->job : NULL;

    return record && !record->outcome && record->prepared_at_ms < ledger_host_since(ledger, record->job->host);
}

static bool delete_is_open(const struct ledger *ledger, const char *repository)
{
    struct ledger_job_facts facts;

    for (const struct ledger_node *node = ledger_first_open_job(ledger); node; node = node->next)
        if (ledger_job_facts(node, &facts) && (facts.op == OP_BACKUP_DELETE || facts.op == OP_TARGET_RETIRE) &&
            strcmp(facts.repository, repository) == 0)
            return true;
    return false;
}

static int add_ended(const struct ledger *ledger, const char *repository, bool succeeded, size_t max,
                     struct strings *out, struct err *err)
{
    const struct ledger_node *oldest = ledger_first_ended_job(ledger), *node = oldest ? oldest->prev : NULL;

    for (; node && out->count < max; node = node == oldest ? NULL : node->prev) {
        const struct ledger_ended *ended = node->ended;

        if (!ended->repository || strcmp(ended->repository, repository) != 0 ||
            (ended->outcome == STATE_SUCCEEDED) != succeeded)
            continue;
        if (strings_add(out, node->key + strlen("job:"), err) < 0)
            return -1;
    }
    return 0;
}

int ledger_ended_jobs(const struct ledger *ledger, const char *repository, size_t max, struct strings *out,
                      bool *out_deletes_ended, struct err *err)
{
    struct strings jobs = {0};

    if (add_ended(ledger, repository, false, max, &jobs, err) < 0 ||
        add_ended(ledger, repository, true, max, &jobs, err) < 0) {
        strings_clear(&jobs);
        return -1;
    }
    *out_deletes_ended = !delete_is_open(ledger, repository);
    *out = jobs;
    return 0;
}
