#pragma once
/* The inside of the ledger in memory: for ledger.c, ledger_marks.c, ledger_key.c, ledger_jobs.c and ledger_hosts.c only. */
#include "coordinator/ledger.h"

struct host_name {
    UT_hash_handle hh;
    char name[];
};

struct ledger {
    struct ledger_node *nodes;
    struct ledger_node *open, *ended, *others,
        *idle_marks; /* lists: jobs, jobs, all else, marks whose tombstone is due */
    size_t open_count;
    struct host_name *hosts;
    uint64_t generation, keys_version, holds_version;
};

/* ledger.c: an open job whose outcome is set becomes small. */
void ledger_compact(struct ledger *ledger, struct ledger_node *node);

/* ledger_jobs.c: the restore point that its params name; NULL. */
const char *ledger_params_point(const struct job *job);

/* ledger_marks.c: applies the marks of a node that was just added, and frees its entry. `jobs`: theirs, by index; NULL: they are looked up. */
int marks_apply(struct ledger *ledger, struct ledger_node *node, struct ledger_ref ref, struct ledger_node *const *jobs,
                struct err *err);
void marks_forget_published(struct ledger *ledger, struct ledger_node *job); /* a newer record says it too */
void marks_forget_job(struct ledger *ledger, struct ledger_node *job);       /* the job is no more */
void marks_forget(struct ledger *ledger, struct ledger_node *node);          /* the marks are no more */
