#pragma once
/*
 * Tells Redis what became of a job: the end (ticket, lock, slots), or that the lock is free until the next attempt. After the commit; again until Redis has heard it. Never
 * while a renewal of the same lock is on its way: it would take the lock back. The loop's thread.
 */
#include "worker/work.h"

struct finisher;
struct redis;

/* `row` is the journal's; called from the loop's redis_process when Redis knows the end. */
typedef void finisher_heard(void *context, int64_t row, const char *job_id);

int finisher_open(struct redis *redis, const char *host, finisher_heard *heard, void *context, struct finisher **out,
                  struct err *err);
void finisher_close(struct finisher *finisher);
/* state: a terminal name; "": free for a retry, which needs no answer. hold may be NULL; slots are the job's. Copies. */
int finisher_add(struct finisher *finisher, int64_t row, const char *job_id, const char *target, int64_t token,
                 const char *state, struct hold *hold, const struct store_slot *slots, size_t slot_count,
                 struct err *err);
/* Whether one of this job waits to be sent: a lock that is taken now would be let go by it. */
bool finisher_waits(const struct finisher *finisher, const char *job_id);
void finisher_send(struct finisher *finisher);          /* after the commit */
size_t finisher_count(const struct finisher *finisher); /* not heard yet */
