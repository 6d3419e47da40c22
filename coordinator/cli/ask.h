#pragma once
/* What the coordinator knows of a machine is a moment old; who must know it as it is now asks its host. */
#include <jansson.h>

struct cli;

/* A job that only reads, run to its end without a word. Takes params. 0 and *out, its job (caller decrefs); or an exit code, and why is said. */
int ask_host(struct cli *cli, const char *subject, const char *op, const char *target, json_t *params, json_t **out);
