#include "coordinator/transfer.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/internal.h"
#include "coordinator/policy.h"
#include "coordinator/runs.h"

#include <stdio.h>
#include <string.h>

/* So often may Redis have lost its memory between an export and the loss of the ledger. Tokens of an epoch are above all of the one before, so the epoch must not fall. */
enum { EPOCHS_BETWEEN = 1024 };

/* In the order in which they are taken in: what others need comes first. */
static const int kinds[] = {LEDGER_KEY,     LEDGER_HOST, LEDGER_TOKEN, LEDGER_REPOSITORY,
                            LEDGER_DEFAULT, LEDGER_HOLD, LEDGER_PIN,   LEDGER_POLICY};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool is_taken(int kind)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i] == kind)
            return true;
    return false;
}

/* ---- out ---- */

static int add_entry(void *context, const struct ledger_entry *entry, struct err *err)
{
    if (entry->gone)
        return 0;
    json_t *record = record_json(&ledger_entry_record, entry, err);
    if (!record)
        return -1;
    return json_array_append_new(context, record) == 0 ? 0 : err_memory(err, "export");
}

/* Only the version of each that counts. */
static int add_policies(struct coordinator *coordinator, json_t *records, struct err *err)
{
    CLEANUP(policy_set_clear) struct policy_set set = {0};

    if (policies_load(coordinator, &set, err) < 0)
        return -1;
    for (size_t i = 0; i < set.count; i++)
        if (add_entry(records, set.items[i], err) < 0)
            return -1;
    return 0;
}

/* n and the run_id of the ledger's. */
static int64_t known_epoch(struct coordinator *coordinator, char run_id[128])
{
    const char *text;

    LOCK_SCOPE(&coordinator->lock);
    int64_t n = ledger_epoch(coordinator->ledger, &text);
    snprintf(run_id, 128, "%s", text);
    return n;
}

int transfer_export(struct coordinator *coordinator, json_t **out, struct err *err)
{
    struct coordinator_state state;
    json_t *records = json_array();
    char time[40], run_id[128];
    int result = 0;

    for (size_t i = 0; result == 0 && i < KINDS; i++)
        result = kinds[i] == LEDGER_POLICY ? add_policies(coordinator, records, err)
                                           : coordinator_each(coordinator, kinds[i], add_entry, records, err);
    if (result < 0)
        return json_decref(records), -1;
    coordinator_state(coordinator, &state);
    int64_t epoch = known_epoch(coordinator, run_id);
    *out = json_pack("{s:i, s:s, s:s, s:I, s:I, s:s, s:o}", "fleetsnap_export", TRANSFER_VERSION, "exported_at",
                     format_rfc3339(clock_real_ms(), time, sizeof time), "coordinator", state.name, "term",
                     (json_int_t)state.term, "epoch", (json_int_t)epoch, "epoch_run_id", run_id, "records", records);
    return *out ? 0 : err_memory(err, "export");
}

/* ---- in ---- */

/* Its slots count from now: what was missed, or done by who was lost, is not made up for. */
static int check_policy(struct ledger_entry *entry, struct err *err)
{
    char path[200], id[128];

    if (!entry->policy)
        return err_set(err, ERR_PERMANENT, "has no policy");
    if (policy_check(&entry->policy->policy, path, err) < 0)
        return err_wrap(err, "%s", path);
    policy_id(entry->policy->policy.name, entry->policy->version, id);
    if (strcmp(id, entry->id) != 0)
        return err_set(err, ERR_PERMANENT, "is another policy or version than it says");
    entry->policy->since_ms = clock_real_ms();
    return 0;
}

static bool has_content(const struct ledger_entry *entry)
{
    switch ((enum ledger_kind)entry->kind) {
    case LEDGER_KEY: return entry->key != NULL;
    case LEDGER_HOST: return entry->host != NULL;
    case LEDGER_TOKEN: return entry->token != NULL;
    case LEDGER_REPOSITORY: return entry->repository != NULL;
    case LEDGER_DEFAULT:
    case LEDGER_HOLD:
    case LEDGER_PIN: return entry->values.count > 0;
    case LEDGER_POLICY: return entry->policy != NULL;
    case LEDGER_TERM:
    case LEDGER_EPOCH:
    case LEDGER_JOB:
    case LEDGER_RUN:
    case LEDGER_MARKS:
    case LEDGER_DEPLOY:
    case LEDGER_NOTICE: break;
    }
    return false;
}

static int check_entry(struct ledger_entry *entry, struct err *err)
{
    if (!is_taken(entry->kind) || entry->gone)
        return err_set(err, ERR_PERMANENT, "a record of kind %s is not taken in", ledger_kind_names[entry->kind]);
    if (!has_content(entry) || !entry->id || !*entry->id)
        return err_set(err, ERR_PERMANENT, "says nothing of its %s", ledger_kind_names[entry->kind]);
    return entry->kind == LEDGER_POLICY ? check_policy(entry, err) : 0;
}

int transfer_read(const json_t *records, size_t index, struct ledger_entry **out, struct err *err)
{
    CLEANUP(freep) char *text = json_dumps(json_array_get(records, index), JSON_COMPACT | JSON_ENCODE_ANY);
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = calloc(1, sizeof *entry);

    if (!entry || !text)
        return err_memory(err, "import");
    if (record_from_json(&ledger_entry_record, entry, text, strlen(text), err) < 0 || check_entry(entry, err) < 0)
        return err_wrap(err, "records[%zu]", index);
    *out = TAKE_PTR(entry);
    return 0;
}

