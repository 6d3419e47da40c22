/* Deletes snapshots whose time to live is over (ttl.h). */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/planner.h"
#include "coordinator/ttl.h"
#include "coordinator/view_plan.h"
#include "model/restore_point.h"

enum { LOOK_EVERY_MS = 5000 };

struct pass {
    struct coordinator *coordinator;
    struct strings pins; /* sorted; read with the first that is over: mostly there is none */
    bool has_pins;
    int64_t now_ms;
};

static int note_pin(void *context, const struct ledger_entry *entry, struct err *err)
{
    struct pass *pass = context;

    return entry->gone ? 0 : strings_add(&pass->pins, entry->id, err);
}

static int read_pins(struct pass *pass, struct err *err)
{
    if (pass->has_pins)
        return 0;
    if (coordinator_each(pass->coordinator, LEDGER_PIN, note_pin, pass, err) < 0)
        return -1;
    strings_sort(&pass->pins);
    pass->has_pins = true;
    return 0;
}

/* A host without a heartbeat is asked when it has one again: no deletion fires days later. */
static int delete_one(void *context, const struct restore_point *point, struct err *err)
{
    struct pass *pass = context;
    CLEANUP(job_freep) struct job *job = NULL;
    char key[TTL_KEY_TEXT], job_id[UUID_TEXT];
    struct err refused = {0};

    if (read_pins(pass, err) < 0)
        return -1;
    if (!ttl_is_over(point, &pass->pins, pass->now_ms))
        return 0;
    if (ttl_job(point, &job, err) < 0)
        return -1;
    ttl_key(point, pass->now_ms, key);
    if (coordinator_submit(pass->coordinator, NULL, job, key, job_id, &refused) < 0)
        log_debug(point->id, "not deleted yet: %s", refused.text);
    return 0;
}

int planner_ttl(struct planner *planner, int64_t now_ms, struct err *err)
{
    int64_t monotonic_ms = clock_monotonic_ms();
    struct pass pass = {.coordinator = planner->coordinator, .now_ms = now_ms};

    if (monotonic_ms < planner->ttl_ms)
        return 0;
    planner->ttl_ms = monotonic_ms + LOOK_EVERY_MS;
    int result = view_each_expired_point(planner->reader, now_ms, delete_one, &pass, err);
    strings_clear(&pass.pins);
    return result < 0 ? err_wrap(err, "snapshots whose time is over") : 0;
}
