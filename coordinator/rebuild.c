/*
 * Tickets are written from a list made under the lock, so that the main loop goes on meanwhile. It writes tickets of new jobs itself; writing one that exists changes
 * nothing but its term, so the two cannot disagree.
 */
#include "coordinator/rebuild.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/internal.h"
#include "coordinator/view_feed.h"
#include "coordinator/view_query.h"
#include "model/job_state.h"
#include "redis/store.h"

#include <stdio.h>
#include <string.h>

static const int64_t TICKET_TTL_MS = 30LL * 24 * 3600 * 1000, KEEP_ENDED_MS = 40LL * 24 * 3600 * 1000;
enum { AT_ONCE = 256, FORGET_AT_ONCE = 10000 };

struct open_job {
    char job_id[UUID_TEXT], host[64], target[TARGET_TEXT];
    int op, job_class;
    int64_t deadline_ms;
    char cancel[192], control[256];
};

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
}

static void note_job(struct open_job *out, const struct ledger_node *node)
{
    const struct ledger_job *record = node->entry->job;

    copy(out->job_id, sizeof out->job_id, record->job->job_id);
    copy(out->host, sizeof out->host, record->job->host);
    target_format(&record->job->target, out->target);
    out->op = record->job->op;
    out->job_class = job_class(record->job);
    out->deadline_ms = record->job->deadline_ms;
    copy(out->cancel, sizeof out->cancel, record->cancel);
    ledger_job_control(node, out->control, sizeof out->control);
}

static int list_open_jobs(struct coordinator *coordinator, struct open_job **out, size_t *out_count, struct err *err)
{
    LOCK_SCOPE(&coordinator->lock);
    size_t count = 0, room = ledger_open_jobs(coordinator->ledger);
    struct open_job *jobs = calloc(room ? room : 1, sizeof *jobs);

    if (!jobs)
        return err_memory(err, "tickets");
    for (struct ledger_node *node = ledger_first_open_job(coordinator->ledger); node && count < room; node = node->next)
        if (ledger_job_out(node))
            note_job(&jobs[count++], node);
    *out = jobs;
    *out_count = count;
    return 0;
}

static int ticket_of(const struct open_job *job, struct view_query *view, int64_t term, struct store_command *out,
                     struct err *err)
{
    struct view_job_brief known = {0};

    if (view_query_job(view, job->job_id, &known, err) < 0)
        return -1;
    struct store_ticket ticket = {
        .job_id = job->job_id,
        .host = job->host,
        .target = job->target,
        .op = op_names[job->op],
        .job_class = job->job_class,
        .term = term,
        .deadline_ms = job->deadline_ms,
        .state = known.found && known.state >= STATE_ACCEPTED ? job_state_names[known.state] : "",
        .cancel = job->cancel,
        .control = job->control,
        .token = known.token,
        .journal = known.journal,
        .ttl_ms = known.found && known.state == STATE_PARKED ? 0 : TICKET_TTL_MS,
    };
    return store_ticket_command(&ticket, out, err);
}

static int check_replies(struct redis_reply **replies, size_t count, struct err *err)
{
    int result = 0;

    for (size_t i = 0; i < count; i++) {
        if (!replies[i])
            result = err_set(err, ERR_RETRY, "no answer");
        else if (redis_reply_is_error(replies[i]))
            result = err_set(err, ERR_RETRY, "%s", redis_reply_text(replies[i]));
        else if (store_ticket_answer(replies[i]) != TICKET_OK)
            result = err_set(err, ERR_CONFLICT, "Redis knows a higher term");
        redis_reply_free(replies[i]);
    }
    return result;
}

static int write_some(struct redis *redis, struct view_query *view, const struct open_job *jobs, size_t count,
                      int64_t term, struct err *err)
{
    CLEANUP(freep) struct store_command *commands = calloc(count, sizeof *commands);
    int argcs[AT_ONCE];
    const char *const *argvs[AT_ONCE];
    struct redis_reply *replies[AT_ONCE] = {0};
    size_t made = 0;
    int result = commands ? 0 : err_memory(err, "tickets");

    for (; result == 0 && made < count; made++) {
        result = ticket_of(&jobs[made], view, term, &commands[made], err);
        argcs[made] = commands[made].argc;
        argvs[made] = commands[made].argv;
    }
    if (result == 0 && (result = redis_call_many(redis, count, argcs, argvs, replies, err)) == 0)
        result = check_replies(replies, count, err);
    for (size_t i = 0; i < made; i++)
        store_command_clear(&commands[i]);
    return result;
}

int rebuild_tickets(struct coordinator *coordinator, struct redis *redis, int64_t term, size_t *out_written,
                    struct err *err)
{
    CLEANUP(freep) struct open_job *jobs = NULL;
    CLEANUP(view_query_closep) struct view_query *view = NULL;
    size_t count = 0;

    if (list_open_jobs(coordinator, &jobs, &count, err) < 0 || view_query_open(coordinator->view_path, &view, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i += AT_ONCE)
        if (write_some(redis, view, jobs + i, count - i < AT_ONCE ? count - i : AT_ONCE, term, err) < 0)
            return -1;
    *out_written = count;
    return 0;
}

/* ---- forgetting ---- */

static size_t list_old(struct coordinator *coordinator, char (*out)[UUID_TEXT], size_t max)
{
    int64_t before = clock_real_ms() - KEEP_ENDED_MS;
    size_t count = 0;

    LOCK_SCOPE(&coordinator->lock);
    for (struct ledger_node *node = ledger_first_ended_job(coordinator->ledger); node && count < max; node = node->next)
        if (node->ended->ended_at_ms < before && !node->older_count)
            copy(out[count++], UUID_TEXT, strchr(node->key, ':') + 1);
    return count;
}

void rebuild_forget_old(struct coordinator *coordinator)
{
    CLEANUP(freep) char(*ids)[UUID_TEXT] = calloc(FORGET_AT_ONCE, UUID_TEXT);
    CLEANUP(view_query_closep) struct view_query *view = NULL;
    size_t count = ids ? list_old(coordinator, ids, FORGET_AT_ONCE) : 0;
    struct err err = {0};

    if (!count)
        return;
    if (view_query_open(coordinator->view_path, &view, &err) < 0) {
        log_warning("ledger", "old jobs stay: %s", err.text);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!view_query_is_writer(view, ids[i]))
            desk_say(coordinator, DESK_FORGET, ids[i]);
}
