#pragma once
/* A hash table text → pointer, open addressing. Keys and values belong to the caller and outlive their entry. One thread. */
#include <stddef.h>

struct err;

struct table_entry {
    const char *key; /* NULL: free */
    void *value;
    size_t hash; /* of the key: others' keys are looked at only when it is the same */
};

struct table {
    struct table_entry *entries;
    size_t count, capacity; /* capacity: 0 or a power of two */
};

void *table_get(const struct table *table, const char *key);                       /* NULL if absent */
int table_put(struct table *table, const char *key, void *value, struct err *err); /* the key must be absent */
void *table_remove(struct table *table, const char *key);                          /* the value, NULL if absent */
void table_clear(struct table *table);
