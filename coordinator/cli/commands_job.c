/* job, and what helps with the command itself. */
#include "coordinator/cli/commands.h"

#define JOB {"JOB", .complete = "jobs"}

static const struct option_row list[] = {
    {.name = "open", .kind = OPT_FLAG, .doc = "only those that have not ended"},
    {.name = "target", .kind = OPT_TEXT, .value = "TARGET", .doc = "only those on this machine"},
    {.name = "host", .kind = OPT_TEXT, .value = "HOST", .doc = "only those on this host"},
    {.name = "state", .kind = OPT_TEXT, .value = "STATE", .doc = "only those in this state, as in FAILED"},
    {.name = "op", .kind = OPT_TEXT, .value = "OP", .doc = "only this operation, as in backup.create"},
    {.name = "since", .kind = OPT_TIME, .value = "TIME", .doc = "only those asked for since"},
    {.name = "limit", .kind = OPT_INT, .value = "N", .doc = "at most so many; default 50"},
    {.name = NULL},
};
static const struct option_row retry[] = {
    {.name = "no-wait", .kind = OPT_FLAG, .doc = "print the new job's id instead of waiting for its end"},
    {.name = NULL},
};
static const struct option_row resolve[] = {
    {.name = "as", .kind = OPT_CHOICE, .value = "HOW", .choices = "done|failed", .doc = "how it ended, as you found out"},
    {.name = NULL},
};

const struct command commands_job[] = {
    {"job", "list", NULL, COMMAND_LIST, {{0}}, list, run_job_list, "jobs, newest first", {"jobs", "jobs --open", "jobs --state FAILED --since 24h"}},
    {"job", "show", NULL, 0, {JOB}, NULL, run_job_show, "one job: what was asked, what was done, what was lost", {"job show 0d9b", "job show 0d9b -v"}},
    {"job", "watch", NULL, 0, {{"JOB", .optional = true, .complete = "jobs"}}, NULL, run_job_watch, "follow a job to its end, or all jobs",
     {"job watch 0d9b", "job watch"}},
    {"job", "cancel", NULL, COMMAND_CHANGES | COMMAND_DRY, {JOB}, NULL, run_job_cancel, "ask a job to stop; what it has done is undone", {"job cancel 0d9b --reason 'wrong machine'"}},
    {"job", "retry", NULL, COMMAND_CHANGES | COMMAND_DRY, {JOB}, retry, run_job_retry, "start a job that failed again, under a new id", {"job retry 0d9b"}},
    {"job", "resolve", NULL, COMMAND_CHANGES | COMMAND_DRY, {JOB}, resolve, run_job_resolve, "say how a parked job ended; its target opens again",
     {"job resolve 0d9b --as done --reason 'looked at the disks: reverted'"}},
    {0},
};

const struct command commands_help[] = {
    {"help", "", NULL, 0, {{"TOPIC", .optional = true, .many = true}}, NULL, run_help, "commands, and topics: help topics", {"help", "help snapshot revert", "help topics"}},
    {"completion", "", NULL, 0, {{.name = "SHELL"}}, NULL, run_completion, "print the completion of a shell: bash", {"completion bash > /etc/bash_completion.d/fleetsnap"}},
    {"version", "", NULL, 0, {{0}}, NULL, run_version, "print the version", {"version"}},
    {"__complete", "", NULL, COMMAND_HIDDEN, {{"WORDS", .optional = true, .many = true}}, NULL, run_complete, "what may follow, for the shell", {NULL}},
    {0},
};
