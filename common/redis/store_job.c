/* The life of one job in Redis: ticket, acquire, renew, finish. The order of arguments and the words of the answers are those of functions/. */
#include "base/clock.h"
#include "redis/store_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- tickets ---- */

int store_ticket_command(const struct store_ticket *ticket, struct store_command *out, struct err *err)
{
    command_begin(out, "fs_ticket");
    command_add_int(out, ticket->term);
    command_add(out, ticket->job_id);
    command_add(out, ticket->host);
    command_add(out, ticket->target);
    command_add_int(out, ticket->deadline_ms);
    command_add(out, ticket->state);
    command_add(out, ticket->cancel);
    command_add(out, ticket->control);
    command_add_int(out, ticket->token);
    command_add(out, ticket->journal);
    command_add_int(out, ticket->ttl_ms);
    return command_end(out, ticket->job_id, err);
}

static int word_for_job(const char *function, int64_t term, const char *job_id, const char *word,
                        struct store_command *out, struct err *err)
{
    command_begin(out, function);
    command_add_int(out, term);
    command_add(out, job_id);
    command_add(out, word);
    return command_end(out, job_id, err);
}

int store_cancel_command(int64_t term, const char *job_id, const char *who, struct store_command *out, struct err *err)
{
    return word_for_job("fs_cancel", term, job_id, who, out, err);
}

int store_control_command(int64_t term, const char *job_id, const char *word, struct store_command *out, struct err *err)
{
    return word_for_job("fs_control", term, job_id, word, out, err);
}

enum ticket_answer store_ticket_answer(const struct redis_reply *reply)
{
    static const struct word words[] = {{"OK", TICKET_OK}, {"TERM", TICKET_TERM}, {"ABSENT", TICKET_ABSENT}, {0}};

    return (enum ticket_answer)answer_word(reply, words, TICKET_NO_ANSWER);
}

/* ---- acquire ---- */

/* As fs:epoch has it: one comparison there, in place of two and a concatenation. */
static void add_epoch(struct store_command *out, int64_t n, const char *run_id)
{
    char text[96];

    snprintf(text, sizeof text, "%lld:%s", (long long)n, run_id);
    command_add(out, text);
}

/* Above every token of an older epoch, even where Redis has forgotten them, and above the highest seen. */
static int64_t least_token(const struct store_acquire *acquire)
{
    int64_t of_epoch = acquire->epoch << 32;

    return (acquire->token > of_epoch ? acquire->token : of_epoch) + 1;
}

int store_acquire_command(const struct store_acquire *acquire, struct store_command *out, struct err *err)
{
    command_begin(out, "fs_acquire");
    command_add(out, acquire->job_id);
    command_add(out, acquire->host);
    command_add(out, acquire->instance);
    command_add(out, acquire->target);
    command_add(out, acquire->journal);
    command_add_int(out, acquire->job_class);
    add_epoch(out, acquire->epoch, acquire->run_id);
    command_add_int(out, least_token(acquire));
    command_add_int(out, acquire->attempt);
    command_add_int(out, acquire->ttl_ms);
    command_add_int(out, acquire->goes_on);
    for (size_t i = 0; i < acquire->slot_count; i++) {
        command_add(out, acquire->slots[i].name);
        command_add_int(out, acquire->slots[i].limit);
    }
    return command_end(out, acquire->job_id, err);
}

void store_acquire_answer(enum redis_outcome outcome, const struct redis_reply *reply, struct acquire_result *out)
{
    static const struct word words[] = {{"OK", ACQUIRE_OK},
                                        {"EPOCH", ACQUIRE_EPOCH},
                                        {"HOLD", ACQUIRE_HOLD},
                                        {"TERMINAL", ACQUIRE_TERMINAL},
                                        {"NOTICKET", ACQUIRE_NOTICKET},
                                        {"REFUSED", ACQUIRE_REFUSED},
                                        {"EXPIRED", ACQUIRE_EXPIRED},
                                        {"CANCELLED", ACQUIRE_CANCELLED},
                                        {"HELD", ACQUIRE_HELD},
                                        {"SLOTS", ACQUIRE_SLOTS},
                                        {0}};

    if (outcome == REDIS_LOST)
        reply = NULL;
    out->answer = (enum acquire_answer)answer_word(reply, words, ACQUIRE_LOST);
    out->token = out->answer == ACQUIRE_OK ? redis_reply_int(redis_reply_at(reply, 1), 0) : 0;
    out->control[0] = '\0';
    if (out->answer == ACQUIRE_OK)
        answer_text(reply, 2, out->control, sizeof out->control);
    out->ttl_ms = out->answer == ACQUIRE_HELD ? redis_reply_int(redis_reply_at(reply, 1), 0) : 0;
    if (out->answer == ACQUIRE_LOST)
        answer_problem(reply, out->detail, sizeof out->detail);
    else
        answer_text(reply, out->answer == ACQUIRE_HELD ? 2 : 1, out->detail, sizeof out->detail);
}

