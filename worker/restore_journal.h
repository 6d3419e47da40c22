#pragma once
/*
 * The journal of one restore that no coordinator asked for: a file <state directory>/restores/<job id>.json with job, plan and the state of each step, written anew (atomic,
 * fsync) before and after each effect, and locked by who executes it. One thread at a time.
 */
#include "worker/runner.h"

struct restore_journal {
    char *path;
    int lock; /* -1: none */
    struct job *job;
    char *plan; /* as plan_to_json gave it; NULL: not planned yet */
    struct journaled_step *steps;
    size_t step_count;
};

/* Takes the job over on success. Nothing is written before the first plan. state_directory NULL: for a dry run, in memory only. */
int restore_journal_new(const char *state_directory, struct job *job, struct restore_journal **out, struct err *err);
/* An unfinished one that nobody executes now; *out NULL: there is none. */
int restore_journal_find(const char *state_directory, struct restore_journal **out, struct err *err);
int restore_journal_plan(struct restore_journal *journal, const char *plan_json, struct err *err);
int restore_journal_steps(struct restore_journal *journal, const struct step_change *changes, size_t count,
                          struct err *err);
/* What a restarted runner needs; the caller clears it. */
int restore_journal_resume(const struct restore_journal *journal, const struct backend_ops *ops,
                           struct journaled_plan *out, struct err *err);
void restore_journal_end(struct restore_journal *journal);  /* the restore is over: the file goes */
void restore_journal_free(struct restore_journal *journal); /* the file stays */
