/*
 * What the journal may learn a little later. That Redis knows an end, and that Kafka has a record, would only be asked or sent once more if it were forgotten, and a repetition is
 * answered. So these do not open a transaction: they ride with the next one, or are written when they are old. Ends come nearly in the order of their rows, so that one
 * statement marks many.
 */
#include "worker/journal.h"

#include "base/clock.h"
#include "base/err.h"
#include "worker/journal_sql.h"

#include <stdlib.h>

enum { NOTES_WAIT_MS = 20 };

static void noted(struct journal *journal)
{
    if (journal->notes.due_ms == INT64_MAX)
        journal->notes.due_ms = clock_monotonic_ms() + NOTES_WAIT_MS;
}

int64_t journal_notes_due_ms(const struct journal *journal)
{
    return journal->notes.due_ms;
}

int inbox_finished(struct journal *journal, int64_t row, struct err *err)
{
    struct journal_notes *notes = &journal->notes;

    if (notes->finished_count == notes->finished_capacity) {
        size_t capacity = notes->finished_capacity ? notes->finished_capacity * 2 : 256;
        int64_t *finished = realloc(notes->finished, capacity * sizeof *finished);
        if (!finished)
            return err_memory(err, "journal");
        notes->finished = finished;
        notes->finished_capacity = capacity;
    }
    notes->finished[notes->finished_count++] = row;
    noted(journal);
    return 0;
}

void outbox_rows_done(struct journal *journal, enum topic topic, int64_t up_to_seq)
{
    journal->notes.acknowledged[topic] = up_to_seq;
    noted(journal);
}

static int by_number(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

    return (one > other) - (one < other);
}

static int mark_finished(struct journal *journal, int64_t first, int64_t last, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_INBOX_FINISHED, err);

    if (!statement)
        return -1;
    bind_int(statement, 1, first);
    bind_int(statement, 2, last);
    return sql_done(journal, statement, err);
}

static int write_finished(struct journal *journal, struct err *err)
{
    struct journal_notes *notes = &journal->notes;
    const int64_t *rows = notes->finished;

    qsort(notes->finished, notes->finished_count, sizeof *notes->finished, by_number);
    for (size_t i = 0, first; i < notes->finished_count; i++) {
        for (first = i; i + 1 < notes->finished_count && rows[i + 1] - rows[i] <= 1; i++)
            ;
        if (mark_finished(journal, rows[first], rows[i], err) < 0)
            return -1;
    }
    notes->finished_count = 0;
    return 0;
}

static int forget_acknowledged(struct journal *journal, enum topic topic, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_OUTBOX_DELETE, err);

    if (!statement)
        return -1;
    bind_int(statement, 1, topic);
    bind_int(statement, 2, journal->notes.acknowledged[topic]);
    journal->notes.acknowledged[topic] = 0;
    return sql_done(journal, statement, err);
}

int journal_write_notes(struct journal *journal, struct err *err)
{
    if (journal->notes.due_ms == INT64_MAX)
        return 0;
    if (journal_begin(journal, err) < 0)
        return -1;
    journal->notes.due_ms = INT64_MAX;
    if (journal->notes.finished_count && write_finished(journal, err) < 0)
        return -1;
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++)
        if (journal->notes.acknowledged[topic] && forget_acknowledged(journal, topic, err) < 0)
            return -1;
    return 0;
}
