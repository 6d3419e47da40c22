#pragma once
/* What other threads hand to the main loop. A call is one caller waiting for one or many writes; it is freed by whoever lets go of it last. */
#include "base/err.h"
#include "base/queue.h"
#include "base/uuid.h"
#include "coordinator/internal.h"

struct desk_result {
    bool answered;
    struct err err; /* kind ERR_NONE: done */
};

struct desk_call {
    pthread_mutex_t mutex; /* protects remaining, results */
    pthread_cond_t answered;
    size_t remaining;
    _Atomic size_t references;
    struct desk_result *results;
};

struct desk_write {
    struct queue_item item;
    enum desk_kind kind;
    struct desk_call *call;     /* NULL: nobody waits */
    size_t index;               /* in the call's results */
    struct ledger_entry *entry; /* SUBMIT, PUT */
    char job_id[UUID_TEXT];
    struct view_word *words; /* WORDS */
    size_t word_count;
    char *text;                       /* CANCEL, RESOLVE: who and why, as it is recorded */
    char *who, *from, *reason;        /* for the audit */
    char *action, *subject, *outcome; /* AUDIT */
    int64_t suppressed;               /* AUDIT: how many before it were not kept */
    bool only_new;                    /* PUT: a conflict if there is one */
    bool audited;                     /* its record in the audit is acknowledged */
    struct dead_letter *letter;
    struct desk_write *also; /* the same job was asked for while its record was on its way */
};

struct desk_write *desk_write_new(enum desk_kind kind, struct err *err);
void desk_write_free(struct desk_write *write); /* gives back its hold of the call */
