#pragma once
/*
 * Deploys as the ledger has them and as the API shows them. Any thread that may wait; the reader is the caller's. What begins or ends a deploy is written with coordinator_add: of
 * several at once one counts.
 */
#include "coordinator/coordinator.h"

#include <jansson.h>

struct view_reader;

/*
 * Begins a deploy as `asked` says (selector, snapshot …; its state is filled in). The same again (id, selector, who) is answered as it stands, whatever became of it. dry_run: only looks.
 * *out: as deploys_show, or for a dry run {deploy_id, dry_run, snapshot, targets, refused: text|null}; caller decrefs.
 * ERR_PERMANENT: it selects nothing. ERR_CONFLICT: another one has the id, or one of its targets.
 */
int deploys_begin(struct coordinator *coordinator, struct view_reader *reader, const struct caller *caller,
                  const char *id, const struct deploy *asked, bool dry_run, json_t **out, struct err *err);
/* Only writes it down, or knows it already: what it selects, and whether it may, the planner sees. The same errors but for that. */
int deploys_record(struct coordinator *coordinator, const struct caller *caller, const char *id,
                   const struct deploy *asked, struct err *err);
/* Tells it how it ended. 1: done, or known already; 0: no such deploy; -1. ERR_CONFLICT: it contradicts what was said or done before. */
int deploys_say(struct coordinator *coordinator, struct view_reader *reader, const struct caller *caller,
                const char *id, const struct deploy_word *word, bool dry_run, json_t **out, struct err *err);
/* Newest first: [{deploy_id, state, …}]. Those that `caller` may see (deploys_allow). limit 0: 100. */
int deploys_list(struct coordinator *coordinator, const struct caller *caller, bool open_only, int64_t limit,
                 json_t **out, struct err *err);
/* One: the same and pending (it was told something that it has not acted on yet), targets: [{target, name, host, refused, snapshot, revert, delete: {job_id, state, why}|null}], runs: {begin, revert, delete: id|null}. 1, 0, -1. */
int deploys_show(struct coordinator *coordinator, struct view_reader *reader, const struct caller *caller,
                 const char *id, json_t **out, struct err *err);
/* A token with a selector is for the deploys that were begun with it. Pure. */
bool deploys_allow(const struct deploy *deploy, const struct caller *caller);

/* ---- for the planner ---- */

/* Calls `each` (on copies, oldest first) for those that want to be looked at now. Returns how many, -1. */
int deploys_each_restless(struct coordinator *coordinator, int64_t now_ms,
                          int (*each)(void *context, const struct ledger_entry *entry, struct err *err), void *context,
                          struct err *err);
int deploy_write(struct coordinator *coordinator, const char *id, const struct deploy *deploy, const char *why,
                 struct err *err);
int deploy_forget(struct coordinator *coordinator, const char *id, const struct deploy *deploy, struct err *err);
/* The word after the first `words`; *out NULL: none. Caller frees. */
int deploy_next_word(struct coordinator *coordinator, const char *id, int64_t words, struct ledger_entry **out,
                     struct err *err);
/* The members of the run of its begin, into an empty list; none yet: *out stays empty. */
int deploy_members(struct coordinator *coordinator, const char *id, const struct deploy *deploy, struct list *out,
                   struct err *err);
/* Another deploy, that holds its targets, has one of these: in words. 1: so it is, 0, -1. */
int deploy_blocked(struct coordinator *coordinator, const char *id, const struct list *members, char out[300],
                   struct err *err);
