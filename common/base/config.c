/*
 * Order: the file, then the command line over it, then the defaults of what nobody set, then the question whether something required is missing.
 * config_yaml.c walks the file, config_value.c turns text into typed members, config_print.c renders the rows for people.
 */
#include "base/config.h"

#include "base/cleanup.h"
#include "base/config_internal.h"
#include "base/err.h"
#include "base/facts.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct option *config_find(const struct option *rows, const char *name)
{
    for (; rows->name; rows++)
        if (strcmp(rows->name, name) == 0)
            return rows;
    return NULL;
}

/* Also compares last parts: "executor" is near "worker.executors". */
static const char *nearest(const struct option *rows, const char *name)
{
    size_t best = strlen(name) / 3 + 2;
    const char *found = NULL;

    for (; rows->name; rows++) {
        const char *last = strrchr(rows->name, '.');
        size_t whole = text_distance(name, rows->name);
        size_t part = last ? text_distance(name, last + 1) : whole;
        size_t nearer = whole < part ? whole : part;
        if (nearer < best) {
            best = nearer;
            found = rows->name;
        }
    }
    return found;
}

int config_unknown(const struct option *rows, const char *place, const char *name, struct err *err)
{
    const char *guess = nearest(rows, name);

    err_set(err, ERR_PERMANENT, "%s: %s: unknown option", place, name);
    return guess ? err_hint(err, "Did you mean %s?", guess) : -1;
}

/* "kafka.properties.linger.ms" for a map row "kafka.properties": the rest is the key. */
static const struct option *find_map(const struct option *rows, const char *name, const char **key)
{
    for (; rows->name; rows++) {
        size_t len = strlen(rows->name);
        if (rows->type != OPTION_MAP || strncmp(rows->name, name, len) != 0 || name[len] != '.')
            continue;
        *key = name + len + 1;
        return rows;
    }
    return NULL;
}

static int set_override(const struct option *rows, void *config, bool *seen, const char *name, const char *text,
                        struct err *err)
{
    char place[128];
    const char *key;
    const struct option *row = config_find(rows, name);

    snprintf(place, sizeof place, "option --%.100s", name);
    if (row) {
        struct config_value value = {.place = place, .items = &text, .count = 1, .split = true};
        seen[row - rows] = true;
        return config_set(row, config, &value, err);
    }
    row = find_map(rows, name, &key);
    if (!row)
        return config_unknown(rows, place, name, err);
    seen[row - rows] = true;
    return config_set_map(row, config, place, key, text, err);
}

static int set_overrides(const struct option *rows, void *config, bool *seen, const char *const overrides[],
                         struct err *err)
{
    for (size_t i = 0; overrides && overrides[i]; i++) {
        const char *equals = strchr(overrides[i], '=');
        if (!equals)
            return err_set(err, ERR_PERMANENT, "option --%s: needs a value: --name=value", overrides[i]);
        CLEANUP(freep) char *name = strndup(overrides[i], (size_t)(equals - overrides[i]));
        if (!name)
            return err_memory(err, "options");
        if (set_override(rows, config, seen, name, equals + 1, err) < 0)
            return -1;
    }
    return 0;
}

static int missing(const struct option *row, const char *path, struct err *err)
{
    err_set(err, ERR_PERMANENT, "%s: %s: is required", path ? path : "options", row->name);
    return err_hint(err, "set %s: %s", row->name, row->doc ? row->doc : "");
}

static int set_defaults(const struct option *rows, void *config, const bool *seen, const char *path, struct err *err)
{
    for (size_t i = 0; rows[i].name; i++) {
        const struct option *row = &rows[i];
        bool needed = row->type == OPTION_STRING || row->type == OPTION_PATH || row->type == OPTION_CHOICE;
        if (seen[i])
            continue;
        if (!row->fallback) {
            if (needed && !row->optional)
                return missing(row, path, err);
            continue;
        }
        struct config_value value = {.place = "default", .items = &row->fallback, .count = 1, .split = true};
        if (config_set(row, config, &value, err) < 0)
            return -1;
    }
    return 0;
}

static int load(const char *path, const char *const overrides[], const struct option *rows, void *config,
                struct err *err)
{
    size_t count = 0;

    while (rows[count].name)
        count++;
    CLEANUP(freep) bool *seen = calloc(count + 1, sizeof *seen);
    if (!seen)
        return err_memory(err, "options");
    if (path && config_read_yaml(path, rows, config, seen, err) < 0)
        return -1;
    if (set_overrides(rows, config, seen, overrides, err) < 0)
        return -1;
    return set_defaults(rows, config, seen, path, err);
}

int config_load(const char *path, const char *const overrides[], const struct option *rows, void *config,
                struct err *err)
{
    if (load(path, overrides, rows, config, err) == 0)
        return 0;
    config_free(rows, config);
    return -1;
}
