#include "worker/table.h"

#include "base/err.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a. Keys come from verified jobs, so nobody chooses them to collide. */
static size_t hash(const char *key)
{
    uint64_t value = UINT64_C(14695981039346656037);

    for (; *key; key++)
        value = (value ^ (unsigned char)*key) * UINT64_C(1099511628211);
    return (size_t)(value ^ value >> 32);
}

/* The entry that holds `key`, or the free one where it would go. */
static struct table_entry *find(const struct table *table, const char *key, size_t hashed)
{
    size_t mask = table->capacity - 1;
    size_t index = hashed & mask;

    while (table->entries[index].key &&
           (table->entries[index].hash != hashed || strcmp(table->entries[index].key, key) != 0))
        index = (index + 1) & mask;
    return &table->entries[index];
}

/* One that is not in there. */
static void settle(struct table *table, struct table_entry entry)
{
    size_t mask = table->capacity - 1;
    size_t index = entry.hash & mask;

    while (table->entries[index].key)
        index = (index + 1) & mask;
    table->entries[index] = entry;
}

void *table_get(const struct table *table, const char *key)
{
    return table->capacity ? find(table, key, hash(key))->value : NULL;
}

static int grow(struct table *table, struct err *err)
{
    struct table bigger = {.capacity = table->capacity ? table->capacity * 2 : 64};

    bigger.entries = calloc(bigger.capacity, sizeof *bigger.entries);
    if (!bigger.entries)
        return err_memory(err, "table");
    for (size_t i = 0; i < table->capacity; i++)
        if (table->entries[i].key)
            settle(&bigger, table->entries[i]);
    bigger.count = table->count;
    free(table->entries);
    *table = bigger;
    return 0;
}

int table_put(struct table *table, const char *key, void *value, struct err *err)
{
    if (table->count * 4 >= table->capacity * 3 && grow(table, err) < 0)
        return -1;
    settle(table, (struct table_entry){key, value, hash(key)});
    table->count++;
    return 0;
}

/* Entries behind the freed one move up, so that no search ends too early. */
static void close_gap(struct table *table, size_t gap)
{
    size_t mask = table->capacity - 1;

    for (size_t i = (gap + 1) & mask; table->entries[i].key; i = (i + 1) & mask) {
        struct table_entry moved = table->entries[i];
        table->entries[i] = (struct table_entry){0};
        settle(table, moved);
    }
}

void *table_remove(struct table *table, const char *key)
{
    struct table_entry *entry = table->capacity ? find(table, key, hash(key)) : NULL;

    if (!entry || !entry->key)
        return NULL;
    void *value = entry->value;
    *entry = (struct table_entry){0};
    table->count--;
    close_gap(table, (size_t)(entry - table->entries));
    return value;
}

void table_clear(struct table *table)
{
    free(table->entries);
    *table = (struct table){0};
}
