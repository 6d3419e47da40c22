/*
 * That the host is another, or gone, is in the ledger first (struct ledger_host); all here follows from it, by whoever leads, and may be done again. Redis is told before the ledger: the ticket ends, so that
 * the old machine, should it come back, begins nothing; its lock and slots are free, and a target that a PARKED job kept closed opens.
 */
#include "coordinator/bygone.h"

#include "base/err.h"
#include "base/log.h"
#include "coordinator/internal.h"
#include "coordinator/view_feed.h"
#include "coordinator/view_query.h"
#include "model/job_state.h"
#include "redis/store.h"

#include <stdio.h>

enum { AT_ONCE = 1000 };

struct bygone_job {
    char job_id[UUID_TEXT], host[64], target[TARGET_TEXT];
};

static size_t list_jobs(struct coordinator *coordinator, struct bygone_job *out)
{
    size_t count = 0;

    LOCK_SCOPE(&coordinator->lock);
    for (const struct ledger_node *node = ledger_first_open_job(coordinator->ledger); node && count < AT_ONCE;
         node = node->next) {
        if (!ledger_job_bygone(coordinator->ledger, node))
            continue;
        const struct job *job = node->entry->job->job;
        snprintf(out[count].job_id, UUID_TEXT, "%s", job->job_id);
        snprintf(out[count].host, sizeof out[count].host, "%s", job->host);
        target_format(&job->target, out[count++].target);
    }
    return count;
}

/* With the token that the ticket has: of a lower one Redis says that another has the lock. */
static int end_in_redis(struct redis *redis, const struct bygone_job *job, struct err *err)
{
    struct store_job ticket = {0};
    struct store_command command = {0};

    if (store_job_read(redis, job->job_id, &ticket, err) < 0)
        return -1;
    struct store_finish finish = {.job_id = job->job_id,
                                  .host = job->host,
                                  .target = job->target,
                                  .token = ticket.token,
                                  .state = job_state_names[STATE_EXPIRED]};
    if (store_finish_command(&finish, &command, err) < 0)
        return -1;
    struct redis_reply *reply = store_call(redis, &command, err);
    int result = !reply ? -1 : redis_reply_is_error(reply) ? err_set(err, ERR_RETRY, "%s", redis_reply_text(reply)) : 0;
    redis_reply_free(reply);
    store_command_clear(&command);
    return result;
}

static int judge(struct coordinator *coordinator, struct redis *redis, const struct bygone_job *jobs, size_t count,
                 struct err *err)
{
    CLEANUP(view_query_closep) struct view_query *view = NULL;
    CLEANUP(freep) struct view_word *words = calloc(count, sizeof *words);

    if (!words)
        return err_memory(err, "jobs of hosts that are gone");
    if (view_query_open(coordinator->view_path, &view, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct view_job_brief known = {0};
        if (view_query_job(view, jobs[i].job_id, &known, err) < 0 || end_in_redis(redis, &jobs[i], err) < 0)
            return err_wrap(err, "job %s", jobs[i].job_id);
        words[i] = (struct view_word){.kind = WORD_BYGONE, .state = known.found ? known.state : STATE_PUBLISHED};
        snprintf(words[i].job_id, UUID_TEXT, "%s", jobs[i].job_id);
    }
    return desk_say_words(coordinator, words, count);
}

size_t bygone_judge(struct coordinator *coordinator, struct redis *redis)
{
    CLEANUP(freep) struct bygone_job *jobs = calloc(AT_ONCE, sizeof *jobs);
    size_t count = jobs ? list_jobs(coordinator, jobs) : 0;
    struct err err = {0};

    if (count && judge(coordinator, redis, jobs, count, &err) < 0)
        log_warning("bygone", "%s", err.text);
    return count;
}
