#pragma once
/*
 * The ledger in memory: what its records, applied in order, say. No I/O, no clock. One thread changes it; others may read under the lock of whoever owns it.
 *
 * A node is what is known of one (kind, id). What became of jobs is written in entries of kind marks, many jobs in one: such a node only says which jobs still need it. Of a job that ended only what is still asked of it is kept: its outcome, and what it may write (struct ledger_ended).
 */
#include "model/ledger_entry.h"

#include <uthash.h>

struct err;
struct ledger;
struct key_ring;

enum { LEDGER_KEY_TEXT = 400 };

struct ledger_ref { /* names one record of an id: `<kind>:<id>@<term>.<n>` */
    int64_t term, n;
};

struct ledger_ended {
    int64_t ended_at_ms;
    int outcome; /* enum job_state */
    int op;
    const char *host; /* interned: lives as long as the ledger */
    char *target;     /* "kind:id" */
    char *repository; /* id of the repository that the params name; NULL: none */
    char *point;      /* restore point that the params of a deletion name; NULL: none */
};

enum ledger_stage {                   /* where the leader stands with a job; in memory only */
                    STAGE_IDLE,       /* nothing is under way */
                    STAGE_PREPARING,  /* PREPARED is sent, not yet read back */
                    STAGE_TICKET,     /* asked Redis */
                    STAGE_PUBLISHING, /* handed to Kafka */
                    STAGE_RECORDING,  /* a mark, published or ended, is not yet read back */
};

struct ledger_node {
    UT_hash_handle hh;
    char *key;                  /* "kind:id" */
    struct ledger_entry *entry; /* the newest record; NULL for a job that ended */
    struct ledger_ended *ended;
    struct ledger_ref newest;
    struct ledger_ref *older; /* records that wait for their tombstone */
    size_t older_count;
    struct ledger_node *prev, *next; /* of the open jobs, of those that ended (oldest first), or of what is no job */
    enum ledger_stage stage;
    bool listed;
    bool cancel_flagged, control_written, lost; /* said to Redis, or on the status topic, by this leader */
    bool maybe_published; /* given to Kafka, by this leader or perhaps by one before it; not yet known to be there */
    bool bygone;          /* the end that is being recorded is the last word, whatever its host said */
    bool running;         /* of a backup: its host does it now */
    bool untold;      /* of an open job that was there before this leader: what it was told of its rate, nobody knows */
    int64_t level;    /* of a backup: of its repository, as it is told (bandwidth.h); 0: nothing is shared */
    int64_t level_ms; /* monotonic: since when */
    unsigned words_on_their_way; /* cancel, resolve: in the entry, not yet read back */
    bool planned_said,           /* PLANNED went to the status topic */
        spoken,                  /* so did PUBLISHED, or a word of its host */
        quiet_end;               /* the end that is being recorded needs no event of ours */
    void *write;                 /* the request that waits for PREPARED; its owner is the desk */
    /* Of a job: the entries of kind marks that say so, as long as no newer one does. Of marks: how many jobs they are still needed for. */
    struct ledger_node *published_in, *ended_in;
    size_t needed;
    bool marks;
};

int ledger_new(struct ledger **out, struct err *err);
void ledger_free(struct ledger *ledger);
void ledger_clear(struct ledger *ledger);                /* as if nothing had been read */
uint64_t ledger_generation(const struct ledger *ledger); /* changes with ledger_clear: nodes of an older one are gone */

/* Applies one record; takes the entry over, on failure too. The caller has decided that it counts. *out (may be NULL) is the node, NULL if the id is gone. */
int ledger_apply(struct ledger *ledger, struct ledger_entry *entry, struct ledger_node **out, struct err *err);
/* The same of marks, whose jobs' nodes are known: by index, for a leader's own. */
int ledger_apply_marks(struct ledger *ledger, struct ledger_entry *entry, struct ledger_node *const *jobs,
                       struct ledger_node **out, struct err *err);
/* A record whose content the node already has (the leader's own): notes its key, compacts what ended. */
int ledger_confirm(struct ledger *ledger, struct ledger_node *node, struct ledger_ref ref, struct err *err);
/* A tombstone: that record is no more. Removes the node with its last record. */
void ledger_tombstone(struct ledger *ledger, const char *key, size_t len);

struct ledger_node *ledger_find(const struct ledger *ledger, int kind, const char *id);
struct ledger_node *ledger_find_job(const struct ledger *ledger, const char *job_id);
/* A node for an entry that is not in the log yet; takes it over. */
struct ledger_node *ledger_add(struct ledger *ledger, struct ledger_entry *entry, struct err *err);
void ledger_remove(struct ledger *ledger, struct ledger_node *node);
struct ledger_node *ledger_first(const struct ledger *ledger); /* all, by node->hh.next */
struct ledger_node *ledger_first_other(const struct ledger *ledger); /* what is no job, by node->next: hosts, keys, tokens … */
struct ledger_node *ledger_first_open_job(const struct ledger *ledger);  /* by node->next */
struct ledger_node *ledger_first_ended_job(const struct ledger *ledger); /* by node->next; oldest first */
size_t ledger_open_jobs(const struct ledger *ledger);
int64_t ledger_epoch(const struct ledger *ledger, const char **out_run_id); /* newest; 0: none yet */

