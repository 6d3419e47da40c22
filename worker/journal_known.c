/*
 * Which jobs the journal has seen. An index over job_id would cost each job a page of its own, for ids are random: to write it, to flush it, and to write it again at the
 * checkpoint. So what came lately is in memory alone, in `fresh`; the inbox's rows say it after a restart. When that is much it is sorted and put into table `known` in
 * slices, one per transaction, neighbours together; the fact "known_row" then says up to which row the table has everything. A key is a hash of the id: what it finds
 * is compared.
 *
 * So rows are numbered here: a number that was forgotten must not come again below known_row.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "worker/journal_sql.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRESH_MAX = 16384, FIRST_ENTRIES = 256, SLICE = 512 };
static const char known_row[] = "known_row";

static int64_t key_of(const char *job_id)
{
    uint64_t value = UINT64_C(14695981039346656037);

    for (; *job_id; job_id++)
        value = (value ^ (unsigned char)*job_id) * UINT64_C(1099511628211);
    return (int64_t)value;
}

/* ---- a set of keys ---- */

static void put(struct known_set *set, struct known_entry entry)
{
    size_t mask = set->capacity - 1, index = (size_t)entry.key & mask;

    while (set->entries[index].row)
        index = (index + 1) & mask;
    set->entries[index] = entry;
    set->count++;
}

static int add(struct known_set *set, struct known_entry entry, struct err *err)
{
    if (set->count * 2 >= set->capacity) {
        struct known_set bigger = {.capacity = set->capacity ? set->capacity * 2 : FIRST_ENTRIES};
        bigger.entries = calloc(bigger.capacity, sizeof *bigger.entries);
        if (!bigger.entries)
            return err_memory(err, "journal");
        for (size_t i = 0; i < set->capacity; i++)
            if (set->entries[i].row)
                put(&bigger, set->entries[i]);
        free(set->entries);
        *set = bigger;
    }
    put(set, entry);
    return 0;
}

static void clear(struct known_set *set)
{
    free(set->entries);
    *set = (struct known_set){0};
}

/* ---- looking ---- */

static int is_in_row(struct journal *journal, const char *job_id, int64_t row, bool *out, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_INBOX_ID, err);

    if (!statement)
        return -1;
    bind_int(statement, 1, row);
    int got = sql_next(journal, statement, err);
    if (got < 0)
        return -1;
    *out = got && strcmp(column_text(statement, 0), job_id) == 0;
    sqlite3_reset(statement);
    return 0;
}

static int find_in_set(struct journal *journal, const struct known_set *set, int64_t key, const char *job_id,
                       int64_t *out_row, struct err *err)
{
    size_t mask = set->capacity - 1;
    bool found;

    for (size_t i = (size_t)key & mask; set->capacity && set->entries[i].row; i = (i + 1) & mask) {
        if (set->entries[i].key != key)
            continue;
        if (is_in_row(journal, job_id, set->entries[i].row, &found, err) < 0)
            return -1;
        if (found)
            *out_row = set->entries[i].row;
    }
    return 0;
}

static int find_in_table(struct journal *journal, int64_t key, const char *job_id, int64_t *out_row, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_KNOWN_GET, err);
    bool found;
    int got;

    if (!statement)
        return -1;
    bind_int(statement, 1, key);
    while ((got = sql_next(journal, statement, err)) > 0) {
        int64_t row = sqlite3_column_int64(statement, 0);
        if (is_in_row(journal, job_id, row, &found, err) < 0) {
            sqlite3_reset(statement);
            return -1;
        }
        if (found)
            *out_row = row;
    }
    return got;
}

int known_find(struct journal *journal, const char *job_id, int64_t *out_row, struct err *err)
{
    int64_t key = key_of(job_id);

    *out_row = 0;
    if (find_in_set(journal, &journal->known.fresh, key, job_id, out_row, err) < 0 ||
        find_in_set(journal, &journal->known.settling, key, job_id, out_row, err) < 0)
        return -1;
    return *out_row ? 0 : find_in_table(journal, key, job_id, out_row, err);
}