/* ---- renew ---- */

static int64_t run_out_ms(int64_t trusted_until_real_ms)
{
    int64_t ago = trusted_until_real_ms ? clock_real_ms() - trusted_until_real_ms : 0;

    return ago > 0 ? ago : 0;
}

static void add_slot_names(struct store_command *out, const struct store_slot *slots, size_t count)
{
    const char *names[9] = {NULL};

    for (size_t i = 0; i < count && i < 8; i++)
        names[i] = slots[i].name;
    command_add_lines(out, names);
}

int store_renew_command(const struct store_renew *renew, struct store_command *out, struct err *err)
{
    command_begin(out, "fs_renew");
    command_add(out, renew->job_id);
    command_add(out, renew->host);
    command_add(out, renew->instance);
    command_add(out, renew->target);
    command_add_int(out, renew->token);
    command_add_int(out, renew->ttl_ms);
    command_add(out, renew->run_id);
    command_add_int(out, run_out_ms(renew->trusted_until_real_ms));
    command_add(out, renew->phase);
    command_add_int(out, renew->done);
    command_add_int(out, renew->total);
    command_add(out, renew->pins_key);
    command_add_lines(out, renew->taken_points);
    add_slot_names(out, renew->slots, renew->slot_count);
    return command_end(out, renew->job_id, err);
}

int store_flags_command(const char *job_id, const char *host, struct store_command *out, struct err *err)
{
    (void)host;
    command_begin(out, "fs_flags");
    command_add(out, job_id);
    return command_end(out, job_id, err);
}

void store_renew_answer(enum redis_outcome outcome, const struct redis_reply *reply, struct renew_result *out)
{
    static const struct word words[] = {
        {"OK", RENEW_OK}, {"BACK", RENEW_TAKEN_BACK}, {"LOST", RENEW_LOST}, {"PINNED", RENEW_PINNED}, {0}};
    const char *cancel;

    if (outcome == REDIS_LOST)
        reply = NULL;
    out->answer = (enum renew_answer)answer_word(reply, words, RENEW_NO_ANSWER);
    cancel = redis_reply_text(redis_reply_at(reply, 1));
    out->cancel = cancel && *cancel;
    answer_text(reply, 2, out->control, sizeof out->control);
    answer_text(reply, 3, out->detail, sizeof out->detail);
    if (out->answer == RENEW_NO_ANSWER && !out->detail[0])
        answer_problem(reply, out->detail, sizeof out->detail);
}

/* ---- finish ---- */

int store_finish_command(const struct store_finish *finish, struct store_command *out, struct err *err)
{
    command_begin(out, "fs_finish");
    command_add(out, finish->job_id);
    command_add(out, finish->host);
    command_add(out, finish->target);
    command_add_int(out, finish->token);
    command_add(out, finish->state);
    for (size_t i = 0; i < finish->slot_count; i++)
        command_add(out, finish->slots[i].name);
    return command_end(out, finish->job_id, err);
}

enum finish_answer store_finish_answer(enum redis_outcome outcome, const struct redis_reply *reply)
{
    static const struct word words[] = {{"OK", FINISH_OK}, {"DUP", FINISH_DUP}, {"STALE", FINISH_STALE}, {0}};

    return (enum finish_answer)answer_word(outcome == REDIS_LOST ? NULL : reply, words, FINISH_NO_ANSWER);
}
