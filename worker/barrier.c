#include "worker/barrier.h"

#include "base/err.h"

void barrier_gather(struct barrier_wait *wait, int64_t now_ms)
{
    *wait = (struct barrier_wait){VOTE_READY, now_ms + BARRIER_GATHER_MS};
}

void barrier_freeze(struct barrier_wait *wait, int64_t go_ms, int64_t limit_ms)
{
    *wait = (struct barrier_wait){VOTE_FROZEN, go_ms + limit_ms};
}

static enum barrier_move give_up(const struct barrier_wait *wait, const struct barrier_result *heard, struct err *err)
{
    static const char *const waited[] = {
        [VOTE_READY] = "not all of its machines were ready in time",
        [VOTE_RESERVED] = "not all of its machines were there when it was to begin",
        [VOTE_FROZEN] = "not all of its machines stood still within the limit",
        [VOTE_ABORT] = "it was given up",
    };

    if (heard->answer == BARRIER_ABORT)
        err_set(err, ERR_PERMANENT, "the group came to nothing: %s", heard->detail);
    else if (heard->answer == BARRIER_NO_ANSWER)
        err_set(err, ERR_PERMANENT, "the group came to nothing: Redis does not answer: %s", heard->detail);
    else
        err_set(err, ERR_PERMANENT, "the group came to nothing: %s", waited[wait->vote]);
    return BARRIER_GIVEN_UP;
}

/* What comes too late is not acted upon, even a yes: the others wait no longer either. */
enum barrier_move barrier_next(struct barrier_wait *wait, const struct barrier_result *heard, int64_t now_ms,
                               bool cancelled, struct err *err)
{
    if (heard->answer == BARRIER_ABORT)
        return give_up(wait, heard, err);
    if (cancelled)
        return err_set(err, ERR_CANCELLED, "told to stop while its group was waiting"), BARRIER_GIVEN_UP;
    if (now_ms >= wait->until_ms)
        return give_up(wait, heard, err);
    if (heard->answer != BARRIER_ON)
        return BARRIER_ASK;
    if (wait->vote != VOTE_READY)
        return BARRIER_THROUGH;
    *wait = (struct barrier_wait){VOTE_RESERVED, now_ms + BARRIER_RESERVE_MS};
    return BARRIER_ASK;
}

int barrier_pause_ms(const struct barrier_wait *wait)
{
    return wait->vote == VOTE_READY ? 100 : 10;
}
