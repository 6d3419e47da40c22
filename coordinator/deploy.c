#include "coordinator/deploy.h"

const char *const deploy_run_names[] = {"begin", "revert", "delete", NULL};

static const int64_t HOUR_MS = 3600 * 1000LL, AGAIN_MS = 6 * HOUR_MS, HOSTS_MS = 20 * 1000, KEPT_MS = 41 * 24 * HOUR_MS;

bool deploy_run_of(const struct deploy *deploy, enum deploy_run *out, int64_t *out_slot_ms)
{
    if (deploy->state == DEPLOY_PLANNING || deploy->state == DEPLOY_SNAPSHOTTING) {
        *out = DEPLOY_RUN_BEGIN;
        *out_slot_ms = deploy->begun_at_ms;
    } else if (deploy->state == DEPLOY_REVERTING) {
        *out = DEPLOY_RUN_REVERT;
        *out_slot_ms = deploy->revert_at_ms;
    } else if (deploy->cleaning) {
        *out = DEPLOY_RUN_DELETE;
        *out_slot_ms = deploy->delete_at_ms;
    } else {
        return false;
    }
    return true;
}

bool deploy_settled(const struct deploy *deploy)
{
    return deploy_ended(deploy) && !deploy->cleaning && (deploy->cleaned_at_ms || deploy->state == DEPLOY_REFUSED);
}

bool deploy_is_old(const struct deploy *deploy, int64_t now_ms)
{
    bool kept = deploy->standing && deploy_ended(deploy) && !deploy->ttl_ms;

    return (deploy_settled(deploy) || ((deploy->state == DEPLOY_REVERT_FAILED || kept) && !deploy->cleaning)) &&
           now_ms - deploy->state_at_ms >= KEPT_MS && now_ms - deploy->cleaned_at_ms >= KEPT_MS;
}

bool deploy_holds_targets(const struct deploy *deploy)
{
    return !deploy_ended(deploy) && deploy->state != DEPLOY_PLANNING;
}

/* ---- changes ---- */

static struct deploy *change(struct deploy_move *out)
{
    out->act = DEPLOY_CHANGE;
    return &out->next;
}

static void begin_cleaning(struct deploy *next, int64_t now_ms)
{
    next->cleaning = true;
    next->delete_at_ms = now_ms;
}

/* The snapshots stay for ttl from its end on; those of a group that is to stay have no end. */
static void enter(struct deploy_move *out, enum deploy_state state, int64_t now_ms, const char *why)
{
    struct deploy *next = change(out);

    next->state = (int)state;
    next->state_at_ms = now_ms;
    next->why = (char *)why;
    if (state == DEPLOY_UNDOING)
        begin_cleaning(next, now_ms);
    if (next->ttl_ms &&
        (state == DEPLOY_SUCCEEDED || state == DEPLOY_FAILED || state == DEPLOY_REVERTED || state == DEPLOY_EXPIRED))
        next->expires_at_ms = next->expires_at_ms ? next->expires_at_ms : now_ms + next->ttl_ms;
}

static void take_word(struct deploy_move *out)
{
    change(out)->words++;
}

/* parallel 0: by a writer that did not say. */
static void enter_revert(struct deploy_move *out, const struct deploy_word *word, int64_t now_ms, const char *why)
{
    static const struct deploy_word by_itself = {.parallel = 1};

    word = word ? word : &by_itself;
    enter(out, DEPLOY_REVERTING, now_ms, why);
    out->next.order = word->order;
    out->next.keep_going = word->keep_going;
    out->next.parallel = word->parallel > 0 ? word->parallel : 1;
    out->next.expires_at_ms = 0;
    out->next.revert_at_ms = now_ms;
}

static bool run_went_well(enum run_outcome outcome)
{
    return outcome == RUN_DONE || outcome == RUN_EMPTY;
}

/* ---- states ---- */

