#pragma once
/*
 * A restore from a repository on this host that needs no coordinator, no Kafka and no Redis: the plan of backup.restore, executed by the runner with a journal of its own. It only
 * ever adds: a new domain, or files in a new directory. Used by the command itself, and by a worker that runs (local_service.h).
 */
#include "base/facts.h"
#include "model/record.h"

#include <jansson.h>
#include <stdbool.h>

struct backend_config;
struct err;

struct local_restore { /* what is asked for; travels as one JSON object */
    char *repository;  /* directory */
    char *backup;      /* beginning of an id, or the name of a machine: its newest */
    char *to;          /* name of the new domain, or (with a '/') a new directory for the disks alone */
    char *directory;   /* where a domain's disks go; absent: the first pool */
    char *start;       /* no, running, paused */
    struct strings disks;
    struct facts map_network;
    bool keep_identity; /* MAC addresses */
    bool dry_run;
};
extern const struct record_type local_restore_record;
DEFINE_RECORD(local_restore, local_restore_record)

struct local_watch { /* how the one who executes it tells and asks; any member may be called often */
    void *context;
    void (*told)(void *context, const json_t *event); /* {"phase"}, {"done","total"}, {"resumed"}; borrowed */
    bool (*cancelled)(void *context);                 /* what was done is taken back */
    bool (*stopping)(void *context);                  /* leave it as it is: the next call goes on */
};

/* Everything in the repository that can be restored, newest first, and what is damaged: [{id, target, created_at …}]. Caller decrefs. */
int local_restore_list(const char *repository, json_t **out, struct err *err);
/* First goes on with a restore that was interrupted, if there is one. *out: {state, error?, result?, job_id}; caller decrefs. -1: nothing was begun. */
int local_restore_run(const struct local_restore *restore, const struct backend_config *config,
                      const struct local_watch *watch, json_t **out, struct err *err);
