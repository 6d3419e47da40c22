#pragma once
/* A status event: exactly what a journal says of a job, in order. design.md "A job". */
#include "model/job_state.h"
#include "model/record.h"
#include "model/target.h"

enum event_origin { ORIGIN_COORDINATOR, ORIGIN_WORKER };
/* The coordinator's seq of what it says once of a job; ENDED: that it never was published. All else that it says has one from the clock, in µs. */
enum event_seq { EVENT_PLANNED = 1, EVENT_PUBLISHED, EVENT_ENDED };

struct job_error {
    int kind; /* enum err_kind, by name on the wire */
    int64_t code;
    char *text, *hint;
};

struct plan_step { /* one step of a plan as a dry run renders it */
    char *name;    /* "freeze" */
    int class;     /* enum job_class of the step */
    char *command; /* in the native tool's words, with XML where there is some */
    char *lost;    /* what is lost by it; absent: nothing */
};

struct snapshot_info {
    char *name, *description, *parent;
    char *state; /* running, paused, shutoff, disk-only */
    int64_t created_at_ms;
    int64_t children;
    bool current, has_metadata;
    char *location;       /* internal, external */
    char *owner;          /* ours: the job id; else absent = made by others */
    char *level;          /* crash, filesystem, memory, off; ours only */
    struct strings files; /* external: its overlay files */
};

struct job_finding { /* one thing that repository.check found, or that repository.clean took away */
    char *kind; /* damaged: costs restore points; left: of a job that has ended, or is still at it; orphan: belongs to no restore point */
    char *path; /* below the repository */
    char *target; /* id of the target whose it is; absent: not known */
    char *point;  /* id of the restore point; absent: not known */
    char *text;   /* what is wrong */
    char *hint;   /* the way out; absent: none known */
    int64_t bytes;
};

struct job_result { /* what was really done; one record for every op */
    struct facts facts; /* "name", "level", "frozen_ms", "paused_ms", "size_bytes", … documented per op in docs/protocol.md */
    struct list steps;     /* struct plan_step: of a dry run */
    struct strings lost;   /* of a dry run: sentences for people */
    char *plan_digest;     /* of a dry run */
    struct list snapshots; /* struct snapshot_info: snapshot.list, snapshot.show */
    char *xml;             /* snapshot.show, snapshot.create; never with secrets */
    char *point;           /* id of the restore point made */
    bool truncated;
    struct list findings; /* struct job_finding: repository.check, repository.clean */
};

/* Begins the note of the coordinator's last word on a job whose host was replaced or removed. */
#define NOTE_BYGONE "bygone"

struct status {
    char *job_id;
    int op;
    int origin; /* enum event_origin */
    int64_t seq;
    int state; /* enum job_state */
    char *phase;
    int64_t done, total; /* bytes; 0, 0: not known */
    char *waiting;   /* reason: lock, redis, slots, hold, not_before, retry, foreign_job … with details after ": " */
    int64_t token;   /* epoch·2^32 + n; 0: none */
    int64_t attempt; /* 1 … */
    char *host;
    struct target target;
    struct job_error *error;
    struct job_result *result;
    int64_t at_ms;
    int64_t accepted_at_ms;
    char *resolved; /* PARKED that a person resolved: "done: reason" or "failed: reason" */
    char *note;     /* e.g. "stuck", "reported later" */
    char *journal;  /* id of the journal that says it */
    char *traceparent;
    int64_t started_at_ms; /* when it began to run, if no event before this one said RUNNING; 0: one did, or it has not begun */
};

extern const struct record_type job_error_record, plan_step_record, snapshot_info_record, job_finding_record,
    job_result_record, status_record;
extern const char *const event_origin_names[], *const err_kind_names[];
DEFINE_RECORD(job_finding, job_finding_record)
DEFINE_RECORD(job_result, job_result_record)
DEFINE_RECORD(status, status_record)
