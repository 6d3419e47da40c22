#pragma once
/* What other threads hand to the main loop: writes, and the call, or request, that they belong to. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/queue.h"
#include "base/uuid.h"
#include "coordinator/internal.h"

struct desk_result {
    bool answered;
    struct err err; /* kind ERR_NONE: done */
};

struct desk_call {         /* counted */
    char *who, *from;      /* for the audit; NULL: the coordinator itself. Never changed */
    bool waited_for;       /* by the caller, for the results; set before it is handed over */
    pthread_mutex_t mutex; /* protects remaining, results */
    pthread_cond_t answered;
    size_t remaining;
    _Atomic size_t references;
    struct desk_result *results;
};

struct desk_write {
    struct queue_item item;
    enum desk_kind kind;
    struct desk_call *call;     /* NULL: of nobody's */
    size_t index;               /* in the call's results */
    struct ledger_entry *entry; /* SUBMIT, PUT */
    char job_id[UUID_TEXT];
    struct view_word *words; /* WORDS */
    size_t word_count;
    char *text;                       /* CANCEL, RESOLVE, FINISH: who and why, as it is recorded */
    int64_t rate_limit;               /* RATE: bytes/s, or RATE_NONE */
    char *reason;                     /* for the audit */
    char *action, *subject, *outcome; /* AUDIT */
    int64_t suppressed;               /* AUDIT: how many before it were not kept */
    bool only_new;                    /* PUT: a conflict if there is one */
    bool audited;                     /* its record in the audit is acknowledged */
    struct dead_letter *letter;
    struct desk_write *also; /* the same job was asked for while its record was on its way */
};

int desk_call_new(const struct caller *caller, size_t count, struct desk_call **out, struct err *err);
struct desk_call *desk_call_keep(struct desk_call *call);
void desk_call_release(struct desk_call *call);
DEFINE_FREEP(struct desk_call, desk_call_release)

struct desk_write *desk_write_new(enum desk_kind kind, struct err *err);
/* The only write of a call of its own. */
int desk_request_new(enum desk_kind kind, const struct caller *caller, const char *reason, struct desk_write **out,
                     struct err *err);
void desk_write_free(struct desk_write *write); /* gives back its hold of the call */
DEFINE_FREEP(struct desk_write, desk_write_free)

void desk_call_add(struct desk_call *call, struct desk_write *write, size_t index); /* not yet handed over */
/* Hands the writes of a call over, and waits until all are answered, or for write_timeout. Takes them over. -1: there is no place for them. */
int desk_ask_all(struct coordinator *coordinator, struct desk_call *call, struct queue_item *first, struct err *err);
int desk_result(struct desk_call *call, size_t index, struct err *err);
/* One write of desk_request_new(), and its result. */
int desk_ask(struct coordinator *coordinator, struct desk_write *write, struct err *err);