static void decide_planning(const struct deploy *deploy, const struct deploy_sight *sight, int64_t now_ms,
                            struct deploy_move *out)
{
    if (sight->has_run) { /* written by a leader that did not live to say so */
        enter(out, DEPLOY_SNAPSHOTTING, now_ms, NULL);
    } else if (sight->word && sight->word->says == DEPLOY_SAYS_FAILED) {
        enter(out, DEPLOY_UNDONE, now_ms, "it was said to have failed before it had snapshots");
        out->next.cleaned_at_ms = now_ms;
        take_word(out);
    } else if (sight->blocked) {
        if (deploy->overlap == DEPLOY_OVERLAP_REFUSE || now_ms - deploy->begun_at_ms >= deploy->timeout_ms)
            enter(out, DEPLOY_REFUSED, now_ms, sight->blocked);
    } else if (sight->crowded) {
        if (now_ms - deploy->begun_at_ms >= deploy->within_ms)
            enter(out, DEPLOY_REFUSED, now_ms, sight->crowded);
    } else if (!sight->unfit) {
        out->act = DEPLOY_START;
    } else if (now_ms - sight->unfit_since_ms >= HOSTS_MS) { /* a new leader hears of its hosts one after the other */
        enter(out, DEPLOY_REFUSED, now_ms, sight->unfit);
    }
}

static void decide_snapshotting(const struct deploy *deploy, const struct deploy_sight *sight, int64_t now_ms,
                                struct deploy_move *out)
{
    bool failed = sight->word && sight->word->says == DEPLOY_SAYS_FAILED;

    if (!sight->has_run) {
        out->act = DEPLOY_START;
    } else if (sight->run == RUN_RUNNING) {
        out->act = failed && !sight->stop_asked ? DEPLOY_STOP : DEPLOY_REST;
    } else if (failed) {
        enter(out, DEPLOY_UNDOING, now_ms, "it was said to have failed before all of it was there");
        take_word(out);
    } else if (sight->run == RUN_DONE) {
        enter(out, out->next.standing ? DEPLOY_SUCCEEDED : DEPLOY_READY, now_ms, NULL);
    } else {
        enter(out, DEPLOY_UNDOING, now_ms,
              deploy->operation == DEPLOY_BACKUPS ? "not every machine got its backup"
                                                  : "not every target got its snapshot");
    }
}

static void decide_ready(const struct deploy *deploy, const struct deploy_sight *sight, int64_t now_ms,
                         struct deploy_move *out)
{
    if (sight->word) {
        if (sight->word->says == DEPLOY_SAYS_SUCCEEDED)
            enter(out, DEPLOY_SUCCEEDED, now_ms, NULL);
        else if (sight->word->revert)
            enter_revert(out, sight->word, now_ms, NULL);
        else
            enter(out, DEPLOY_FAILED, now_ms, NULL);
        take_word(out);
    } else if (now_ms - deploy->state_at_ms >= deploy->timeout_ms) {
        if (deploy->auto_revert && sight->may_revert)
            enter_revert(out, NULL, now_ms, "nobody said in time that it succeeded");
        else
            enter(out, DEPLOY_EXPIRED, now_ms,
                  deploy->auto_revert
                      ? "nobody said in time how it ended, and the token that began it may not revert any more"
                      : "nobody said in time how it ended");
        out->warns = true;
    }
}

static void decide_reverting(const struct deploy_sight *sight, int64_t now_ms, struct deploy_move *out)
{
    if (!sight->has_run) {
        out->act = DEPLOY_START;
    } else if (sight->run != RUN_RUNNING) {
        bool well = run_went_well(sight->run);
        enter(out, well ? DEPLOY_REVERTED : DEPLOY_REVERT_FAILED, now_ms,
              well ? out->next.why : "not every target was reverted");
        out->warns = !well;
    }
}

/* Deletes its snapshots; what cannot be deleted is tried again later. */
static void decide_cleaning(const struct deploy *deploy, const struct deploy_sight *sight, int64_t now_ms,
                            struct deploy_move *out)
{
    struct deploy *next = &out->next;

    if (!sight->has_run) {
        out->act = DEPLOY_START;
        return;
    }
    if (sight->run == RUN_RUNNING)
        return;
    if (deploy->state == DEPLOY_UNDOING)
        enter(out, DEPLOY_UNDONE, now_ms, deploy->why);
    change(out);
    next->cleaning = false;
    if (run_went_well(sight->run) && !sight->unended)
        next->cleaned_at_ms = now_ms;
    else
        next->expires_at_ms = now_ms + AGAIN_MS;
    out->warns = !run_went_well(sight->run);
}

/* A group that was asked for by itself is there to go back to, as often as wanted. Backups are restored instead. */
static bool may_still_revert(const struct deploy *deploy)
{
    bool again = deploy->standing && (deploy->state == DEPLOY_SUCCEEDED || deploy->state == DEPLOY_REVERTED);

    return deploy->operation == DEPLOY_SNAPSHOTS &&
           (again || deploy->state == DEPLOY_FAILED || deploy->state == DEPLOY_EXPIRED ||
            deploy->state == DEPLOY_REVERT_FAILED) &&
           !deploy->cleaned_at_ms && !deploy->cleaning;
}

