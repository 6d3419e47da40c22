#pragma once
/*
 * A small sorted map string → string, owning its strings: what a step learned, a plan's arguments, labels, results.
 * Zero-initialised is empty. Limits: FACTS_MAX entries, keys up to 128 bytes, values up to 1 MiB. One thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum { FACTS_MAX = 1024 };

struct fact {
    char *key;
    char *value;
};

struct facts {
    struct fact *items; /* sorted by key, unique */
    size_t count;
};

int facts_set(struct facts *facts, const char *key, const char *value, struct err *err); /* replaces; copies both */
int facts_setf(struct facts *facts, struct err *err, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int facts_set_int(struct facts *facts, const char *key, int64_t value, struct err *err);
const char *facts_get(const struct facts *facts, const char *key); /* NULL if absent; valid until the map changes */
const char *facts_get_or(const struct facts *facts, const char *key, const char *fallback);
int64_t facts_get_int(const struct facts *facts, const char *key,
                      int64_t fallback); /* fallback when absent or no number */
void facts_remove(struct facts *facts, const char *key);
int facts_merge(struct facts *into, const struct facts *from, struct err *err); /* from wins */
int facts_copy(struct facts *out, const struct facts *from, struct err *err);   /* out must be empty */
bool facts_equal(const struct facts *a, const struct facts *b);
int facts_to_json(const struct facts *facts, char **out, struct err *err); /* one JSON object; caller frees */
int facts_from_json(struct facts *out, const char *json, struct err *err); /* out must be empty; strings only */
void facts_clear(struct facts *facts);                                     /* frees the entries; empty afterwards */

/* For CLEANUP. */
static inline void facts_clearp(struct facts *facts)
{
    facts_clear(facts);
}
