#pragma once
/* Requests as commands need them: problems are printed, and become exit codes. */
#include "coordinator/cli/cli.h"

/* 0 and *out (caller decrefs), or an exit code > 0 after the problem was printed. `subject` begins the message: "snapshot create shop-1". */
int call_get(struct cli *cli, const char *subject, json_t **out, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* All pages: an array of at most `limit` items (0: all). */
int call_list(struct cli *cli, const char *subject, int64_t limit, json_t **out, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* A change: POST or DELETE with a key. */
int call_change(struct cli *cli, const char *subject, const char *method, const char *path, const json_t *body,
                const char *key, json_t **out);
/* "&name=value", escaped; nothing when value is NULL. */
struct text;
void call_query(struct text *path, const char *name, const char *value);
void call_path(struct text *path, const char *segment); /* "/segment", escaped */
