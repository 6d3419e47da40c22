#include "coordinator/alarm.h"

#include "base/err.h"
#include "base/parse.h"
#include "model/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const alarm_rule_names[] = {"failed",      "late", "parked", "host_lost", "repository_filling",
                                        "unprotected", NULL};

int alarms_add(struct alarms *alarms, const struct alarm *alarm, struct err *err)
{
    if (alarms->count == alarms->room) {
        size_t room = alarms->room ? alarms->room * 2 : 32;
        struct alarm *grown = reallocarray(alarms->items, room, sizeof *grown);
        if (!grown)
            return err_memory(err, "alarms");
        alarms->items = grown;
        alarms->room = room;
    }
    alarms->items[alarms->count++] = *alarm;
    return 0;
}

const struct alarm *alarms_find(const struct alarms *alarms, enum alarm_rule rule, const char *subject)
{
    for (size_t i = 0; i < alarms->count; i++)
        if (alarms->items[i].rule == rule && strcmp(alarms->items[i].subject, subject) == 0)
            return &alarms->items[i];
    return NULL;
}

void alarms_clear(struct alarms *alarms)
{
    free(alarms->items);
    *alarms = (struct alarms){0};
}

__attribute__((format(printf, 6, 7))) static bool say(struct alarm *out, enum alarm_rule rule, const char *kind,
                                                      const char *subject, int64_t at_ms, const char *format, ...)
{
    va_list args;

    *out = (struct alarm){.rule = rule, .at_ms = at_ms};
    snprintf(out->subject, sizeof out->subject, "%s/%s", kind, subject);
    va_start(args, format);
    vsnprintf(out->text, sizeof out->text, format, args);
    va_end(args);
    return true;
}

static bool whose(struct alarm *alarm, const char *policy)
{
    if (policy)
        snprintf(alarm->policy, sizeof alarm->policy, "%.71s", policy);
    return true;
}

static bool not_sure(struct alarm *out, enum alarm_rule rule, const char *kind, const char *subject)
{
    say(out, rule, kind, subject, 0, "%s", "nobody can tell now");
    out->unsure = true;
    return true;
}

/* ---- failed, parked ---- */

bool alarm_of_run(const char *id, const struct run *run, int64_t now_ms, struct alarm *out)
{
    bool bad = run->outcome == RUN_SOME_FAILED || run->outcome == RUN_FAILED || run->outcome == RUN_UNKNOWN;

    if (!run->ended_at_ms || !bad || now_ms - run->ended_at_ms > ALARM_LOOKBACK_MS)
        return false;
    say(out, ALARM_FAILED, "run", id, run->ended_at_ms, "%s%s, %s: %lld of %lld failed%s (fleetsnap run show %.8s)",
        run->deploy ? "" : "policy ", run->policy, run->schedule, (long long)(run->failed + run->unknown),
        (long long)run->members, run->unknown ? ", of some the outcome is not known" : "", id);
    return whose(out, run->deploy ? NULL : run->policy);
}

static bool is_bad(const char *state)
{
    return strcmp(state, "FAILED") == 0 || strcmp(state, "REJECTED") == 0 || strcmp(state, "EXPIRED") == 0;
}

bool alarm_of_job(const struct alarm_job *job, int64_t now_ms, struct alarm *out)
{
    const char *op = job->op ? job->op : "?", *target = job->target ? job->target : "?",
               *host = job->host ? job->host : "?", *why = job->why ? job->why : "no reason is known";

    if (job->dry_run)
        return false;
    if (strcmp(job->state, "PARKED") == 0) {
        if (job->resolved)
            return false;
        say(out, ALARM_PARKED, "job", job->id, job->at_ms,
            "%s of %s on %s is PARKED, its target closed: %.200s (fleetsnap job resolve %.8s)", op, target, host, why,
            job->id);
        return whose(out, job->policy);
    }
    if (!is_bad(job->state) || job->run || job->reads || now_ms - job->at_ms > ALARM_LOOKBACK_MS)
        return false;
    say(out, ALARM_FAILED, "job", job->id, job->at_ms, "%s of %s on %s %s: %.240s", op, target, host, job->state, why);
    return whose(out, job->policy);
}

/* ---- host_lost ---- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

bool alarm_of_host(const struct alarm_host *host, int64_t silent_ms, int64_t now_ms, struct alarm *out)
{
    char age[32];

    if (host->alive)
        return false;
    if (!host->heartbeats_known || now_ms - later(host->sign_ms, host->watched_ms) < silent_ms)
        return not_sure(out, ALARM_HOST_LOST, "host", host->name);
    if (!host->sign_ms)
        return say(out, ALARM_HOST_LOST, "host", host->name, host->watched_ms,
                   "host %s is enrolled, and no sign of it was ever seen", host->name);
    return say(out, ALARM_HOST_LOST, "host", host->name, host->sign_ms,
               "host %s has given no sign of life for %s; %lld of its jobs are open", host->name,
               format_duration((now_ms - host->sign_ms) / 60000 * 60000, age, sizeof age), (long long)host->open_jobs);
}

/* ---- late ---- */

