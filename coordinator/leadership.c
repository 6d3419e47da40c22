#include "coordinator/leadership.h"

#include <stdio.h>
#include <string.h>

void leadership_init(struct leadership *leadership, const char *nonce)
{
    *leadership = (struct leadership){.phase = PHASE_FOLLOWING};
    snprintf(leadership->nonce, sizeof leadership->nonce, "%s", nonce);
}

static enum leadership_news read_higher(struct leadership *leadership, int64_t term, const char *nonce)
{
    enum leadership_phase before = leadership->phase;

    leadership->highest = term;
    if (before == PHASE_CANDIDATE && term == leadership->term && nonce && strcmp(nonce, leadership->nonce) == 0) {
        leadership->phase = PHASE_ELECTED;
        return NEWS_ELECTED;
    }
    if (before == PHASE_FOLLOWING || (before == PHASE_CANDIDATE && term < leadership->term))
        return NEWS_NONE; /* a candidate's own TERM is still to come, and higher */
    leadership_step_down(leadership);
    return before == PHASE_CANDIDATE ? NEWS_LOST : NEWS_DEPOSED;
}

enum leadership_news leadership_read_term(struct leadership *leadership, int64_t term, const char *nonce)
{
    if (term > leadership->highest)
        return read_higher(leadership, term, nonce);
    if (leadership->phase == PHASE_CANDIDATE && term == leadership->term && nonce &&
        strcmp(nonce, leadership->nonce) == 0) {
        leadership_step_down(leadership); /* ours, but not the first */
        return NEWS_LOST;
    }
    return NEWS_NONE;
}

bool leadership_drops(const struct leadership *leadership, int64_t term)
{
    return term != leadership->highest;
}

bool leadership_should_stand(const struct leadership *leadership, const struct leadership_inputs *inputs)
{
    if (leadership->phase != PHASE_FOLLOWING || !inputs->ledger_read || !inputs->redis_ready || !inputs->hint_known)
        return false;
    return inputs->now_ms >= inputs->not_before_ms && (!inputs->hint_present || inputs->hint_ours);
}

int64_t leadership_patience(int64_t not_before_ms, int64_t now_ms, int64_t age_ms)
{
    int64_t until_ms = now_ms + LEADERSHIP_PATIENCE_MS - (age_ms > 0 ? age_ms : 0);

    return until_ms > now_ms && until_ms > not_before_ms ? until_ms : not_before_ms;
}

int64_t leadership_stand(struct leadership *leadership)
{
    leadership->phase = PHASE_CANDIDATE;
    leadership->term = (leadership->highest > leadership->redis_term ? leadership->highest : leadership->redis_term) + 1;
    return leadership->term;
}

void leadership_step_down(struct leadership *leadership)
{
    leadership->phase = PHASE_FOLLOWING;
    leadership->term = 0;
}
