#pragma once
/* The pure parts of host enroll. */
#include "base/facts.h"

#include <jansson.h>

struct cli;
struct invocation;
struct text;

struct enroll_host {
    char *name;
    struct facts options; /* of worker.yaml, dotted names */
};

struct enroll_list {
    struct enroll_host *hosts;
    size_t count;
};

/* text is cut in pieces. Errors name the line. */
int enroll_parse(char *text, struct enroll_list *out, struct err *err);
void enroll_list_clear(struct enroll_list *list);
/*
 * worker.yaml: what the line says, then what the coordinator says (bundle: the answer of POST /v1/hosts/{host}/enroll). Its files lie beside it, wherever the bundle goes:
 * the worker reads paths from the folder of its configuration.
 */
int enroll_yaml(const struct enroll_host *host, const json_t *bundle, struct text *out, struct err *err);

/* cmd_host.c: says what is lost with the machine of a host, and asks. With --dry-run it only says it. 0: go on; else the exit code. becomes: "leaves the fleet". */
int confirm_departure(struct cli *cli, const struct invocation *invocation, const char *what, const char *becomes);