bool alarm_of_target(const struct alarm_target *target, int64_t now_ms, struct alarm *out)
{
    const char *name = target->name ? target->name : target->target, *host = target->host ? target->host : "?";
    char age[32], allowed[32];

    if (!target->max_age_ms || (target->point_ms && now_ms - target->point_ms <= target->max_age_ms))
        return false;
    format_duration(target->max_age_ms, allowed, sizeof allowed);
    if (!target->point_ms)
        say(out, ALARM_LATE, "target", target->target, now_ms,
            "%s on %s has no backup that could be restored; policy %s allows %s", name, host,
            target->policy ? target->policy : "?", allowed);
    else
        say(out, ALARM_LATE, "target", target->target, target->point_ms + target->max_age_ms,
            "%s on %s: its newest backup that could be restored is %s old; policy %s allows %s", name, host,
            format_duration((now_ms - target->point_ms) / 60000 * 60000, age, sizeof age),
            target->policy ? target->policy : "?", allowed);
    return whose(out, target->policy);
}

/* ---- unprotected ---- */

bool alarm_of_unprotected(const struct alarm_unprotected *target, int64_t now_ms, struct alarm *out)
{
    char age[32];

    if (now_ms - target->since_ms < ALARM_UNPROTECTED_MS)
        return false;
    return say(out, ALARM_UNPROTECTED, "target", target->target, target->since_ms + ALARM_UNPROTECTED_MS,
               "%s on %s has been backed up by no policy for %s: fleetsnap targets --unprotected", target->name,
               target->host, format_duration((now_ms - target->since_ms) / 3600000 * 3600000, age, sizeof age));
}

/* ---- repository_filling ---- */

/* The slope of least squares, bytes a millisecond; the first sample is the origin, so that squares stay small. */
static double slope_of(const struct space_sample *samples, size_t count)
{
    double n = (double)count, x = 0, y = 0, xx = 0, xy = 0;

    for (size_t i = 0; i < count; i++) {
        double at = (double)(samples[i].at_ms - samples[0].at_ms),
               bytes = (double)(samples[i].free_bytes - samples[0].free_bytes);
        x += at;
        y += bytes;
        xx += at * at;
        xy += at * bytes;
    }
    double spread = n * xx - x * x;
    return spread > 0 ? (n * xy - x * y) / spread : 0;
}

static bool enough_samples(const struct space_sample *samples, size_t count)
{
    return count >= 3 && samples[count - 1].at_ms - samples[0].at_ms >= FORECAST_MIN_MS;
}

int64_t forecast_ms(const struct space_sample *samples, size_t count, int64_t floor_bytes, int64_t now_ms)
{
    if (!enough_samples(samples, count))
        return -1;
    const struct space_sample *last = &samples[count - 1];
    double slope = slope_of(samples, count), left = (double)(last->free_bytes - floor_bytes);
    if (left <= 0)
        return 0;
    if (slope >= 0 || left / -slope > 1e15)
        return -1;
    return later((int64_t)(left / -slope) - (now_ms - last->at_ms), 0);
}

bool alarm_of_repository(const struct alarm_repository *repository, int64_t horizon_ms, int64_t now_ms,
                         struct alarm *out)
{
    const char *name = repository->name ? repository->name : repository->id;
    char room[32], floor[32], when[32];

    format_size(repository->free_bytes, room, sizeof room);
    format_size(repository->min_free_bytes, floor, sizeof floor);
    if (repository->free_bytes <= repository->min_free_bytes)
        return say(out, ALARM_REPOSITORY_FILLING, "repository", repository->id, now_ms,
                   "repository %s on %s is full: %s free, and it keeps %s", name, repository->host, room, floor);
    if (!enough_samples(repository->samples, repository->sample_count))
        return not_sure(out, ALARM_REPOSITORY_FILLING, "repository", repository->id);
    int64_t left_ms = forecast_ms(repository->samples, repository->sample_count, repository->min_free_bytes, now_ms);
    if (left_ms < 0 || left_ms > horizon_ms)
        return false;
    return say(out, ALARM_REPOSITORY_FILLING, "repository", repository->id, now_ms,
               "repository %s on %s has %s free and will be full in %s, as it has filled lately (it keeps %s)", name,
               repository->host, room, format_duration(left_ms / 60000 * 60000, when, sizeof when), floor);
}
