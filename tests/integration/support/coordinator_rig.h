#pragma once
/*
 * Coordinators as processes of their own on real servers, and a pretended host that answers their jobs. The test program is also the coordinator's: started again with
 * --coordinator it serves commands on its standard input. Servers come from the environment (tests/stack/with). Failures end the test.
 */
#include "model/job.h"
#include "model/job_state.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct rig;
struct rig_coordinator;

/* First thing in main: does not return in the child. */
void rig_child(int argc, char **argv);

struct rig *rig_open(const char *host); /* topics, an empty Redis, a master key of its own */
void rig_close(struct rig *rig);
const char *rig_host(const struct rig *rig);
const char *rig_directory(const struct rig *rig); /* with the state directories of its coordinators, by name */

/* crash: FLEETSNAP_CRASH of the process, or NULL. options: more --name=value, NULL at the end; may be NULL. */
struct rig_coordinator *coordinator_rig_start(struct rig *rig, const char *name, const char *crash,
                                              const char *const options[]);
void coordinator_rig_stop(struct rig_coordinator *coordinator, int signal); /* sends it, waits, frees */
bool rig_wait_death(struct rig_coordinator *coordinator, int timeout_ms);
pid_t rig_pid(const struct rig_coordinator *coordinator);

/* One command, one line of JSON back: {"ok": true, ...} or {"error": text, "kind": name}. NULL: it died. Caller decrefs. */
json_t *rig_ask(struct rig_coordinator *coordinator, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same until "ok". Fails the test on time-out. */
json_t *rig_insist(struct rig_coordinator *coordinator, int timeout_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void rig_wait_leading(struct rig_coordinator *coordinator, int timeout_ms);
/* Until the view says so of the job: *out is the job's JSON when not NULL. */
void rig_wait_state(struct rig_coordinator *coordinator, const char *job_id, const char *state, int timeout_ms,
                    json_t **out);

/* ---- the pretended host ---- */
void rig_read_jobs(struct rig *rig,
                   int timeout_ms); /* takes in what is on fleetsnap.jobs for our host; only what verifies */
int rig_copies(struct rig *rig, const char *job_id);        /* records of this id seen so far; 0: none */
int rig_total(const struct rig *rig);                       /* of all ids */
bool rig_copies_agree(struct rig *rig, const char *job_id); /* all say the same */
void rig_wait_job(struct rig *rig, const char *job_id, int timeout_ms);
struct rig_say {
    int state;
    int64_t seq;
    bool bad_mac;
    const char *as_host; /* fs-host and key of another; NULL: ours */
};
void rig_say(struct rig *rig, const char *job_id, const struct rig_say *what); /* a status event of the job */
/* From now on our host signs with the key of that generation, and knows no other. */
void rig_use_key(struct rig *rig, uint32_t generation);
/* A record of fleetsnap.catalog, written by that job: a revision of the point, or its tombstone. */
void rig_catalog(struct rig *rig, const char *job_id, const char *point_id, int64_t revision, bool tombstone);
/* The audit since rig_open, oldest first, as JSON; each names the one before it. Caller decrefs. */
json_t *rig_audits(struct rig *rig);
/* A record of fleetsnap.inventory: our host has null:<id> with this label. */
void rig_target(struct rig *rig, const char *id, const char *label, const char *value);
/* As our host's worker asks for the lock of a class B job; the first epoch is waited for. Returns enum acquire_answer. */
int rig_acquire(struct rig *rig, const char *job_id, const char *target, char detail[256], int64_t *out_token);
/* Records of fleetsnap.inventory: our host, and libvirt machines vm-0, vm-1 … on it. */
void rig_inventory(struct rig *rig, int machines);
void rig_heartbeat(struct rig *rig);
struct redis *rig_redis(struct rig *rig);

/* A rig with one coordinator that leads, and host alpha enrolled: set-up and tear-down of a group of tests. */
struct rig_scene {
    struct rig *rig;
    struct rig_coordinator *coordinator;
};
int rig_scene_set_up(void **state);
int rig_scene_tear_down(void **state);
