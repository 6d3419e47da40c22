#pragma once
/* Follows a run to its end, as `run watch` and `policy run-now` do. Returns the exit code. */
struct cli;

int run_watch(struct cli *cli, const char *subject, const char *id);
