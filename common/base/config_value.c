#include "base/cleanup.h"
#include "base/config_internal.h"
#include "base/err.h"
#include "base/facts.h"
#include "base/parse.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void free_strings(struct option_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct option_strings){0};
}

static void *member(const struct option *row, void *config)
{
    return (char *)config + row->offset;
}

static char *copy_path(const char *folder, const char *text)
{
    char here[PATH_MAX];
    char *path = NULL;

    if (*text == '/' || !*text)
        return strdup(text);
    if (!folder)
        folder = getcwd(here, sizeof here);
    if (!folder || asprintf(&path, "%s/%s", folder, text) < 0)
        return NULL;
    return path;
}

static bool choice_allowed(const char *choices, const char *text)
{
    size_t len = strlen(text);

    for (const char *at = choices; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (len > 0 && strncmp(at, text, len) == 0 && (at[len] == '|' || at[len] == '\0'))
            return true;
    }
    return false;
}

static int set_text(const struct option *row, char **out, const struct config_value *value, const char *text,
                    struct err *err)
{
    bool path = row->type == OPTION_PATH || row->type == OPTION_PATHS;

    if (row->type == OPTION_CHOICE && !choice_allowed(row->choices, text))
        return err_set(err, ERR_PERMANENT, "\"%.60s\" is not one of %s", text, row->choices);
    char *copy = path ? copy_path(value->folder, text) : strdup(text);
    if (!copy)
        return err_set(err, ERR_RETRY, "out of memory");
    free(*out);
    *out = copy;
    return 0;
}

static void render(enum option_type type, int64_t number, char *out, size_t size)
{
    if (type == OPTION_SIZE)
        format_size(number, out, size);
    else if (type == OPTION_DURATION)
        format_duration(number, out, size);
    else
        snprintf(out, size, "%lld", (long long)number);
}

static int set_number(const struct option *row, int64_t *out, const char *text, struct err *err)
{
    bool ranged = row->min != 0 || row->max != 0;
    char limit[40];
    int64_t number;
    int failed = row->type == OPTION_SIZE       ? parse_size(text, &number, err)
                 : row->type == OPTION_DURATION ? parse_duration(text, &number, err)
                                                : parse_int(text, INT64_MIN, INT64_MAX, &number, err);

    if (failed)
        return -1;
    if (ranged && (number < row->min || number > row->max)) {
        render(row->type, number < row->min ? row->min : row->max, limit, sizeof limit);
        return err_set(err, ERR_PERMANENT, "%.60s is %s the limit of %s", text, number < row->min ? "under" : "over",
                       limit);
    }
    *out = number;
    return 0;
}

static int add_string(const struct option *row, struct option_strings *out, const struct config_value *value,
                      const char *text, struct err *err)
{
    char **items = realloc(out->items, (out->count + 1) * sizeof *items);

    if (!items)
        return err_set(err, ERR_RETRY, "out of memory");
    out->items = items;
    items[out->count] = NULL;
    if (set_text(row, &items[out->count], value, text, err) < 0)
        return -1;
    out->count++;
    return 0;
}

/* "a,b" from the command line or a default. */
static int add_split(const struct option *row, struct option_strings *out, const struct config_value *value,
                     const char *text, struct err *err)
{
    while (*text) {
        size_t len = strcspn(text, ",");
        CLEANUP(freep) char *item = strndup(text, len);
        if (!item)
            return err_set(err, ERR_RETRY, "out of memory");
        if (len > 0 && add_string(row, out, value, item, err) < 0)
            return -1;
        text += len + (text[len] == ',');
    }
    return 0;
}

static int set_strings(const struct option *row, struct option_strings *out, const struct config_value *value,
                       struct err *err)
{
    struct option_strings strings = {0};

    for (size_t i = 0; i < value->count; i++) {
        int failed = value->split ? add_split(row, &strings, value, value->items[i], err)
                                  : add_string(row, &strings, value, value->items[i], err);
        if (failed) {
            free_strings(&strings);
            return -1;
        }
    }
    free_strings(out);
    *out = strings;
    return 0;
}

/* "key=value,key=value" from the command line or a default. */
static int set_map_text(struct facts *out, const char *text, struct err *err)
{
    while (*text) {
        size_t len = strcspn(text, ",");
        CLEANUP(freep) char *pair = strndup(text, len);
        if (!pair)
            return err_set(err, ERR_RETRY, "out of memory");
        char *equals = strchr(pair, '=');
        if (!equals)
            return err_set(err, ERR_PERMANENT, "\"%.60s\" is not key=value", pair);
        *equals = '\0';
        if (facts_set(out, pair, equals + 1, err) < 0)
            return -1;
        text += len + (text[len] == ',');
    }
    return 0;
}

static int set_one(const struct option *row, void *config, const struct config_value *value, struct err *err)
{
    switch (row->type) {
    case OPTION_STRING:
    case OPTION_PATH:
    case OPTION_CHOICE: return set_text(row, member(row, config), value, value->items[0], err);
    case OPTION_STRINGS:
    case OPTION_PATHS: return set_strings(row, member(row, config), value, err);
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION: return set_number(row, member(row, config), value->items[0], err);
    case OPTION_BOOL: return parse_bool(value->items[0], member(row, config), err);
    case OPTION_MAP: return set_map_text(member(row, config), value->items[0], err);
    }
    return err_set(err, ERR_PERMANENT, "has no type");
}

int config_set(const struct option *row, void *config, const struct config_value *value, struct err *err)
{
    bool takes_list = row->type == OPTION_STRINGS || row->type == OPTION_PATHS;

    if (value->list && !takes_list)
        return err_set(err, ERR_PERMANENT, "%s: %s: takes one value, not a list", value->place, row->name);
    if (set_one(row, config, value, err) < 0)
        return err_wrap(err, "%s: %s", value->place, row->name);
    return 0;
}

int config_set_map(const struct option *row, void *config, const char *place, const char *key, const char *value,
                   struct err *err)
{
    if (facts_set(member(row, config), key, value, err) < 0)
        return err_wrap(err, "%s: %s", place, row->name);
    return 0;
}

void config_free(const struct option *rows, void *config)
{
    for (; rows->name; rows++) {
        char **text = member(rows, config);
        switch (rows->type) {
        case OPTION_STRING:
        case OPTION_PATH:
        case OPTION_CHOICE:
            free(*text);
            *text = NULL;
            break;
        case OPTION_STRINGS:
        case OPTION_PATHS: free_strings(member(rows, config)); break;
        case OPTION_MAP: facts_clear(member(rows, config)); break;
        case OPTION_INT:
        case OPTION_BOOL:
        case OPTION_SIZE:
        case OPTION_DURATION: break;
        }
    }
}
