#include "coordinator/notifier_look.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "coordinator/internal.h"
#include "coordinator/observed.h"
#include "coordinator/plans.h"
#include "coordinator/runs.h"
#include "coordinator/view.h"
#include "coordinator/view_feed.h"
#include "coordinator/view_plan.h"
#include "model/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 1000, PAGES_MAX = 5, RULE_MAX = 2000, OBSERVE_EVERY_MS = 10 * 60 * 1000 };

static const int64_t JOBS_SINCE_MS = 8LL * 24 * 3600 * 1000; /* a job may have been asked for long before it fails */

struct looker {
    struct observed *observed;
    char *path; /* its file */
    int64_t observed_ms;
};

struct looking {
    struct looker *looker;
    const struct look *look;
    struct alarms *out;
    size_t of_rule;
};

int looker_new(const char *state_directory, struct looker **out, struct err *err)
{
    CLEANUP(looker_freep) struct looker *looker = calloc(1, sizeof *looker);
    struct err why = {0};

    if (!looker || asprintf(&looker->path, "%s/observed", state_directory) < 0)
        return err_memory(err, "notifier");
    if (observed_new(&looker->observed, err) < 0)
        return -1;
    if (observed_load(looker->observed, looker->path, clock_real_ms(), &why) < 0)
        log_warning("notify", "%s: what was observed is observed anew", why.text);
    *out = TAKE_PTR(looker);
    return 0;
}

void looker_free(struct looker *looker)
{
    if (!looker)
        return;
    observed_free(looker->observed);
    free(looker->path);
    free(looker);
}

/* More than anybody would read: then it is not known what is over, either. */
static int add(struct looking *looking, const struct alarm *alarm, struct err *err)
{
    if (looking->of_rule++ >= RULE_MAX)
        return err_set(err, ERR_RETRY, "more than %d at once", RULE_MAX);
    return alarms_add(looking->out, alarm, err);
}

/* ---- failed, parked ---- */

static int note_run(void *context, const char *id, const struct ledger_entry *head, struct err *err)
{
    struct looking *looking = context;
    struct alarm alarm;

    return alarm_of_run(id, head->run, looking->look->now_ms, &alarm) ? add(looking, &alarm, err) : 0;
}

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static int64_t time_of(const json_t *object, const char *member)
{
    const char *text = text_of(object, member);
    int64_t ms = 0;

    return text && parse_time(text, &ms, NULL) == 0 ? ms : 0;
}

static int note_job(struct looking *looking, const json_t *job, enum alarm_rule rule, struct err *err)
{
    const json_t *target = json_object_get(job, "target");
    const char *class = text_of(job, "class"), *op = text_of(job, "op");
    const struct alarm_job asked = {.id = text_of(job, "job_id"),
                                    .op = op,
                                    .state = text_of(job, "state"),
                                    .target = text_of(target, "name") ? text_of(target, "name") : text_of(target, "id"),
                                    .host = text_of(job, "host"),
                                    .policy = text_of(job, "policy"),
                                    .run = text_of(job, "run"),
                                    .why = text_of(json_object_get(job, "error"), "text"),
                                    .dry_run = json_is_true(json_object_get(job, "dry_run")),
                                    .reads = class && strcmp(class, "A") == 0 && op && strcmp(op, "backup.verify") != 0,
                                    .resolved = text_of(job, "resolved") != NULL,
                                    .at_ms = time_of(job, "at")};
    struct alarm alarm;

    if (!asked.id || !asked.state || !alarm_of_job(&asked, looking->look->now_ms, &alarm) || alarm.rule != rule)
        return 0;
    return add(looking, &alarm, err);
}

static int look_at_jobs(struct looking *looking, const char *state, enum alarm_rule rule, int64_t since_ms,
                        struct err *err)
{
    struct view_filter filter = {.state = state, .since_ms = since_ms, .limit = PAGE};
    char cursor[64] = "";

