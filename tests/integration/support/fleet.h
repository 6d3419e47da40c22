#pragma once
/*
 * A fleet of one host for tests of the worker on real servers: what a coordinator would do (topics, epoch, tickets, signed jobs), the worker as a process of its own, and what it
 * says on fleetsnap.status. Servers come from the environment (tests/stack/with). Failures end the test.
 */
#include "model/job.h"
#include "model/status.h"
#include "redis/store.h"

#include <sys/types.h>

struct fleet;

enum { FLEET_EVENTS_MAX = 64 };

struct seen { /* what was said of one job, in order */
    char job_id[40];
    int count, terminal; /* events; of them with a terminal state, repeats of the same seq not counted */
    int state;           /* of the last */
    int64_t seq[FLEET_EVENTS_MAX];
    int states[FLEET_EVENTS_MAX];
    char error[512], waiting[320], resolved[320], note[64];
};

struct submit { /* how to bend a job out of shape; zero: as it should be */
    bool no_ticket, bad_mac, no_mac, only_ticket, not_ready;
    const char *header_host; /* fs-host, instead of the job's */
    const void *raw;         /* value instead of the job */
    size_t raw_len;
};

struct fleet *fleet_open(const char *host);
void fleet_close(struct fleet *fleet); /* stops the worker */
const char *fleet_directory(const struct fleet *fleet);
const char *fleet_host(const struct fleet *fleet);

/* ---- the worker ---- */
void fleet_start(struct fleet *fleet, const char *const options[]); /* more --name=value; NULL at the end, may be NULL */
void fleet_crash_at(struct fleet *fleet, const char *point);        /* FLEETSNAP_CRASH of the next start; NULL: none */
pid_t fleet_pid(const struct fleet *fleet);
void fleet_kill(struct fleet *fleet, int signal);
int fleet_wait_exit(struct fleet *fleet, int timeout_ms); /* wait status; fails the test when it does not come */
bool fleet_running(struct fleet *fleet);

/* ---- jobs ---- */
void fleet_job(const struct fleet *fleet, struct job *out,
               const char *target); /* a noop; out is to be cleared by job_clear */
void fleet_submit(struct fleet *fleet, const struct job *job, const struct submit *how);
void fleet_flush(struct fleet *fleet);
void fleet_cancel(struct fleet *fleet, const char *job_id);
void fleet_control(struct fleet *fleet, const char *job_id, const char *word);
struct redis *fleet_redis(struct fleet *fleet);
void fleet_epoch(struct fleet *fleet); /* functions, term and fs:epoch, as a leader does after Redis lost its memory */

/* ---- what is said ---- */
void fleet_read(struct fleet *fleet, int timeout_ms);
struct seen *fleet_seen(struct fleet *fleet, const char *job_id); /* NULL: nothing yet */
struct seen *fleet_wait_end(struct fleet *fleet, const char *job_id, int timeout_ms);
struct seen *fleet_wait_state(struct fleet *fleet, const char *job_id, int state, int timeout_ms);
/* WAITING for a reason that begins so; it may wait for others before, as for Redis to answer the first time. */
struct seen *fleet_wait_reason(struct fleet *fleet, const char *job_id, const char *reason, int timeout_ms);
int fleet_dead_letters(struct fleet *fleet, const char *reason_part); /* how many so far */
