#pragma once
/* Small pieces that several commands print. Texts go to a caller's buffer. */
#include "coordinator/cli/cli.h"
#include "coordinator/cli/table.h"

char *show_time(const struct cli *cli, const json_t *object, const char *member, char *out,
                size_t size); /* "–" if absent */
char *show_age(const struct cli *cli, const json_t *object, const char *member, char *out,
               size_t size); /* "12s", "3h", "27h", "never" */
/* How long ago, to the second below a minute: "12 s", "4 min". */
char *show_elapsed(const struct cli *cli, const json_t *object, const char *member, char *out, size_t size);
char *show_size(int64_t bytes, char *out, size_t size);   /* "–" if 0 */
const char *show_or(const char *text, const char *other); /* other if text is empty */
void show_pair(struct cli *cli, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4))); /* "  agent       answers" */
char *show_labels(const json_t *labels);   /* "app=shop tier=web"; caller frees */
/* As wide as the terminal, no limit elsewhere; an empty one is only said to be so, on err: "no jobs". */
void show_table(struct cli *cli, struct table *table, const char *none);
const char *show_target(const json_t *object); /* the name in its "target", or the id */

struct invocation;
/* --since: "24h" or a time → ms since 1970, UTC; value NULL: 0. 0, or an exit code. */
int when_ms(struct cli *cli, const char *subject, const char *value, int64_t *out);
/* The same as RFC 3339; value NULL: "". */
int when_text(struct cli *cli, const char *subject, const char *value, char *out, size_t size);
int limit_of(struct cli *cli, const char *subject, const struct invocation *invocation, int64_t fallback, int64_t *out);
