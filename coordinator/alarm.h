#pragma once
/*
 * What people should be told of without asking: one pure function per rule. What is asked is handed in, and so is the time; the answer is an alarm, none, or not sure
 * (nobody can tell now: what was said before stays said).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct run;

enum alarm_rule {
    ALARM_FAILED,
    ALARM_LATE,
    ALARM_PARKED,
    ALARM_HOST_LOST,
    ALARM_REPOSITORY_FILLING,
    ALARM_UNPROTECTED,
    ALARM_RULES
};
extern const char *const alarm_rule_names[]; /* "failed", …; NULL at the end */

struct alarm {
    enum alarm_rule rule;
    bool unsure;       /* keeps what was said, and says nothing new */
    char subject[160]; /* "run/<id>", "job/<id>", "host/<name>", "target/<kind:id>", "repository/<id>" */
    char policy[72];   /* whose; "": nobody's */
    char text[400];
    int64_t at_ms; /* since when it is so */
};

struct alarms {
    struct alarm *items;
    size_t count, room;
    bool looked[ALARM_RULES]; /* all of this rule is here: what is missing is over */
};
int alarms_add(struct alarms *alarms, const struct alarm *alarm, struct err *err);
const struct alarm *alarms_find(const struct alarms *alarms, enum alarm_rule rule, const char *subject);
void alarms_clear(struct alarms *alarms);

/* What went wrong is told for so long, whoever leads. */
enum { ALARM_LOOKBACK_MS = 24 * 3600 * 1000 };

/* failed: a run that has ended, and not well. */
bool alarm_of_run(const char *id, const struct run *run, int64_t now_ms, struct alarm *out);

struct alarm_job { /* strings may be NULL where nothing is known */
    const char *id, *op, *state, *target, *host, *policy, *run, *why;
    bool dry_run, reads; /* reads: class A */
    bool resolved;
    int64_t at_ms; /* of its newest event */
};
/* failed: a job of no run (runs speak for theirs). parked: any job of which a person must decide. */
bool alarm_of_job(const struct alarm_job *job, int64_t now_ms, struct alarm *out);

struct alarm_host {
    const char *name;
    bool alive;
    bool heartbeats_known; /* Redis answers and is whole */
    int64_t sign_ms;       /* newest sign of life; 0: none was ever seen */
    int64_t watched_ms;    /* since when somebody has been watching */
    int64_t open_jobs;
};
bool alarm_of_host(const struct alarm_host *host, int64_t silent_ms, int64_t now_ms, struct alarm *out);

struct alarm_target {
    const char *target, *name, *host, *policy;
    int64_t point_ms, max_age_ms; /* point_ms 0: it has none */
};
/* late: no backup that could be restored is as young as its policy wants. */
bool alarm_of_target(const struct alarm_target *target, int64_t now_ms, struct alarm *out);

struct alarm_unprotected {
    const char *target, *name, *host;
    int64_t since_ms; /* it was first seen without a policy */
};
/* unprotected: no policy has backed it up for a day. */
bool alarm_of_unprotected(const struct alarm_unprotected *target, int64_t now_ms, struct alarm *out);
enum { ALARM_UNPROTECTED_MS = 24 * 3600 * 1000 };

struct space_sample {
    int64_t at_ms, free_bytes;
};
struct alarm_repository {
    const char *id, *name, *host;
    int64_t free_bytes, min_free_bytes;
    const struct space_sample *samples; /* oldest first */
    size_t sample_count;
};
/* repository_filling: full, or, by the line through its samples, full within `horizon_ms`. Not sure with less than 6 hours of samples. */
bool alarm_of_repository(const struct alarm_repository *repository, int64_t horizon_ms, int64_t now_ms,
                         struct alarm *out);
/* When the line through the samples reaches `floor_bytes`, ms from now; -1: never, or nobody can tell yet. */
int64_t forecast_ms(const struct space_sample *samples, size_t count, int64_t floor_bytes, int64_t now_ms);
enum { FORECAST_MIN_MS = 6 * 3600 * 1000 };