int64_t transfer_epoch_of(const struct transfer_epoch *known, const struct transfer_epoch *said)
{
    bool same = known->n == said->n && known->run_id && said->run_id && strcmp(known->run_id, said->run_id) == 0;

    return said->n > 0 && !same && known->n < said->n + EPOCHS_BETWEEN ? said->n + EPOCHS_BETWEEN : 0;
}

struct taking {
    struct coordinator *coordinator;
    const struct caller *caller;
    struct ledger_entry **entries;
    size_t count;
    size_t added[LEDGER_NOTICE + 1], there[LEDGER_NOTICE + 1];
};

static void taking_clear(struct taking *taking)
{
    for (size_t i = 0; i < taking->count; i++)
        ledger_entry_free(taking->entries[i]);
    free(taking->entries);
}

static int read_all(struct taking *taking, const json_t *records, struct err *err)
{
    size_t count = json_array_size(records);

    if (!json_is_array(records))
        return err_set(err, ERR_PERMANENT, "records: is no list");
    taking->entries = calloc(count + 1, sizeof(struct ledger_entry *));
    if (!taking->entries)
        return err_memory(err, "import");
    for (; taking->count < count; taking->count++)
        if (transfer_read(records, taking->count, &taking->entries[taking->count], err) < 0)
            return -1;
    return 0;
}

/* 1: there is one, whatever it says; of a policy any version. */
static int is_there(struct coordinator *coordinator, const struct ledger_entry *entry, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *known = NULL;
    int failed = entry->kind == LEDGER_POLICY ? policy_load(coordinator, entry->policy->policy.name, 0, &known, err)
                                              : coordinator_get(coordinator, entry->kind, entry->id, &known, err);

    return failed < 0 ? -1 : known && !known->gone;
}

static int take(struct taking *taking, const struct ledger_entry *entry, bool dry_run, struct err *err)
{
    int there = is_there(taking->coordinator, entry, err);

    if (there < 0)
        return -1;
    if (!there && !dry_run && coordinator_put(taking->coordinator, taking->caller, entry, err) < 0)
        return err_wrap(err, "%s %s", ledger_kind_names[entry->kind], entry->id);
    (there ? taking->there : taking->added)[entry->kind]++;
    return 0;
}

/* With a run_id that is no server's: the keeper sees that, and raises it once more, with all that follows. */
static int put_epoch(struct coordinator *coordinator, int64_t epoch, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = calloc(1, sizeof *entry);

    if (!entry)
        return err_memory(err, "epoch");
    entry->kind = LEDGER_EPOCH;
    entry->epoch = epoch;
    if (string_set(&entry->id, "redis", err) < 0 || string_set(&entry->run_id, "imported", err) < 0 ||
        string_set(&entry->why, "imported", err) < 0)
        return -1;
    return desk_put_and_wait(coordinator, TAKE_PTR(entry), err);
}

static int64_t epoch_to_write(struct coordinator *coordinator, const json_t *document)
{
    char run_id[128];
    const struct transfer_epoch known = {known_epoch(coordinator, run_id), run_id},
                                said = {json_integer_value(json_object_get(document, "epoch")),
                                        json_string_value(json_object_get(document, "epoch_run_id"))};

    return transfer_epoch_of(&known, &said);
}

static json_t *answer(const struct taking *taking, int64_t epoch, bool dry_run)
{
    json_t *counts = json_object();

    for (size_t i = 0; i < KINDS; i++)
        if (taking->added[kinds[i]] || taking->there[kinds[i]])
            json_object_set_new(counts, ledger_kind_names[kinds[i]],
                                json_pack("{s:I, s:I}", "added", (json_int_t)taking->added[kinds[i]], "there",
                                          (json_int_t)taking->there[kinds[i]]));
    return json_pack("{s:b, s:o, s:o}", "dry_run", dry_run, "epoch",
                     epoch ? json_integer((json_int_t)epoch) : json_null(), "kinds", counts);
}

int transfer_import(struct coordinator *coordinator, const struct caller *caller, const json_t *document, bool dry_run,
                    json_t **out, struct err *err)
{
    CLEANUP(taking_clear) struct taking taking = {.coordinator = coordinator, .caller = caller};
    const json_t *version = json_object_get(document, "fleetsnap_export");

    if (!json_is_integer(version))
        return err_set(err, ERR_PERMANENT, "this is no export of Fleetsnap: it has no fleetsnap_export");
    if (json_integer_value(version) != TRANSFER_VERSION)
        return err_set(err, ERR_PERMANENT, "an export of version %lld: this coordinator reads version %d",
                       (long long)json_integer_value(version), TRANSFER_VERSION);
    if (read_all(&taking, json_object_get(document, "records"), err) < 0)
        return -1;
    int64_t epoch = epoch_to_write(coordinator, document);
    if (epoch && !dry_run && put_epoch(coordinator, epoch, err) < 0)
        return err_wrap(err, "epoch %lld", (long long)epoch);
    for (size_t k = 0; k < KINDS; k++)
        for (size_t i = 0; i < taking.count; i++)
            if (taking.entries[i]->kind == kinds[k] && take(&taking, taking.entries[i], dry_run, err) < 0)
                return -1;
    *out = answer(&taking, epoch, dry_run);
    return *out ? 0 : err_memory(err, "import");
}
