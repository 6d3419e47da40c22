#pragma once
/*
 * Policies and runs as the API has them: what is asked is checked, done, and answered as JSON. Any thread; the reader is the caller's. *out: caller decrefs; NULL where it says
 * so. Reads work on a standby too.
 */
#include "coordinator/coordinator.h"

#include <jansson.h>

struct view_reader;

/*
 * All policies of a YAML text, or none: {"policies": [{name, version, change: created|changed|unchanged, before, after}]}; before and after are YAML (before null: it is new).
 * dry_run: nothing is written. All are checked before the first is written; each is one record.
 */
int plans_apply(struct coordinator *coordinator, const struct caller *caller, const char *file, const char *yaml,
                const char *reason, bool dry_run, json_t **out, struct err *err);
/* [{name, version, operation, owner, description, paused, schedules: [{name, cron, next_at}], time_zone, max_age_ms, at, by, last_run: {…}|null}] */
int plans_list(struct coordinator *coordinator, json_t **out, struct err *err);
/* One: the same and policy, source, reason, versions: [{version, at, by, reason}]. *out NULL: there is none. */
int plans_show(struct coordinator *coordinator, const char *name, json_t **out, struct err *err);
/* 1: done, 0: no such policy, -1: err. */
int plans_pause(struct coordinator *coordinator, const struct caller *caller, const char *name, bool pause,
                const char *reason, struct err *err);
int plans_delete(struct coordinator *coordinator, const struct caller *caller, const char *name, const char *reason,
                 struct err *err);
/* Starts a run of all that the policy selects now, without the turns of a schedule. 1, 0, -1 as above; out_run_id has 37 bytes. */
int plans_run_now(struct coordinator *coordinator, struct view_reader *reader, const struct caller *caller,
                  const char *name, char *out_run_id, struct err *err);
/*
 * What would happen: of the policy of that name, or of the only one in `yaml` (then name is not looked at). The next `firings` slots with their members and turns, and what retention would
 * keep and delete now: {name, firings: [{schedule, slot, window_end_at, targets: [{name, target, host, due_at, expected_start_at, expected_end_at, limit, behind, cut, busy_now, skipped, expected_bytes}], timed, reach_ms, expected_end_at, expected_bytes}], retention: [{target, name, points: [{id, created_at, size_bytes, keep, rule}]}]}.
 * 1, 0, -1 as above.
 */
int plans_preview(struct coordinator *coordinator, struct view_reader *reader, const char *name, const char *file,
                  const char *yaml, int64_t firings, json_t **out, struct err *err);
/* Adds to each target of a page (view_targets) "policies": names of those that select it, and "protection": protected, late, unprotected. unprotected_only takes the protected out. */
int plans_annotate(struct coordinator *coordinator, json_t *items, bool unprotected_only, struct err *err);

/* Newest first: [{run_id, policy, …, outcome, counts}]; policy NULL, open_only false: all. limit 0: 100. */
int plans_runs(struct coordinator *coordinator, const char *policy, bool open_only, int64_t limit, json_t **out,
               struct err *err);
/* One by id or an unambiguous beginning: the same and members: [{target, name, host, job_id, state, due_at, skipped …}]; of a consistency group with frozen_ms,
 * skew_ms, spread_ms. 1, 0, -1; ERR_CONFLICT: ambiguous. */
int plans_run_show(struct coordinator *coordinator, struct view_reader *reader, const char *prefix, json_t **out,
                   struct err *err);
int plans_run_cancel(struct coordinator *coordinator, const struct caller *caller, const char *prefix,
                     const char *reason, char *out_run_id, struct err *err);

/* What could be restored now, how old it would be, when it was last proven, and what failed since then: {since, at, fleet, policies, targets} (readiness.h). */
int plans_report(struct coordinator *coordinator, struct view_reader *reader, int64_t since_ms, json_t **out,
                 struct err *err);
