#pragma once
/*
 * The journal: what this host knows for certain. SQLite in the state directory, one writer (the loop). Everything that a turn of the loop learns is one transaction; what
 * must not happen before it is durable happens after journal_commit(). journal.c says how.
 */
#include "model/job_state.h"
#include "model/topics.h"
#include "worker/runner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct journal;

/* Takes the state directory (made if missing) and its lock. ERR_CONFLICT naming the worker that holds it. */
int journal_open(const char *directory, struct journal **out, struct err *err);
/* For --inspect of a dead worker: changes nothing. ERR_CONFLICT when one is alive, ERR_PERMANENT when there is no journal. */
int journal_open_to_read(const char *directory, struct journal **out, struct err *err);
void journal_close(struct journal *journal); /* NULL is fine */

const char *journal_id(const struct journal *journal);
int64_t journal_birth_us(const struct journal *journal); /* every seq and revision starts above it; 0: not yet set */
int journal_be_born(struct journal *journal, int64_t birth_us, struct err *err); /* once: Redis' TIME, else the clock */
int journal_begin(struct journal *journal, struct err *err);  /* opens the turn's transaction unless it is open */
int journal_commit(struct journal *journal, struct err *err); /* durable when it returns 0; nothing to do: 0 */
bool journal_open_transaction(const struct journal *journal);
int64_t journal_bytes(const struct journal *journal);
int64_t journal_free_bytes(const struct journal *journal); /* of its file system; -1: not known */

/* Small facts by name. *out is malloc'ed, NULL if absent. */
int journal_fact(struct journal *journal, const char *name, char **out, struct err *err);
int journal_set_fact(struct journal *journal, const char *name, const char *value, struct err *err);

/* ---- the inbox (journal_inbox.c) ---- */
struct inbox_row { /* pointers are borrowed: for reading until the next call, for writing during it */
    int64_t row;
    const char *job_id, *target;
    const void *raw; /* the job as it came; NULL once it has ended */
    size_t raw_len;
    const char *traceparent;
    int64_t append_ms, accepted_at_ms;
    enum job_state state;
    const char *waiting;
    int64_t attempt, crashes, token, seq, not_before_ms;
    const char *resolved;    /* PARKED: by a person */
    const void *last_status; /* value of the terminal status event, published again for a repeat */
    size_t last_status_len;
    bool finished; /* Redis knows the end */
};
int inbox_add(struct journal *journal, const struct inbox_row *row, int64_t *out_row, bool *out_known,
              struct err *err); /* known: nothing is changed, *out_row is the old one's */
int inbox_move(struct journal *journal, const struct inbox_row *row,
               struct err *err); /* state, waiting, attempt, crashes, token, seq, not_before by `row` */
int inbox_end(struct journal *journal, const struct inbox_row *row,
              struct err *err); /* the same and last_status, resolved; drops raw unless PARKED and unresolved */
/* `found` returns -1 to stop with its error. */
typedef int inbox_found(void *context, const struct inbox_row *row, struct err *err);
int inbox_read(struct journal *journal, int64_t row, inbox_found *found, void *context, struct err *err);
int inbox_each_open(struct journal *journal, inbox_found *found, void *context,
                    struct err *err); /* not ended, PARKED and not resolved, or ended and Redis was not told */
int inbox_forget(struct journal *journal, int64_t appended_before_ms, int limit,
                 struct err *err); /* ended ones; the topic no longer has their records */
int inbox_count(struct journal *journal, int64_t *out_open, int64_t *out_ended, struct err *err);

/* ---- plans and steps (journal_plan.c) ---- */
int journal_save_plan(struct journal *journal, int64_t row, const char *plan_json,
                      struct err *err); /* replaces plan and steps of an earlier attempt */
int journal_save_steps(struct journal *journal, int64_t row, const struct step_change *changes, size_t count,
                       struct err *err);
int journal_load_plan(struct journal *journal, int64_t row, const struct backend_ops *ops, struct journaled_plan **out,
                      struct err *err); /* NULL: none */
int journal_drop_plan(struct journal *journal, int64_t row, struct err *err);
/* For people: JSON of the plan and of its steps' states; malloc'ed, NULL: none. */
int journal_describe_plan(struct journal *journal, int64_t row, char **out_plan, char **out_steps, struct err *err);

/* ---- the outbox's rows (journal_outbox.c) ---- */
struct outbox_row {
    int64_t seq;
    enum topic topic;
    const void *key, *value; /* NULL: none, tombstone */
    size_t key_len, value_len;
    const char *job, *revision, *traceparent; /* headers; NULL: none */
    int64_t after;                            /* not produced before the catalog has acknowledged this seq; 0: none */
};
typedef int outbox_found(void *context, const struct outbox_row *row, struct err *err);
int outbox_row_add(struct journal *journal, struct outbox_row *row, struct err *err); /* sets seq */
int outbox_row_read(struct journal *journal, int64_t seq, outbox_found *found, void *context, struct err *err);
int outbox_rows(struct journal *journal, outbox_found *found, void *context,
                struct err *err); /* all, in order; without key and value */

/* ---- what may be written a little later: with the next transaction (journal_notes.c) ---- */
int inbox_finished(struct journal *journal, int64_t row, struct err *err);           /* Redis knows its end */
void outbox_rows_done(struct journal *journal, enum topic topic, int64_t up_to_seq); /* Kafka has them: deleted */
int64_t journal_notes_due_ms(const struct journal *journal);       /* monotonic; INT64_MAX: there is nothing to write */
int journal_write_notes(struct journal *journal, struct err *err); /* now, in this transaction; a commit does so itself */

/* ---- position, tokens, what inventory was said (journal_memory.c) ---- */
struct position {
    char cluster[64];
    int32_t partition;
    int64_t next_offset;    /* -1: none */
    int64_t last_append_ms; /* of the record before it, */
    char last_job[64];      /* and its fs-job header */
};
int position_read(struct journal *journal, const char *topic, struct position *out,
                  struct err *err); /* next_offset -1 if there is none */
int position_write(struct journal *journal, const char *topic, const struct position *position, struct err *err);
int64_t token_highest(const struct journal *journal);                    /* of all targets; 0: none */
int token_seen(struct journal *journal, int64_t token, struct err *err); /* written with this transaction */
struct said {                                                            /* the last inventory record of a key */
    const char *key, *digest;
    int64_t revision;
};
int said_write(struct journal *journal, const struct said *said, struct err *err); /* digest NULL: forget the key */
typedef int said_found(void *context, const struct said *said, struct err *err);
int said_each(struct journal *journal, said_found *found, void *context, struct err *err);
