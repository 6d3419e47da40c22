#pragma once
/* Runs and policies as the ledger has them: read under the coordinator's lock, written through the desk. Any thread that may wait. */
#include "coordinator/coordinator.h"
#include "coordinator/run.h"
#include "model/run.h"

struct coordinator_options;
struct policy;
struct policy_schedule;
struct plan;
struct view_reader;
struct world;

enum { RUN_PART_ID = 64 };

/* ---- policies ---- */

struct policy_set { /* the version of each policy that counts; copies, by name */
    struct ledger_entry **items;
    size_t count;
};
int policies_load(struct coordinator *coordinator, struct policy_set *out, struct err *err);
void policy_set_clear(struct policy_set *set);
const struct ledger_entry *policy_set_find(const struct policy_set *set, const char *name);
/* One version; *out NULL: there is none. version 0: the one that counts. Caller frees. */
int policy_load(struct coordinator *coordinator, const char *name, int64_t version, struct ledger_entry **out,
                struct err *err);
uint64_t policies_fingerprint(struct coordinator *coordinator); /* changes with any record of a policy */
void policy_id(const char *name, int64_t version, char out[128]);

/* ---- runs ---- */

typedef int run_visitor(void *context, const char *id, const struct ledger_entry *head, struct err *err);
/* The heads, on copies. open_only: those that have not ended. */
int runs_each(struct coordinator *coordinator, bool open_only, run_visitor *visit, void *context, struct err *err);
/* All parts of a run, in order, into an empty list. ERR_RETRY: one is missing. */
int run_load_members(struct coordinator *coordinator, const char *id, const struct run *run, struct list *out,
                     struct err *err);
/* Members first, then the head: a run that is there is whole. */
int run_write(struct coordinator *coordinator, const struct caller *caller, const char *id, const struct run *run,
              const struct list *members, struct err *err);
int run_write_head(struct coordinator *coordinator, const struct caller *caller, const char *id, const struct run *run,
                   const char *why, struct err *err);
int run_write_part(struct coordinator *coordinator, const char *id, const struct list *members, size_t part,
                   struct err *err);
int run_forget(struct coordinator *coordinator, const char *id, const struct run *run, struct err *err);

/* Plans one firing by what the fleet is now: the same for the real thing and for a preview. schedule NULL: manual. */
int run_plan(struct coordinator *coordinator, struct view_reader *reader, const struct world *world,
             const struct ledger_policy *policy, const struct policy_schedule *schedule, int64_t slot_ms,
             int64_t now_ms, struct run *out_run, struct list *out_members, struct err *err);

/* What holds for the jobs of a run; policy NULL: a deploy. */
void run_limits_of(const struct coordinator_options *options, const struct run *run, const struct policy *policy,
                   struct run_limits *out);

/* What became of jobs, by the ledger. */
void runs_job_words(struct coordinator *coordinator, char (*ids)[37], size_t count, struct job_word *out);

/* Targets on which a job of that policy and operation is open, sorted. Caller clears. */
int runs_busy_targets(struct coordinator *coordinator, const char *policy, const char *operation, struct strings *out,
                      struct err *err);
void strings_sort(struct strings *strings);
bool strings_sorted_have(const struct strings *sorted, const char *text);