/* Key texts. */
void ledger_key_format(char out[LEDGER_KEY_TEXT], int kind, const char *id, struct ledger_ref ref);
bool ledger_key_parse(const char *key, size_t len, char out_node_key[LEDGER_KEY_TEXT],
                      struct ledger_ref *out); /* out_node_key: "kind:id" */
void ledger_node_key(char out[LEDGER_KEY_TEXT], int kind, const char *id);

/* Generations of a host's key: what the ledger says, or generation 1. ended_at 0: not. Returns how many; newest first. False if the host is not enrolled ("" always is). */
struct ledger_generation {
    uint32_t generation;
    int64_t ended_at_ms;
};
/* Since when what the host says and was given counts (struct ledger_host); 0: from the beginning. */
int64_t ledger_host_since(const struct ledger *ledger, const char *host);
bool ledger_generations(const struct ledger *ledger, const char *host, struct ledger_generation *out, size_t max,
                        size_t *out_count);
uint32_t ledger_highest_generation(const struct ledger *ledger,
                                   const char *host); /* ever given, whether the host is enrolled or not; 0: none */
uint64_t ledger_holds_version(const struct ledger *ledger); /* changes whenever a hold or a pin does */
uint64_t ledger_keys_version(const struct ledger *ledger);  /* changes whenever a key or a host's state does */

/* For repository.clean: at most `max` jobs on a repository that have ended, first those without success, newest first. False in *out_deletes_ended: a backup.delete there is open. */
int ledger_ended_jobs(const struct ledger *ledger, const char *repository, size_t max, struct strings *out,
                      bool *out_deletes_ended, struct err *err);

/* What a job's record allows others to say. */
struct ledger_job_facts {
    char host[64];
    char target[TARGET_TEXT];
    char repository[64];
    char point[64]; /* that the params of a deletion name; "": none */
    int op;
    bool ended;
};
bool ledger_job_facts(const struct ledger_node *node, struct ledger_job_facts *out);

/* The next entry of kind marks that no job needs any more: its tombstone is due. Each is given out once; NULL: none. */
struct ledger_node *ledger_next_idle_marks(struct ledger *ledger);

/* A leader's own changes of an open job, made before their record is sent; `outcome` NULL takes an end back. */
int ledger_set_outcome(struct ledger_node *node, const char *outcome, int64_t at_ms, struct err *err);
void ledger_set_published(struct ledger_node *node, int64_t at_ms, int32_t partition, int64_t offset);

/* Whoever begins to lead cannot know which jobs the leader before it gave to Kafka and died, nor what it told them. */
void ledger_inherit(struct ledger *ledger);

/* What a leader owes to an open job now. Pure. Only of a job that can never have been published the leader itself says how it ended. */
enum ledger_duty {
    DUTY_NONE,
    DUTY_PUBLISH,          /* prepared, never said to be published */
    DUTY_END_CANCELLED,    /* cancelled before it was published */
    DUTY_END_EXPIRED,      /* its deadline came before it was published */
    DUTY_ASSUME_PUBLISHED, /* its deadline came, and it may have been published: record it as if it was */
    DUTY_FLAG_CANCEL,      /* published; the wish to cancel is not in its ticket yet */
    DUTY_CONTROL,          /* a resolve, or a rate, is not in its ticket yet */
};
/* Its host may have it: it is published, or may be. */
bool ledger_job_out(const struct ledger_node *node);
/* The control word that the ticket of an open job is to have: how it was resolved, else that it is to end, else at what rate it is to go on; "" none. */
void ledger_job_control(const struct ledger_node *node, char *out, size_t size);
/* The limit of a backup's own, bytes/s: what a person said last, else what it was submitted with; 0: none, also of what is no backup. */
int64_t ledger_job_own_rate(const struct ledger_job *record);
enum ledger_duty ledger_job_duty(const struct ledger_node *node, int64_t now_ms);
/* Published, not ended, and its deadline more than `grace_ms` ago: if no worker has it, the coordinator owes it an end (overdue.h). Pure. */
bool ledger_job_overdue(const struct ledger_node *node, int64_t now_ms, int64_t grace_ms);
/* Open, and given to its host before that was replaced or removed: nobody will do it any more. */
bool ledger_job_bygone(const struct ledger *ledger, const struct ledger_node *node);