int known_add(struct journal *journal, const char *job_id, int64_t *out_row, struct err *err)
{
    struct known_entry entry = {key_of(job_id), journal->known.last_row + 1};

    if (add(&journal->known.fresh, entry, err) < 0)
        return -1;
    *out_row = journal->known.last_row = entry.row;
    return 0;
}

/* ---- into the table ---- */

static int by_key(const void *a, const void *b)
{
    const struct known_entry *one = a, *other = b;

    return (one->key > other->key) - (one->key < other->key);
}

static int begin_settling(struct journal_known *known, struct err *err)
{
    struct known_entry *order = malloc(known->fresh.count * sizeof *order);
    size_t count = 0;

    if (!order)
        return err_memory(err, "journal");
    for (size_t i = 0; i < known->fresh.capacity; i++)
        if (known->fresh.entries[i].row)
            order[count++] = known->fresh.entries[i];
    qsort(order, count, sizeof *order, by_key);
    known->order = order;
    known->settled = 0;
    known->settling_row = known->last_row;
    known->settling = known->fresh;
    known->fresh = (struct known_set){0};
    return 0;
}

static int end_settling(struct journal *journal, struct err *err)
{
    struct journal_known *known = &journal->known;
    char text[24];

    free(known->order);
    known->order = NULL;
    clear(&known->settling);
    known->settled_row = known->settling_row;
    snprintf(text, sizeof text, "%" PRId64, known->settled_row);
    return journal_set_fact(journal, known_row, text, err);
}

static int settle_slice(struct journal *journal, struct err *err)
{
    struct journal_known *known = &journal->known;
    struct sqlite3_stmt *statement = NULL;

    for (int left = SLICE; left > 0 && known->settled < known->settling.count; left--) {
        statement = sql(journal, SQL_KNOWN_ADD, err);
        if (!statement)
            return -1;
        bind_int(statement, 1, known->order[known->settled].key);
        bind_int(statement, 2, known->order[known->settled++].row);
        if (sql_done(journal, statement, err) < 0)
            return -1;
    }
    return known->settled == known->settling.count ? end_settling(journal, err) : 0;
}

int known_settle(struct journal *journal, bool soon, struct err *err)
{
    struct journal_known *known = &journal->known;

    if (!known->order && known->fresh.count < (soon ? 1 : FRESH_MAX))
        return 0;
    if (journal_begin(journal, err) < 0 || (!known->order && begin_settling(known, err) < 0))
        return -1;
    return settle_slice(journal, err);
}

/* ---- the start ---- */

static int read_fresh(struct journal *journal, struct err *err)
{
    struct journal_known *known = &journal->known;
    struct sqlite3_stmt *statement = sql(journal, SQL_KNOWN_FRESH, err);
    int got;

    if (!statement)
        return -1;
    bind_int(statement, 1, known->settled_row);
    while ((got = sql_next(journal, statement, err)) > 0) {
        known->last_row = sqlite3_column_int64(statement, 0);
        if (add(&known->fresh, (struct known_entry){key_of(column_text(statement, 1)), known->last_row}, err) < 0) {
            sqlite3_reset(statement);
            return -1;
        }
    }
    return got;
}

int known_open(struct journal *journal, struct err *err)
{
    CLEANUP(freep) char *row = NULL;

    if (journal_fact(journal, known_row, &row, err) < 0 ||
        (row && parse_int(row, 0, INT64_MAX, &journal->known.settled_row, err) < 0))
        return -1;
    journal->known.last_row = journal->known.settled_row;
    return read_fresh(journal, err);
}

void known_close(struct journal *journal)
{
    clear(&journal->known.fresh);
    clear(&journal->known.settling);
    free(journal->known.order);
}

static void job_key(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    sqlite3_result_int64(context, key_of((const char *)sqlite3_value_text(values[0])));
}

int known_teach(struct journal *journal, struct err *err)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;

    return sqlite3_create_function_v2(journal->database, "job_key", 1, flags, NULL, job_key, NULL, NULL, NULL) ==
                   SQLITE_OK
               ? 0
               : sql_failed(journal, err);
}
