#pragma once
/*
 * The inside of the coordinator, shared by its own files only. Who owns what:
 *   main loop      everything below "main loop"; it alone changes the ledger, under `lock`, and reads it without
 *   HTTP threads   read ledger, fleet and state under `lock`; hand writes over through `desk` and wait for the answer
 *   keeper thread  the synchronous Redis connection, epoch, heartbeats; reads the ledger under `lock`
 *   view thread    asks about jobs and keys through callbacks that take `lock`
 * No I/O happens under `lock`.
 */
#include "base/bucket.h"
#include "base/text.h"
#include "coordinator/audit.h"
#include "coordinator/coordinator.h"
#include "coordinator/fleet.h"
#include "coordinator/leadership.h"
#include "coordinator/ledger.h"
#include "coordinator/options.h"
#include "crypto/keys.h"
#include "kafka/kafka.h"
#include "model/status.h"
#include "redis/store.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct desk_call;
struct desk_write;
struct flight;
struct keeper;
struct mac;
struct notifier;
struct planner;
struct publisher;
struct queue;
struct redis;
struct share;
struct trust;
struct view;
struct view_word;
struct wire;

/* What a record of the leader's, sent and not yet read back, will mean when it is. They come back in the order in which they were sent. */
enum draft_step { DRAFT_PREPARED, DRAFT_CANCEL, DRAFT_RESOLVE, DRAFT_RATE, DRAFT_FINISH, DRAFT_MARKS, DRAFT_PUT };

struct draft {
    struct draft *prev, *next;
    enum draft_step step;
    struct ledger_ref ref;
    struct ledger_node *node;   /* of a job */
    struct ledger_entry *entry; /* DRAFT_PUT, DRAFT_MARKS: owned */
    struct ledger_node **
        marked; /* DRAFT_MARKS: whose they are, by index. They stay: a job that is not yet known to have ended is not forgotten */
    struct desk_write *write; /* who waits for it; NULL */
    unsigned char *value;     /* of a job: what was sent; owned. What comes back is compared, not read */
    size_t value_len;
};

/* What the keeper found out. */
struct keeper_state {
    bool redis_ok;
    char problem[256];
    bool hint_known, hint_present, hint_ours;
    int64_t term_raised;  /* fs:term was raised to it */
    int64_t term_refused; /* a higher one was there: */
    int64_t redis_term;
    bool tickets_ready;     /* nothing is missing that Redis once knew */
    bool rebuilding;        /* it lost its memory, and fs:epoch is not written yet */
    int64_t grace_until_ms; /* monotonic: until then holders take back their locks; 0: not begun */
    int64_t epoch;          /* as written in Redis; 0: not yet */
};

struct audit_jobs { /* of one request, taken and not yet in the audit */
    struct desk_call *call;
    char *reason;
    struct text ids;
    size_t count;
};

struct coordinator {
    struct coordinator_options options;
    struct kafka_options kafka;
    unsigned char master[KEY_BYTES];
    char *redis_password;
    char view_path[512];
    char identity[256]; /* what fs:leader says of us: name and instance */
    int directory_lock;

    pthread_mutex_t lock; /* protects ledger, fleet, state */
    struct ledger *ledger;
    struct fleet *fleet;
    bool jobs_lost; /* some job was said to be LOST since this start */
    struct coordinator_state state;
    _Atomic int64_t position;  /* next offset of the ledger that the main loop reads */
    _Atomic int64_t in_flight; /* writes between their arrival and their answer */
    _Atomic bool stopping;
    struct queue *desk;
    struct keeper *keeper;
    struct view *view;
    pthread_mutex_t limits; /* protects the buckets */
    struct bucket strangers, callers,
        letters; /* audit records of refusals without and with a known token; dead letters, by 4 KiB */
    struct planner *planner;
    struct notifier *notifier; /* NULL: no webhooks */

