#include "worker/hold.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"

#include <stdio.h>
#include <string.h>

/* In one piece with its text: one is made for each attempt. */
int hold_new(const char *job_id, const char *target, enum job_class class, int64_t token, struct hold **out,
             struct err *err)
{
    size_t job_size = strlen(job_id) + 1, target_size = strlen(target) + 1;
    struct hold *hold = calloc(1, sizeof *hold + job_size + target_size);

    if (!hold || pthread_mutex_init(&hold->mutex, NULL) != 0) {
        free(hold);
        return err_memory(err, "hold");
    }
    hold->references = 1;
    hold->class = class;
    hold->token = token;
    hold->rate_limit = RATE_UNTOLD;
    hold->job_id = memcpy(hold + 1, job_id, job_size);
    hold->target = memcpy((char *)(hold + 1) + job_size, target, target_size);
    *out = hold;
    return 0;
}

int hold_set_slots(struct hold *hold, const struct store_slot *slots, size_t count, struct err *err)
{
    if (!count)
        return 0;
    hold->slots = calloc(count, sizeof *hold->slots);
    for (; hold->slots && hold->slot_count < count; hold->slot_count++) {
        char *name = strdup(slots[hold->slot_count].name);
        if (!name)
            break;
        hold->slots[hold->slot_count] = (struct store_slot){name, slots[hold->slot_count].limit};
    }
    return hold->slot_count == count ? 0 : err_memory(err, "hold");
}

void hold_hear_rate(struct hold *hold, const char *control)
{
    int64_t rate;

    if (strncmp(control, "rate:", 5) != 0 || parse_int(control + 5, 0, INT64_MAX, &rate, NULL) < 0 ||
        atomic_exchange(&hold->rate_limit, rate) == rate)
        return;
    if (rate)
        log_info(hold->job_id, "told to keep to %lld bytes per second", (long long)rate);
    else
        log_info(hold->job_id, "told to go as fast as it can");
}

struct hold *hold_ref(struct hold *hold)
{
    atomic_fetch_add(&hold->references, 1);
    return hold;
}

void hold_unref(struct hold *hold)
{
    if (!hold || atomic_fetch_sub(&hold->references, 1) > 1)
        return;
    pthread_mutex_destroy(&hold->mutex);
    facts_clear(&hold->told);
    for (size_t i = 0; i < hold->slot_count; i++)
        free((char *)hold->slots[i].name);
    free(hold->slots);
    free(hold);
}

void hold_phase_set(struct hold *hold, const char *phase)
{
    LOCK_SCOPE(&hold->mutex);
    snprintf(hold->phase, sizeof hold->phase, "%s", phase);
}

void hold_phase_get(struct hold *hold, char out[64])
{
    LOCK_SCOPE(&hold->mutex);
    memcpy(out, hold->phase, sizeof hold->phase);
}

void hold_tell(struct hold *hold, const struct facts *facts)
{
    struct facts copy = {0};

    if (facts_merge(&copy, facts, NULL) < 0) {
        facts_clear(&copy);
        return; /* told again when something changes */
    }
    pthread_mutex_lock(&hold->mutex);
    struct facts before = hold->told;
    hold->told = copy;
    pthread_mutex_unlock(&hold->mutex);
    facts_clear(&before);
    atomic_fetch_add(&hold->tellings, 1);
}

void hold_told(struct hold *hold, struct facts *out)
{
    LOCK_SCOPE(&hold->mutex);

    if (facts_merge(out, &hold->told, NULL) < 0)
        facts_clear(out);
}

static bool looks_change(struct hold *hold, int from, int to)
{
    return atomic_compare_exchange_strong(&hold->looks, &from, to);
}

bool hold_look(struct hold *hold, bool begins)
{
    return looks_change(hold, begins ? HOLD_ACTS : HOLD_LOOKS, begins ? HOLD_LOOKS : HOLD_ACTS);
}

bool hold_give_away(struct hold *hold)
{
    return looks_change(hold, HOLD_LOOKS, HOLD_GIVEN_AWAY);
}

/* Without a lock (class A; B without Redis where nobody else reaches the target) there is nothing to lose but what was heard to be lost. */
enum trust hold_trust(const struct hold *hold, int64_t now_ms)
{
    if (hold->lost)
        return TRUST_LOST;
    if (hold->class == CLASS_A)
        return TRUST_OURS;
    return hold->token && now_ms < hold->trusted_until_ms ? TRUST_OURS : TRUST_STALE;
}
