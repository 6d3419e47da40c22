#pragma once
/* Plans and ends of jobs, for people. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct cli;
struct text;

/* The dry run's steps and what is lost by them. job: as of GET /v1/jobs/{job}. */
void plan_print(struct cli *cli, FILE *out, const json_t *job);
/* "2 h of disk changes; 1 snapshot becomes a side branch"; empty: nothing. */
void plan_lost(const json_t *job, struct text *out);
/* How a job ended: success on cli->out, else on cli->err with the way out. phases may be "". Returns the exit code. */
int outcome_print(struct cli *cli, const json_t *job, const char *phases);
int outcome_exit(const char *state);
int outcome_code(const json_t *job); /* of a job: a check that found damage has not failed, but its exit code says so */
/* "done in 3.4 s, frozen 38 ms, filesystem-consistent" */
void outcome_text(const json_t *job, struct text *out);