    /* main loop */
    struct kafka_consumer *consumer;
    struct publisher *publisher;
    struct redis *redis;
    struct store_command ticket; /* the last, for its memory */
    struct keeper_state kept;    /* as it was when the turn began */
    struct trust *trust;
    struct wire *wire;
    struct mac *mac;
    struct leadership leadership;
    struct audit_chain audit;
    struct audit_jobs audit_jobs;
    void (*notify)(const char *state); /* a supervisor; NULL: nobody */
    struct draft *drafts;
    struct flight *silent; /* jobs published a moment ago, oldest first: perhaps their hosts say something at once */
    struct ledger_entry *marks; /* what became of jobs since the last entry of kind marks; NULL: nothing */
    struct ledger_node *marked[LEDGER_MARKS_MAX]; /* whose they are */
    int64_t marks_since_ms;                       /* monotonic */
    struct audit_wait *audits;                    /* writes whose record is not acknowledged yet */
    int64_t next_n;
    int64_t ledger_end;          /* high watermark at the start */
    int64_t stand_not_before_ms; /* monotonic */
    int64_t stood_at_ms, said_alive_ms, last_progress_ms, last_tick_ms, last_walk_ms, last_tidy_ms;
    struct share *shares;  /* how repositories are shared, by id (shares.c) */
    int64_t shares_ms;     /* monotonic: when that was last looked at */
    int64_t shares_epoch;  /* Redis may have lost words that were said in another */
    bool shares_wanted;    /* it may have changed */
    bool walk_wanted;      /* something of dispatch must be tried again */
    bool replay_wanted;    /* the view shall tell again what was said of jobs */
    bool more;             /* the last turn read something: there may be more, look before sleeping */
    bool reload_wanted;    /* forget the ledger and read it again */
    bool step_down_wanted; /* decided inside a callback */
    char step_down_why[128];
    int64_t refused;         /* records of the ledger that did not verify */
    int64_t sent, delivered; /* records of ours */
};

/* ---- ledger_log.c: appends records, reads them back ---- */
int log_append_term(struct coordinator *coordinator, int64_t term, struct err *err);
int log_append_entry(struct coordinator *coordinator, struct ledger_entry *entry, struct desk_write *write,
                     struct err *err); /* takes the entry over, on failure too */
int log_append_job(struct coordinator *coordinator, struct ledger_node *node, enum draft_step step, const char *who,
                   const char *why, struct desk_write *write, struct err *err);
/* Notes that a job was published (outcome NULL) or has ended. It is written with others', some milliseconds later. */
int log_mark(struct coordinator *coordinator, struct ledger_node *node, const char *outcome, const char *why,
             struct err *err);
void log_write_marks(struct coordinator *coordinator, bool now); /* once a turn; now: however young they are */
void log_bury(struct coordinator *coordinator, struct ledger_node *node,
              bool newest_too); /* tombstones for the older records of an id */
void log_read(struct coordinator *coordinator, const struct kafka_record *record);
void log_drop_drafts(struct coordinator *coordinator, int kind, const char *why); /* kind: enum err_kind of the answers */
/* confirm.c: what happens when a record of ours has come back. */
void coordinator_confirmed(struct coordinator *coordinator, struct draft *draft);
/* coordinator.c: what happens when the leadership changes. */
void coordinator_news(struct coordinator *coordinator, enum leadership_news news);
void coordinator_want_step_down(struct coordinator *coordinator, const char *why);
void coordinator_dead_letter(struct coordinator *coordinator, struct dead_letter *letter); /* takes it over; any thread */
struct dead_letter *dead_letter_of(const struct kafka_record *record, const char *reason, struct err *err);

/* ---- dispatch.c: ledger → ticket → MAC → publish → ledger ---- */
void dispatch_job(struct coordinator *coordinator,
                  struct ledger_node *node);         /* does what the ledger says is owed to it now */
void dispatch_walk(struct coordinator *coordinator); /* for all open jobs */
void dispatch_delivered(struct coordinator *coordinator, uint64_t opaque, int error, int32_t partition, int64_t offset);
int dispatch_end(struct coordinator *coordinator, struct ledger_node *node, int state, const char *why, bool quiet,
                 struct err *err); /* records the end of a job; quiet: no event of ours */
/* Says PUBLISHED of jobs of which nothing was heard for a second; now: of all others, too. */
void dispatch_break_silence(struct coordinator *coordinator, bool now);
bool dispatch_ready(const struct coordinator *coordinator,
                    struct err *err); /* leading, Redis and its tickets are there */

