#pragma once
/* Shared by config*.c only. */
#include "base/config.h"

#include <stdint.h>

struct fact;

/* One value as it was written, with its place: "worker.yaml:14:9" or "option --executors". */
struct config_value {
    const char *place;
    const char *folder;       /* relative paths start here; NULL: the working directory */
    const char *const *items; /* scalars: one; lists: all */
    size_t count;
    bool list; /* was a YAML list; else lists split one scalar from the command line at commas, if `split` */
    bool split;
};

/* Parses into the member that `row` describes, replacing what is there. Errors read "<place>: <name>: <problem>". */
int config_set(const struct option *row, void *config, const struct config_value *value, struct err *err);
int config_set_map(const struct option *row, void *config, const char *place, const char *key, const char *value,
                   struct err *err);

/* The row of that name or NULL. */
const struct option *config_find(const struct option *rows, const char *name);
/* ERR_PERMANENT "<place>: <name>: unknown option", with the nearest name as hint and in the text. */
int config_unknown(const struct option *rows, const char *place, const char *name, struct err *err);

/* Sets every value of the YAML file; `seen[i]` is raised for row i. */
int config_read_yaml(const char *path, const struct option *rows, void *config, bool *seen, struct err *err);
