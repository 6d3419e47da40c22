/*
 * A sorted array: maps here have a handful of entries, and a fixed order makes their JSON (plan digests, journals) the same every time.
 * The array's capacity is always the next power of two of what it ever held, so it needs no member of its own.
 */
#include "base/facts.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = 128, VALUE_BYTES_MAX = 1024 * 1024 };

/* Where `key` is, or where it belongs. */
static size_t find(const struct facts *facts, const char *key, bool *found)
{
    size_t low = 0;
    size_t high = facts->count;

    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(facts->items[middle].key, key);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool grow(struct facts *facts)
{
    if (facts->count & (facts->count - 1))
        return true;

    struct fact *items = realloc(facts->items, (facts->count ? facts->count * 2 : 1) * sizeof *items);
    if (!items)
        return false;
    facts->items = items;
    return true;
}

static int insert(struct facts *facts, size_t at, const char *key, char *value, struct err *err)
{
    char *copy = strdup(key);

    if (!copy || !grow(facts)) {
        free(copy);
        return err_memory(err, key);
    }
    memmove(&facts->items[at + 1], &facts->items[at], (facts->count - at) * sizeof *facts->items);
    facts->items[at] = (struct fact){.key = copy, .value = value};
    facts->count++;
    return 0;
}

static int check(const struct facts *facts, const char *key, const char *value, bool found, struct err *err)
{
    if (strnlen(key, KEY_BYTES_MAX + 1) > KEY_BYTES_MAX)
        return err_set(err, ERR_PERMANENT, "key %.40s…: longer than %d bytes", key, KEY_BYTES_MAX);
    if (strnlen(value, VALUE_BYTES_MAX + 1) > VALUE_BYTES_MAX)
        return err_set(err, ERR_PERMANENT, "%s: longer than %d bytes", key, VALUE_BYTES_MAX);
    if (!found && facts->count >= FACTS_MAX)
        return err_set(err, ERR_PERMANENT, "%s: more than %d entries", key, FACTS_MAX);
    return 0;
}

int facts_set(struct facts *facts, const char *key, const char *value, struct err *err)
{
    bool found;
    size_t at = find(facts, key, &found);

    if (check(facts, key, value, found, err) < 0)
        return -1;
    CLEANUP(freep) char *copy = strdup(value);
    if (!copy)
        return err_memory(err, key);
    if (!found && insert(facts, at, key, copy, err) < 0)
        return -1;
    if (found) {
        free(facts->items[at].value);
        facts->items[at].value = copy;
    }
    copy = NULL;
    return 0;
}

int facts_setf(struct facts *facts, struct err *err, const char *key, const char *format, ...)
{
    CLEANUP(freep) char *value = NULL;
    va_list args;

    va_start(args, format);
    int len = vasprintf(&value, format, args);
    va_end(args);
    if (len < 0) {
        value = NULL;
        return err_memory(err, key);
    }
    return facts_set(facts, key, value, err);
}

int facts_set_int(struct facts *facts, const char *key, int64_t value, struct err *err)
{
    return facts_setf(facts, err, key, "%lld", (long long)value);
}

const char *facts_get(const struct facts *facts, const char *key)
{
    bool found;
    size_t at = find(facts, key, &found);

    return found ? facts->items[at].value : NULL;
}

const char *facts_get_or(const struct facts *facts, const char *key, const char *fallback)
{
    const char *value = facts_get(facts, key);

    return value ? value : fallback;
}

int64_t facts_get_int(const struct facts *facts, const char *key, int64_t fallback)
{
    const char *value = facts_get(facts, key);
    int64_t number;

    if (!value || parse_int(value, INT64_MIN, INT64_MAX, &number, NULL) < 0)
        return fallback;
    return number;
}

void facts_remove(struct facts *facts, const char *key)
{
    bool found;
    size_t at = find(facts, key, &found);

    if (!found)
        return;
    free(facts->items[at].key);
    free(facts->items[at].value);
    facts->count--;
    memmove(&facts->items[at], &facts->items[at + 1], (facts->count - at) * sizeof *facts->items);
}

int facts_merge(struct facts *into, const struct facts *from, struct err *err)
{
    for (size_t i = 0; i < from->count; i++)
        if (facts_set(into, from->items[i].key, from->items[i].value, err) < 0)
            return -1;
    return 0;
}

int facts_copy(struct facts *out, const struct facts *from, struct err *err)
{
    struct facts copy = {0};

    if (facts_merge(&copy, from, err) < 0) {
        facts_clear(&copy);
        return -1;
    }
    *out = copy;
    return 0;
}

bool facts_equal(const struct facts *a, const struct facts *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i].key, b->items[i].key) != 0 || strcmp(a->items[i].value, b->items[i].value) != 0)
            return false;
    return true;
}

static void decrefp(json_t **json)
{
    json_decref(*json);
}

int facts_to_json(const struct facts *facts, char **out, struct err *err)
{
    CLEANUP(decrefp) json_t *object = json_object();

    for (size_t i = 0; i < facts->count; i++)
        if (json_object_set_new(object, facts->items[i].key, json_string(facts->items[i].value)) < 0)
            return err_set(err, ERR_PERMANENT, "%s: is not UTF-8, or no memory", facts->items[i].key);
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return err_memory(err, "facts");
    *out = text;
    return 0;
}

int facts_from_json(struct facts *out, const char *json, struct err *err)
{
    json_error_t problem;
    CLEANUP(decrefp) json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, &problem);
    struct facts facts = {0};
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return err_set(err, ERR_PERMANENT, "not a JSON object: %s", object ? "another type" : problem.text);
    json_object_foreach(object, key, value)
    {
        int failed = json_is_string(value) ? facts_set(&facts, key, json_string_value(value), err)
                                           : err_set(err, ERR_PERMANENT, "%s: not a string", key);
        if (failed) {
            facts_clear(&facts);
            return -1;
        }
    }
    *out = facts;
    return 0;
}

void facts_clear(struct facts *facts)
{
    for (size_t i = 0; i < facts->count; i++) {
        free(facts->items[i].key);
        free(facts->items[i].value);
    }
    free(facts->items);
    *facts = (struct facts){0};
}
