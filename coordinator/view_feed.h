#pragma once
/*
 * The view's writer as the coordinator sees it: a thread with its own consumers and Avro values that folds what the topics say into the SQLite file, and tells the
 * coordinator which jobs have ended and what cannot be believed. view.h is for those who read.
 */
#include "base/uuid.h"
#include "coordinator/trust.h"
#include "kafka/kafka.h"

struct dead_letter;
struct err;
struct job;
struct ledger_job_facts;
struct view;

/* What was said of a job. */
struct view_word {
    char job_id[UUID_TEXT];
    enum {
        WORD_NONE,   /* nothing, by nobody; told in a replay only */
        WORD_FIRST,  /* its host has begun to speak of it; of a backup also whenever it begins to run, or ceases to */
        WORD_LAST,   /* a worker's final word */
        WORD_BYGONE, /* none will come: its host was replaced or removed; the keeper says so */
    } kind;
    int state; /* FIRST, LAST, BYGONE: enum job_state */
};

/* Asked and told from the view thread. */
struct view_source {
    void *context;
    struct trust_source trust;
    bool (*job)(void *context, const char *job_id,
                struct ledger_job_facts *out); /* what the ledger says; false: it does not know the job */
    int (*open_jobs)(void *context, char (**out)[UUID_TEXT], size_t *out_count,
                     struct err *err);  /* ids of the jobs that have not ended by the ledger; the caller frees */
    int64_t (*position)(void *context); /* next offset of the ledger to be read by the main loop */
    /* At least once each, as soon as they are read: the topic has them, whatever becomes of the file (docs/adr/ends-at-once.md). A first word may be left out when the last is told. */
    void (*said)(void *context, const struct view_word *words, size_t count);
    void (*dead_letter)(void *context, struct dead_letter *letter); /* takes it over */
};

struct view_options {
    const char *path;
    struct kafka_options kafka;
    const unsigned char *master; /* KEY_BYTES */
    struct view_source source;
};

int view_start(const struct view_options *options, struct view **out, struct err *err);
void view_stop(struct view *view);
bool view_caught_up(struct view *view); /* it has read what was there when it started */
void view_replay(struct view *view); /* tells again what a leader may not have lived to record, once it has caught up */
int64_t view_host_heard_ms(struct view *view,
                           const char *host); /* append time of the host's newest believed record; 0: none */
void view_note_host(struct view *view, const char *host, int64_t heartbeat_at_ms, bool alive, bool enrolled);

/* One job for the desk, from any thread. `job` is the caller's. */
struct view_job_record {
    bool found, lost, resolved;
    int state;
    int64_t token;
    char journal[64];
    struct job *job;
};
int view_job_record(const char *path, const char *job_id, struct view_job_record *out, struct err *err);
