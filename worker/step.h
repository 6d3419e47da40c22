#pragma once
/*
 * A verb is a plan of steps.
 *
 * A backend does not execute a job: it *plans* it. The plan is data, a list of small steps, each of a type that the backend declares in a table. The runner executes the
 * plan and does everything that must never be forgotten, in one place, for every verb of every backend:
 *
 *     plan ─► journal PLAN ─► for each step: cancelled? deadline? ─► class C: lock still ours? ─► INTENT ─► clock again ─► execute ─► DONE + facts
 *                                  └─ failure: undo what is done, in reverse; pay what is owed ─► journal RESULT
 *
 * From this follow, without another line in a backend: the dry run (render every step of the same plan), recovery (settle() asks the world what became of an INTENT
 * without DONE), progress (a phase is the name of a step), and the crash test (kill the worker around every step of every verb).
 *
 * A backend knows neither Kafka nor Redis nor Avro nor the journal.
 */
#include "base/facts.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attempt; /* one execution of a plan */
struct backend;
struct err;
struct job;

enum step_class {
    STEP_READS, /* not journaled */
    STEP_ADDS,
    STEP_DESTROYS, /* takes away data or a running state; begins only right after the lock was seen to be ours */
};

enum settled {
    SETTLED_NOT_DONE, /* proven: run it (again) */
    SETTLED_DONE,     /* proven: go on; facts are filled in */
    SETTLED_BUSY, /* a call of the dead worker is still at work: nothing is executed or undone; asked again every 500 ms, target closed */
    SETTLED_RUNNING, /* a job that lives by itself (push, commit) goes on: execute() adopts it */
    SETTLED_UNKNOWN, /* cannot be told: STEP_DESTROYS parks the job, STEP_ADDS is undone and the job planned afresh */
};

struct step {
    const struct step_type *type;
    enum step_class class; /* the type's, unless the plan raised it */
    struct facts args;     /* fixed when planned: "name=fs-…", "disk=vda" */
};

/* What every callback is given. */
struct step_run {
    struct backend *backend;
    const struct job *job;
    const struct facts *known; /* everything that the DONE steps of this plan learned, merged; later ones win */
    struct attempt *attempt;   /* NULL in settle, undo and render */
};

struct step_type {
    const char *name; /* "freeze"; unique in the backend, stable for ever (it is in journals) */
    enum step_class class;
    bool final; /* no way back from its INTENT on: cancel and deadline are only noted; a failure after it retries forward, then parks */
    bool blocks; /* one call that cannot be interrupted: cancel and deadline act after it; a call that never returns is reported as stuck */

    /* Its INTENT is journaled together with the next step's; such a chain ends with the step that pays the debt, and its DONEs are journaled after that: no wait for a
	 * disk while a guest is frozen. */
    bool with_next;

    /* A debt from the moment of INTENT: the type whose execute() pays it ("thaw" for "freeze"), called with this step's args. Paid by the plan's own step, or on every
	 * other way out. A paying step has no INTENT (the debt is it) and waits for neither journal nor Redis; it may be repeated. NULL: owes nothing. */
    const struct step_type *owes;
    const char *owes_for; /* the argument that says for what ("canister"), in both steps; NULL: a plan has one such debt at a time */
    /* On a paying step: harmless in any state (thaw), so paid before settle and undo. Otherwise (start, resume): paid only when every step of the plan is done or undone
	 * and the lock is not another's; else it stays owed, and the job is PARKED. */
    bool pay_first;

    /* The native call, as a person would type it ("virsh snapshot-create-as web-1 fs-… --disk-only"), with XML where there is some; and what is lost by it (empty: nothing). */
    int (*render)(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err);

    /* May be repeated: a step that finds its own finished work succeeds. Where it polls, it looks at attempt_cancelled() every 500 ms. Any executor, one at a time per target.
	 * A failure of which it is not known whether it had an effect is ERR_UNKNOWN; ERR_RETRY and ERR_PERMANENT say that undo() can take back whatever began. */
    int (*execute)(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err);

    /* Takes back what execute() did, also of a part of it; may be repeated. NULL: nothing to take back, or `final`. */
    int (*undo)(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err);

    /* After a crash, for a step with INTENT and without DONE. Asks once, never waits; on an executor. NULL only for STEP_READS and paying steps. */
    int (*settle)(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err);
};

/* A settle() for a step that does no harm when it is done again, whatever became of it: it says SETTLED_NOT_DONE. */
int settle_by_repeating(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                        struct err *err);

/* The runner's own, found before a backend's: the members of a consistency group wait for each other. plan_barrier() (plan.h) adds it. */
extern const struct step_type step_barrier;

/* What execute() may ask of the one who runs it. */
void attempt_progress(struct attempt *attempt, int64_t done, int64_t total); /* bytes; cheap, call often */
bool attempt_cancelled(
    const struct attempt
        *attempt); /* cancel, deadline, shutdown, lock another's; in a class C plan also a lock no longer trusted */
int64_t attempt_rate_limit(const struct attempt *attempt); /* bytes/s, changeable while it runs; 0: none */
/* For people and programs, while it runs: where an export listens. Replaces what was told before; a status event says it within a second. */
void attempt_tell(struct attempt *attempt, const struct facts *facts);
bool attempt_told_to_end(const struct attempt *attempt); /* a person said that an export may end well */
/* Reserves room in a repository across all workers (fs:space), released by the runner when the job ends. ERR_RETRY "… full" when it does not fit; ok when Redis does not answer. */
int attempt_reserve(struct attempt *attempt, const char *repository, int64_t bytes, int64_t free_bytes,
                    int64_t min_free_bytes, struct err *err);
