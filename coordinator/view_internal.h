#pragma once
/* The view thread's state, shared by view_writer.c (the thread), view_places.c (where it stands), view_belief.c (what is trusted), view_hosts.c, and view_status.c and view_records.c (what each topic's
 * records change). */
#include "coordinator/leadership.h"
#include "coordinator/view_feed.h"
#include "coordinator/view_pace.h"
#include "coordinator/view_rows.h"
#include "crypto/mac.h"
#include "model/topics.h"

#include <pthread.h>
#include <stdatomic.h>

struct queue;
struct view;

/* A record of whose headers those that count were read. */
struct signed_record {
    const struct kafka_record *record;
    struct mac_input said;
    const char *mac; /* NULL: none */
};

/* One record of a topic. -1: the file cannot be written. */
typedef int view_read_record(struct view *view, const struct kafka_record *record, struct err *err);

struct heard_host {
    UT_hash_handle hh;
    char name[64];
    int64_t at_ms;
};

struct view {
    struct view_options options;
    pthread_t thread;
    _Atomic bool stopping, caught_up, replay_wanted;
    struct queue *notes;   /* of hosts, from the keeper */
    pthread_mutex_t mutex; /* protects heard */
    struct heard_host *heard;

    /* the thread's own */
    sqlite3 *db;
    sqlite3_stmt *set_position, *set_point, *get_point, *set_target, *get_target, *set_host, *get_host, *note_host,
        *set_record, *remove_record, *add_dead, *add_space, *drop_spaces, *drop_spaces_of_gone, *add_held, *set_meta,
        *get_since, *set_since, *drop_host, *drop_targets, *drop_snapshots;
    struct view_jobs *jobs;
    struct kafka_consumer *consumer;
    struct trust *trust;
    struct wire *wire;
    struct mac *mac;
    struct leadership ledger; /* only its `highest` is used: a record behind a higher TERM is dropped here too */
    bool open;                /* a transaction */
    int64_t committed_ms, tidied_ms;
    struct view_pace pace;
    int64_t unwritten;               /* records read since the last commit */
    int64_t ledger_high;             /* asked after the present batch came in; -1: not yet */
    int64_t refused_minute, refused; /* records, for the log */
    struct view_word *words;         /* that the main loop has not been told */
    size_t word_count, word_room;
    struct view_place { /* where each partition stands */
        const char *topic;
        int32_t partition;
        view_read_record *read;
        int64_t next, end;       /* end: what was there at the start */
        int64_t boundary, saved; /* `next` at the last commit; what the file says */
    } * places;
    size_t place_count, last_place;
};

enum belief { BELIEVED, NOT_BELIEVED, BELIEF_FAILED };

void view_read_headers(const struct kafka_record *record, struct signed_record *out);
/* Checks fs-mac with the ring of `host` ("": the leader). *out_why names the reason. */
bool view_verifies(struct view *view, const struct signed_record *record, const char *host, const char **out_why);
/* What the ledger says of a job; waits until the main loop has read what was in the ledger when this batch came in. */
bool view_knows_job(struct view *view, const char *job_id, struct ledger_job_facts *out);
void view_wait_for_ledger(
    struct view *view); /* until the main loop has read what was in the ledger when this batch had come in */
void view_sleep_ms(int ms);
void view_refuse(struct view *view, const struct kafka_record *record, const char *why);
void view_heard(struct view *view, const char *host, int64_t at_ms);
/* Since when what the host says counts (struct ledger_host), as far as the view has read the ledger; and what changes when that becomes known. view_hosts.c */
int64_t view_host_since(struct view *view, const char *host);
/* view_spaces.c. host NULL: it has none any more. */
struct inventory_host;
int view_set_spaces(struct view *view, const char *name, const struct inventory_host *host, struct err *err);
/* So many more restore points that are listed, and bytes, are in the repository; less than 0: fewer. NULL and "": in none. */
int view_add_held(struct view *view, const char *repository, int points, int64_t size_bytes, struct err *err);
int view_drop_host(struct view *view, const char *host, int64_t since_ms, struct err *err);
int view_begin(struct view *view, struct err *err);      /* a transaction, unless one is open */
int view_keep_notes(struct view *view, struct err *err); /* what view_note_host has queued */
/* For the main loop, told when the batch has been read. The last word takes the place of the first. */
int view_add_word(struct view *view, struct view_job_row *row, int kind, struct err *err);

int view_prepare(struct view *view, struct err *err); /* all statements */
void view_finalize(struct view *view);

/* view_places.c: the partitions of a topic; where all of them go on, and whether that is still there; the one of a record, NULL: none. */
int view_add_places(struct view *view, enum topic topic, view_read_record *read, struct err *err);
int view_assign_all(struct view *view, bool *out_in_range, struct err *err);
struct view_place *view_place_of(struct view *view, const struct kafka_record *record);
/* In the transaction that is open. Not `all`: without what came since the last commit. */
int view_save_positions(struct view *view, bool all, struct err *err);

view_read_record view_read_status, view_read_ledger, view_read_catalog, view_read_inventory, view_read_dlq;

/* After a commit: wakes those who follow. view_news.c */
void view_news_tell(void);