/* ---- shares.c: how the backups that run share the bandwidth of their repositories ---- */
void shares_begin(struct coordinator *coordinator, struct ledger_node *node); /* its ticket is about to be written */
void shares_running(struct coordinator *coordinator, struct ledger_node *node, int state); /* what its host says */
void shares_tick(struct coordinator *coordinator, int64_t now_ms); /* leading: tells whom it concerns */
void shares_free(struct coordinator *coordinator);

/* ---- events.c: the leader's status events ---- */
void event_send(struct coordinator *coordinator, const struct job *job, int64_t seq, int state, const char *note,
                const char *error_text);
/* The last word on a job whose host was replaced or removed. */
void event_bygone(struct coordinator *coordinator, const struct job *job, int state, const char *why);
/* PLANNED, once, of a job that is not published at once. */
void event_planned(struct coordinator *coordinator, struct ledger_node *node);
/* PUBLISHED, once, of a published job of which nothing was said yet. */
void event_published(struct coordinator *coordinator, struct ledger_node *node);

/* ---- audited.c: who asked for what ---- */
struct audit_wait;
/* A job that was taken. Those of one request share a record, for as long as they come in a row. */
void audit_job(struct coordinator *coordinator, const struct desk_write *by, const char *job_id);
void audit_flush(struct coordinator *coordinator); /* once a turn */
/* One record, sent some milliseconds later; none if there is one already. by: who asked. */
void audit_say(struct coordinator *coordinator, const struct desk_write *by, const char *action, const char *subject,
               const char *reason, const char *outcome);
/* True: go on with the write. False: it was answered, or will be served again when its record is safe. */
bool audit_first(struct coordinator *coordinator, struct desk_write *write, const char *action, const char *subject);
void audit_delivered(struct coordinator *coordinator, uint64_t opaque, bool failed);
void audit_drop_waits(struct coordinator *coordinator, const struct err *err);

/* ---- desk.c (callers' side), desk_serve.c (main loop's side) ---- */
enum desk_kind {
    DESK_SUBMIT,
    DESK_CANCEL,
    DESK_RESOLVE,
    DESK_RATE,
    DESK_FINISH,
    DESK_PUT,
    DESK_AUDIT,
    DESK_WORDS,
    DESK_DEAD_LETTER,
    DESK_LOST,
    DESK_OVERDUE,
    DESK_FOUND,
    DESK_FORGET,
    DESK_WAKE
};
void desk_serve(struct coordinator *coordinator);
void desk_serve_one(struct coordinator *coordinator, struct desk_write *write); /* takes it over */
void desk_answer(struct coordinator *coordinator, struct desk_write *write,
                 const struct err *err); /* NULL: it is true now. Gives the loop's reference back. */
int desk_put_and_wait(struct coordinator *coordinator, struct ledger_entry *entry,
                      struct err *err); /* keeper: its records; takes the entry over */
/* coordinator_submit_many for jobs that have their ids already (of a run). */
int desk_submit_planned(struct coordinator *coordinator, const struct job *const jobs[], size_t count, struct err *errs,
                        struct err *err);
int desk_say(struct coordinator *coordinator, enum desk_kind kind, const char *job_id); /* nobody waits */
int desk_say_words(struct coordinator *coordinator, const struct view_word *words, size_t count);
void desk_refuse_all(struct coordinator *coordinator);

/* ---- planner.c: what policies start, in its own thread ---- */
int planner_start(struct coordinator *coordinator, struct planner **out, struct err *err);
void planner_stop(struct planner *planner); /* after the main loop has ended */
void planner_wake(struct planner *planner); /* something that it should see was put into the ledger; any thread */

/* ---- keeper.c: the synchronous side of Redis, in its own thread ---- */
int keeper_start(struct coordinator *coordinator, struct keeper **out, struct err *err);
void keeper_stop(struct keeper *keeper);
void keeper_lead(struct keeper *keeper, int64_t term); /* 0: no longer */
void keeper_state(struct keeper *keeper, struct keeper_state *out);
/* True: Redis has the holds and pins of this version of the ledger's, or newer ones. Any thread. */
bool keeper_await_holds(struct keeper *keeper, uint64_t version, int64_t timeout_ms);