    for (int i = 0; i < PAGES_MAX && (i == 0 || *cursor); i++) {
        json_t *page = NULL, *job;
        size_t index;
        int result = 0;
        filter.after = *cursor ? cursor : NULL;
        if (view_jobs(looking->look->reader, &filter, &page, err) < 0)
            return -1;
        json_array_foreach(json_object_get(page, "items"), index, job) if (result == 0)
            result = note_job(looking, job, rule, err);
        const char *next = text_of(page, "next");
        snprintf(cursor, sizeof cursor, "%s", next ? next : "");
        json_decref(page);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int look_failed(struct looking *looking, struct err *err)
{
    static const char *const states[] = {"FAILED", "REJECTED", "EXPIRED"};

    if (runs_each(looking->look->coordinator, false, note_run, looking, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (look_at_jobs(looking, states[i], ALARM_FAILED, looking->look->now_ms - JOBS_SINCE_MS, err) < 0)
            return -1;
    return 0;
}

static int look_parked(struct looking *looking, struct err *err)
{
    return look_at_jobs(looking, "PARKED", ALARM_PARKED, 0, err);
}

/* ---- late ---- */

static int look_late(struct looking *looking, struct err *err)
{
    const struct look *look = looking->look;
    json_t *report = NULL, *item;
    size_t index;
    int result = 0;

    if (plans_report(look->coordinator, look->reader, look->now_ms, &report, err) < 0)
        return -1;
    json_array_foreach(json_object_get(report, "targets"), index, item)
    {
        const struct alarm_target target = {
            text_of(item, "target"),   text_of(item, "name"),
            text_of(item, "host"),     text_of(item, "strictest"),
            time_of(item, "point_at"), json_integer_value(json_object_get(item, "max_age_ms"))};
        struct alarm alarm;
        if (result == 0 && alarm_of_target(&target, look->now_ms, &alarm))
            result = add(looking, &alarm, err);
    }
    json_decref(report);
    return result;
}

/* ---- host_lost ---- */

static int note_silence(struct looking *looking, const json_t *item, struct err *err)
{
    const struct look *look = looking->look;
    const char *name = text_of(item, "host");
    int64_t heartbeat_ms = time_of(item, "heartbeat_at"),
            heard_ms = name ? view_host_heard_ms(look->coordinator->view, name) : 0;
    const struct alarm_host host = {.name = name,
                                    .alive = json_is_true(json_object_get(item, "alive")),
                                    .heartbeats_known = look->heartbeats_known,
                                    .sign_ms = heartbeat_ms > heard_ms ? heartbeat_ms : heard_ms,
                                    .watched_ms = look->watched_ms,
                                    .open_jobs = json_integer_value(json_object_get(item, "open_jobs"))};
    struct alarm alarm;

    if (!name || !json_is_true(json_object_get(item, "enrolled")) ||
        !alarm_of_host(&host, look->silent_ms, look->now_ms, &alarm))
        return 0;
    return add(looking, &alarm, err);
}

static int look_hosts(struct looking *looking, struct err *err)
{
    struct view_filter filter = {.limit = PAGE};
    char cursor[256] = "";

    do {
        json_t *page = NULL, *item;
        size_t index;
        int result = 0;
        filter.after = *cursor ? cursor : NULL;
        if (view_hosts(looking->look->reader, &filter, &page, err) < 0)
            return -1;
        json_array_foreach(json_object_get(page, "items"), index, item) if (result == 0)
            result = note_silence(looking, item, err);
        const char *next = text_of(page, "next");
        snprintf(cursor, sizeof cursor, "%s", next ? next : "");
        json_decref(page);
        if (result < 0)
            return -1;
    } while (*cursor);
    return 0;
}

/* ---- unprotected ---- */

/* Where nobody has a policy for backups, nobody misses one. */
static bool backs_up(const json_t *report)
{
    const json_t *policy;
    size_t index;

    json_array_foreach(json_object_get(report, "policies"), index, policy)
    {
        const char *operation = text_of(policy, "operation");
        if (operation && strcmp(operation, "backup.create") == 0)
            return true;
    }
    return false;
}

static int observe_targets(struct looker *looker, struct coordinator *coordinator, struct view_reader *reader,
                           int64_t now_ms, struct err *err)
{
    json_t *report = NULL, *item;
    size_t index;

    if (plans_report(coordinator, reader, now_ms, &report, err) < 0)
        return -1;
    json_array_foreach(json_object_get(report, "targets"), index, item)
    {
        const char *protection = text_of(item, "protection"), *target = text_of(item, "target"),
                   *host = text_of(item, "host"), *name = text_of(item, "name");
        if (host && target && protection && strcmp(protection, "unprotected") == 0 && backs_up(report))
            observed_unprotected(looker->observed, target, host, name ? name : target, now_ms);
    }
    observed_looked(looker->observed, now_ms);
    json_decref(report);
    return 0;
}

static int note_unprotected(void *context, const struct alarm_unprotected *target, struct err *err)
{
    struct looking *looking = context;
    struct alarm alarm;

    return alarm_of_unprotected(target, looking->look->now_ms, &alarm) ? add(looking, &alarm, err) : 0;
}

static int look_unprotected(struct looking *looking, struct err *err)
{
    if (!observed_looked_ms(looking->looker->observed))
        return err_set(err, ERR_RETRY, "not looked yet");
    return observed_each_unprotected(looking->looker->observed, note_unprotected, looking, err);
}

/* ---- repository_filling ---- */

struct sampling {
    struct looker *looker;
    int64_t now_ms;
};

static int take_sample(void *context, const struct inventory_host *host, bool alive, struct err *err)
{
    const struct sampling *sampling = context;

    (void)err;
    for (size_t i = 0; alive && i < host->repositories.count; i++) {
        const struct inventory_space *space = list_at(&host->repositories, const struct inventory_space, i);
        if (space->ok && space->id)
            observed_room(sampling->looker->observed, space->id, space->free_bytes, sampling->now_ms);
    }
    return 0;
}

void looker_observe(struct looker *looker, struct coordinator *coordinator, struct view_reader *reader, int64_t now_ms)
{
    struct sampling sampling = {looker, now_ms};
    struct err err = {0};

    if (looker->observed_ms && now_ms - looker->observed_ms < OBSERVE_EVERY_MS)
        return;
    if (view_each_host(reader, take_sample, &sampling, &err) < 0 ||
        observe_targets(looker, coordinator, reader, now_ms, &err) < 0 ||
        observed_save(looker->observed, looker->path, &err) < 0) {
        log_debug("notify", "%s; tried again", err.text);
        return;
    }
    looker->observed_ms = now_ms;
}

static int add_room(struct looking *looking, const struct alarm_repository *asked, struct err *err)
{
    const struct look *look = looking->look;
    struct alarm alarm;

    return alarm_of_repository(asked, look->filling_within_ms, look->now_ms, &alarm) ? add(looking, &alarm, err) : 0;
}

/* Of several hosts that have a repository the first that can see it speaks for all. */
static int note_room(void *context, const struct inventory_host *host, bool alive, struct err *err)
{
    struct looking *looking = context;
    struct observed *observed = looking->looker->observed;

    for (size_t i = 0; alive && i < host->repositories.count; i++) {
        const struct inventory_space *space = list_at(&host->repositories, const struct inventory_space, i);
        if (!space->ok || !space->id || !observed_see(observed, space->id, looking->look->now_ms))
            continue;
        struct alarm_repository asked = {.id = space->id,
                                         .name = space->name,
                                         .host = host->host,
                                         .free_bytes = space->free_bytes,
                                         .min_free_bytes = space->min_free_bytes};
        asked.samples = observed_samples(observed, space->id, &asked.sample_count);
        if (add_room(looking, &asked, err) < 0)
            return -1;
    }
    return 0;
}

/* Nobody sees it now: what was said stays said. */
static int note_unseen(void *context, const char *repository, struct err *err)
{
    const struct alarm_repository unseen = {.id = repository, .host = "", .free_bytes = INT64_MAX};

    return add_room(context, &unseen, err);
}

static int look_repositories(struct looking *looking, struct err *err)
{
    if (view_each_host(looking->look->reader, note_room, looking, err) < 0)
        return -1;
    return observed_each_unseen(looking->looker->observed, looking->look->now_ms, note_unseen, looking, err);
}

/* ---- all ---- */

void looker_look(struct looker *looker, const struct look *look, struct alarms *out, struct err *err)
{
    static int (*const rules[ALARM_RULES])(struct looking *, struct err *) = {
        [ALARM_FAILED] = look_failed,
        [ALARM_LATE] = look_late,
        [ALARM_PARKED] = look_parked,
        [ALARM_HOST_LOST] = look_hosts,
        [ALARM_REPOSITORY_FILLING] = look_repositories,
        [ALARM_UNPROTECTED] = look_unprotected,
    };

    for (int rule = 0; rule < ALARM_RULES; rule++) {
        struct looking looking = {looker, look, out, 0};
        struct err why = {0};
        out->looked[rule] = look->wanted[rule] && rules[rule](&looking, &why) == 0;
        if (why.kind && err) {
            *err = why;
            err_wrap(err, "%s", alarm_rule_names[rule]);
        }
    }
}
