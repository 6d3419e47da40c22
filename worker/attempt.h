#pragma once
/* One execution of a plan: private to the runner's files. Lives on one executor thread. */
#include "worker/runner.h"

#include "base/text.h"

enum why_stop { STOP_NOT, STOP_CANCEL, STOP_DEADLINE, STOP_SHUTDOWN, STOP_LOCK_LOST, STOP_LOCK_STALE };

struct attempt {
    const struct runner_env *env;
    struct backend *backend;
    const struct job *job;
    const struct verb *verb;
    struct journaled_plan plan; /* the plan, and what is known of each step */
    struct facts known;         /* merged facts of the DONE steps, and the plan's own */
    bool final_begun;           /* a step without a way back has its INTENT: only forward from here */
    struct text story;          /* "freeze 4 ms · snapshot 21 ms": what this execution did, for people */
    bool recovering;
    bool journal_failed; /* a DONE could not be written: leave everything to the next start */
};

struct step_run attempt_run(struct attempt *attempt);       /* for execute */
struct step_run attempt_run_quiet(struct attempt *attempt); /* for settle, undo, render, paying: no attempt to cancel */
enum why_stop attempt_why_stop(const struct attempt *attempt); /* of a step that may still be given up */
int attempt_learn(struct attempt *attempt, size_t index, struct facts *learned,
                  struct err *err);                          /* takes the facts over, marks nothing */
bool step_is_payment(const struct plan *plan, size_t index); /* an earlier step owes this type */
size_t step_payment_of(const struct plan *plan,
                       size_t index); /* the step that pays what steps[index] owes; plan->count if there is none */
bool step_debt_open(const struct journaled_plan *plan, size_t index); /* from the INTENT of steps[index] on, until paid */
bool step_no_way_back(const struct step *step);
void attempt_pause(const struct attempt *attempt,
                   int ms); /* the runner's only wait: between tries; cut short by a shutdown */

/* runner_forward.c: from the first step that is not done to the end, then the report; failures go back. */
void attempt_forward(struct attempt *attempt, struct outcome *out);
/* runner_back.c: undoes in reverse, pays what is owed, and says what the attempt ended as. `why` is what made it turn back. */
void attempt_back(struct attempt *attempt, const struct err *why, struct outcome *out);
/* Pays open debts whose pay_first is `first`. -1: one could not be paid (its name in `owed`, caller frees). */
int attempt_pay(struct attempt *attempt, bool first, bool *out_any, char **owed, struct err *err);
void attempt_park(struct attempt *attempt, const struct err *why, size_t index, const char *owed, struct outcome *out);
/* runner_recover.c: pays what must be paid first, asks the world about each open INTENT, then forward or back. */
void attempt_recover(struct attempt *attempt, enum recovery how, struct outcome *out);
int attempt_remember(struct attempt *attempt, struct err *err); /* what planning and the DONE steps knew */
/* barrier_step.c: the others of its consistency group need not wait for it any more. After its guest was thawed; a job without a group says nothing. */
void attempt_leave_group(const struct attempt *attempt, const struct err *why);
/* runner_render.c */
void attempt_render(struct attempt *attempt, struct outcome *out);
void outcome_end(struct outcome *out, enum job_state state, const struct err *err);
struct job_result *outcome_result(struct outcome *out); /* made on first use; NULL when out of memory */
