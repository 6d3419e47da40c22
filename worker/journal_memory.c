/* The journal's small tables: position, tokens, and what was said of the inventory. */
#include "worker/journal.h"

#include "base/err.h"
#include "worker/journal_sql.h"

#include <sqlite3.h>
#include <stdio.h>

int position_read(struct journal *journal, const char *topic, struct position *out, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_POSITION_GET, err);

    if (!statement)
        return -1;
    bind_text(statement, 1, topic);
    int got = sql_next(journal, statement, err);
    if (got < 0)
        return -1;
    *out = (struct position){.next_offset = -1};
    if (got == 0)
        return 0;
    snprintf(out->cluster, sizeof out->cluster, "%s", column_text(statement, 0));
    out->partition = sqlite3_column_int(statement, 1);
    out->next_offset = sqlite3_column_int64(statement, 2);
    out->last_append_ms = sqlite3_column_int64(statement, 3);
    snprintf(out->last_job, sizeof out->last_job, "%s", column_text(statement, 4));
    sqlite3_reset(statement);
    return 0;
}

int position_write(struct journal *journal, const char *topic, const struct position *position, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_POSITION_SET, err);

    if (!statement || journal_begin(journal, err) < 0)
        return -1;
    bind_text(statement, 1, topic);
    bind_text(statement, 2, position->cluster);
    bind_int(statement, 3, position->partition);
    bind_int(statement, 4, position->next_offset);
    bind_int(statement, 5, position->last_append_ms);
    bind_text(statement, 6, position->last_job);
    return sql_done(journal, statement, err);
}

/*
 * One number for the whole host: a token given here is above every one that was given here before, for whichever target. Rows of single targets are those of an earlier version.
 */
int token_read(struct journal *journal, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_TOKEN_GET, err);

    if (!statement || sql_next(journal, statement, err) < 0)
        return -1;
    journal->token = journal->token_written = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return 0;
}

int64_t token_highest(const struct journal *journal)
{
    return journal->token;
}

int token_seen(struct journal *journal, int64_t token, struct err *err)
{
    if (token <= journal->token)
        return 0;
    journal->token = token;
    return journal_begin(journal, err);
}

int token_write(struct journal *journal, struct err *err)
{
    if (journal->token == journal->token_written)
        return 0;
    struct sqlite3_stmt *statement = sql(journal, SQL_TOKEN_SET, err);
    if (!statement)
        return -1;
    bind_int(statement, 1, journal->token);
    journal->token_written = journal->token;
    return sql_done(journal, statement, err);
}

int said_write(struct journal *journal, const struct said *said, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, said->digest ? SQL_SAID_SET : SQL_SAID_DROP, err);

    if (!statement || journal_begin(journal, err) < 0)
        return -1;
    bind_text(statement, 1, said->key);
    if (said->digest) {
        bind_text(statement, 2, said->digest);
        bind_int(statement, 3, said->revision);
    }
    return sql_done(journal, statement, err);
}

int said_each(struct journal *journal, said_found *found, void *context, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_SAID_ALL, err);
    int got;

    if (!statement)
        return -1;
    while ((got = sql_next(journal, statement, err)) > 0) {
        struct said said = {column_text(statement, 0), column_text(statement, 1), sqlite3_column_int64(statement, 2)};
        if (found(context, &said, err) < 0) {
            sqlite3_reset(statement);
            return -1;
        }
    }
    return got;
}
