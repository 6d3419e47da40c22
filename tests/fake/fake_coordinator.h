#pragma once
/*
 * A coordinator and its view in memory, for the tests of the API and of the command: the two headers coordinator.h and view.h over fixtures in JSON. Jobs run by script:
 * what happens to a job of an op is a list of events that appear when it is submitted.
 */
#include "base/err.h"
#include "coordinator/coordinator.h"
#include "coordinator/view.h"

struct coordinator *fake_coordinator_new(void);
void fake_coordinator_free(struct coordinator *fake);
const char *fake_coordinator_view(struct coordinator *fake); /* the path for view_reader_open */
/* hosts, targets, repositories, points, dead_letters: a JSON array in the shape of view.h's items. */
void fake_load(struct coordinator *fake, const char *what, const char *json);
/* Two hosts, three machines (one name twice), a repository, two backups. */
void fake_load_fleet(struct coordinator *fake);
/* Events of jobs of this op from now on ("backup.create", or "backup.create?dry"): a JSON array of partial status events. */
void fake_script(struct coordinator *fake, const char *op, const char *events);
/* One more event of a job; also of one that is being watched. */
void fake_event(struct coordinator *fake, const char *job_id, const char *event);
/* The next write fails with this. */
void fake_fail_next(struct coordinator *fake, enum err_kind kind, const char *text, const char *hint);
/* The jobs that were submitted until now, as record_to_json, newest last; lives as long as the fake. */
const json_t *fake_submitted(struct coordinator *fake);
int fake_told_finish(struct coordinator *fake); /* how often coordinator_finish was called */
/* What every backup is said to have been told, and how every repository is shared; rate_limit 0: nothing. */
struct coordinator_rate;
void fake_share(struct coordinator *fake, const struct coordinator_rate *rate);
int64_t fake_told_rate(struct coordinator *fake); /* of coordinator_set_rate, the last one */
size_t fake_audits(const struct coordinator *fake);
const char *fake_last_audit(const struct coordinator *fake); /* "api.refused /v1/tokens: why" */
void fake_put_token(struct coordinator *fake, const char *name, const char *secret_hash, const char *role,
                    const char *classes, const char *selector, int64_t expires_at_ms);
extern struct coordinator_state fake_state; /* what coordinator_state answers */
