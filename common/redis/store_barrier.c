/* The votes of a consistency group. The words are those of functions/. */
#include "redis/store_internal.h"

#include <string.h>

int store_barrier_command(const struct store_barrier *barrier, struct store_command *out, struct err *err)
{
    static const char *const votes[] = {"ready", "reserved", "frozen", "abort"};

    command_begin(out, "fs_barrier");
    command_add(out, barrier->group);
    command_add(out, barrier->job_id);
    command_add(out, barrier->attempt);
    command_add_int(out, barrier->members);
    command_add(out, votes[barrier->vote]);
    if (barrier->why)
        command_add(out, barrier->why);
    return command_end(out, barrier->job_id, err);
}

void store_barrier_answer(enum redis_outcome outcome, const struct redis_reply *reply, struct barrier_result *out)
{
    static const struct word words[] = {
        {"ON", BARRIER_ON}, {"WAIT", BARRIER_WAIT}, {"ABORT", BARRIER_ABORT}, {"LATE", BARRIER_LATE}, {0}};

    if (outcome == REDIS_LOST)
        reply = NULL;
    *out = (struct barrier_result){.answer = (enum barrier_answer)answer_word(reply, words, BARRIER_NO_ANSWER)};
    if (out->answer == BARRIER_ON) {
        out->skew_ms = redis_reply_int(redis_reply_at(reply, 1), 0);
        out->spread_ms = redis_reply_int(redis_reply_at(reply, 2), 0);
    } else if (out->answer == BARRIER_NO_ANSWER) {
        answer_problem(reply, out->detail, sizeof out->detail);
    } else {
        answer_text(reply, 1, out->detail, sizeof out->detail);
    }
}