static void decide_ended(const struct deploy *deploy, const struct deploy_sight *sight, int64_t now_ms,
                         struct deploy_move *out)
{
    const struct deploy_word *word = sight->word;

    if (word) {
        if (word->says == DEPLOY_SAYS_FAILED && word->revert && may_still_revert(deploy))
            enter_revert(out, word, now_ms, NULL);
        else if (deploy->state == DEPLOY_EXPIRED)
            enter(out, word->says == DEPLOY_SAYS_SUCCEEDED ? DEPLOY_SUCCEEDED : DEPLOY_FAILED, now_ms, NULL);
        take_word(out);
    } else if (deploy->expires_at_ms && !deploy->cleaned_at_ms && now_ms >= deploy->expires_at_ms) {
        begin_cleaning(change(out), now_ms);
    } else if (deploy_is_old(deploy, now_ms)) {
        out->act = DEPLOY_FORGET;
    }
}

void deploy_decide(const struct deploy *deploy, const struct deploy_sight *sight, int64_t now_ms,
                   struct deploy_move *out)
{
    *out = (struct deploy_move){.act = DEPLOY_REST, .next = *deploy};
    if (deploy->state == DEPLOY_PLANNING)
        decide_planning(deploy, sight, now_ms, out);
    else if (deploy->state == DEPLOY_SNAPSHOTTING)
        decide_snapshotting(deploy, sight, now_ms, out);
    else if (deploy->state == DEPLOY_READY)
        decide_ready(deploy, sight, now_ms, out);
    else if (deploy->state == DEPLOY_REVERTING)
        decide_reverting(sight, now_ms, out);
    else if (deploy->cleaning)
        decide_cleaning(deploy, sight, now_ms, out);
    else
        decide_ended(deploy, sight, now_ms, out);
}

/* ---- words ---- */

static enum deploy_hears hears_beside(const struct deploy_word *pending, const struct deploy_word *said)
{
    if (pending->says != said->says)
        return DEPLOY_REFUSES;
    return said->revert && !pending->revert ? DEPLOY_HEARS : DEPLOY_KNOWS;
}

static enum deploy_hears hears_success(const struct deploy *deploy)
{
    switch ((enum deploy_state)deploy->state) {
    case DEPLOY_PLANNING:
    case DEPLOY_SNAPSHOTTING:
    case DEPLOY_READY:
    case DEPLOY_EXPIRED: return DEPLOY_HEARS;
    case DEPLOY_SUCCEEDED: return DEPLOY_KNOWS;
    case DEPLOY_UNDOING:
    case DEPLOY_REVERTING:
    case DEPLOY_REFUSED:
    case DEPLOY_UNDONE:
    case DEPLOY_FAILED:
    case DEPLOY_REVERTED:
    case DEPLOY_REVERT_FAILED: break;
    }
    return DEPLOY_REFUSES;
}

static enum deploy_hears hears_failure(const struct deploy *deploy, bool revert)
{
    if (deploy->standing && revert && may_still_revert(deploy))
        return DEPLOY_HEARS;
    switch ((enum deploy_state)deploy->state) {
    case DEPLOY_PLANNING:
    case DEPLOY_SNAPSHOTTING:
    case DEPLOY_READY: return DEPLOY_HEARS;
    case DEPLOY_EXPIRED:
    case DEPLOY_FAILED:
    case DEPLOY_REVERT_FAILED:
        if (revert)
            return may_still_revert(deploy) ? DEPLOY_HEARS : DEPLOY_REFUSES;
        return deploy->state == DEPLOY_EXPIRED ? DEPLOY_HEARS : DEPLOY_KNOWS;
    case DEPLOY_UNDOING:
    case DEPLOY_UNDONE:
    case DEPLOY_REFUSED:
    case DEPLOY_REVERTING:
    case DEPLOY_REVERTED: return DEPLOY_KNOWS;
    case DEPLOY_SUCCEEDED: break;
    }
    return DEPLOY_REFUSES;
}

enum deploy_hears deploy_hears(const struct deploy *deploy, const struct deploy_word *pending,
                               const struct deploy_word *said)
{
    if (pending)
        return hears_beside(pending, said);
    return said->says == DEPLOY_SAYS_SUCCEEDED ? hears_success(deploy) : hears_failure(deploy, said->revert);
}
