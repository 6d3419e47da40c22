#pragma once
/* The end of a job that was accepted, for every command that has one to wait for. */
#include <jansson.h>
#include <stdbool.h>

struct cli;

int job_fetch(struct cli *cli, const char *subject, const char *job_id, json_t **out);
/* Waits for its end. accepted: {job_id, op, class, target, host}. plan: the dry run's job or NULL. 0, *out_job (caller decrefs) and the phases (caller frees), or an exit code. */
int job_wait(struct cli *cli, const char *subject, const json_t *accepted, json_t *plan, bool quiet, json_t **out_job,
             char **out_phases);
/* The same until an export can be read, if it does not end before. */
int job_wait_exported(struct cli *cli, const char *subject, const json_t *accepted, json_t **out_job);
/* Prints the id (no_wait), or waits and prints how it ended. Returns the exit code. */
int job_finish(struct cli *cli, const char *subject, const json_t *accepted, json_t *plan, bool no_wait);
