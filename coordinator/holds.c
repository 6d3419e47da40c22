/*
 * Redis knows targets, not labels: a hold by selector is written as one field for each target that matches, found anew every few seconds. So one that appears is held as
 * soon as its inventory is known. Fields of Redis have no end of their own: one that is over is left out here, and its entry is ended by the main loop.
 */
#include "coordinator/holds.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "coordinator/desk_write.h"
#include "coordinator/view.h"
#include "model/hold.h"
#include "redis/store.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 3000, PAGE = 1000, REASON_BYTES = 600 };

/* ---- what there is ---- */

struct pins {
    char key[300];
    struct strings points;
};

struct held {
    struct strings pairs;     /* for Redis */
    struct strings selectors; /* and reasons */
    struct strings over;      /* ids */
    struct pins *pins;
    size_t pin_count;
    uint64_t version;
    bool timed;
};

static void held_clear(struct held *held)
{
    strings_clear(&held->pairs);
    strings_clear(&held->selectors);
    strings_clear(&held->over);
    for (size_t i = 0; i < held->pin_count; i++)
        strings_clear(&held->pins[i].points);
    free(held->pins);
}

static struct pins *pins_of(struct held *held, const char *key, struct err *err)
{
    for (size_t i = 0; i < held->pin_count; i++)
        if (strcmp(held->pins[i].key, key) == 0)
            return &held->pins[i];
    struct pins *pins = reallocarray(held->pins, held->pin_count + 1, sizeof *pins);
    if (!pins) {
        err_memory(err, "pins");
        return NULL;
    }
    held->pins = pins;
    pins = &held->pins[held->pin_count++];
    *pins = (struct pins){0};
    snprintf(pins->key, sizeof pins->key, "%s", key);
    return pins;
}

static int add_pair(struct strings *pairs, const char *key, const char *reason, struct err *err)
{
    return strings_add(pairs, key, err) < 0 ? -1 : strings_add(pairs, reason, err);
}

/* As a person reads it in WAITING(hold: …). */
static void reason_of(const struct ledger_entry *entry, char out[REASON_BYTES])
{
    const char *reason = facts_get_or(&entry->values, "reason", "held");

    snprintf(out, REASON_BYTES, "%.500s%s%.64s%s", reason, entry->who ? " (" : "", entry->who ? entry->who : "",
             entry->who ? ")" : "");
    for (size_t len = strlen(out); len && !utf8_valid(out);)
        out[--len] = '\0';
}

static int note_hold(struct held *held, const struct ledger_entry *entry, int64_t now_ms, struct err *err)
{
    enum hold_scope scope = hold_scope_of(entry->id);
    char reason[REASON_BYTES];

    if (hold_over(entry, now_ms))
        return strings_add(&held->over, entry->id, err);
    held->timed |= scope == HOLD_SELECTOR || facts_get(&entry->values, "until_ms");
    reason_of(entry, reason);
    return scope == HOLD_SELECTOR ? add_pair(&held->selectors, hold_subject(entry->id), reason, err)
                                  : add_pair(&held->pairs, entry->id, reason, err);
}

static int note_pin(struct held *held, const struct ledger_entry *entry, struct err *err)
{
    struct pins *pins = pins_of(held, facts_get_or(&entry->values, "key", ""), err);
    const char *name = facts_get(&entry->values, "name"); /* of a snapshot: jobs may know it by that only */

    if (!pins || strings_add(&pins->points, entry->id, err) < 0)
        return -1;
    return name ? strings_add(&pins->points, name, err) : 0;
}

static int list_held(struct coordinator *coordinator, struct held *held, struct err *err)
{
    int64_t now_ms = clock_real_ms();

    LOCK_SCOPE(&coordinator->lock);
    held->version = ledger_holds_version(coordinator->ledger);
    for (struct ledger_node *node = ledger_first_other(coordinator->ledger); node; node = node->next) {
        if (!node->entry || node->entry->gone)
            continue;
        if (node->entry->kind == LEDGER_HOLD && note_hold(held, node->entry, now_ms, err) < 0)
            return -1;
        if (node->entry->kind == LEDGER_PIN && note_pin(held, node->entry, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- selectors ---- */

static int add_targets(struct held *held, const json_t *page, const char *reason, struct err *err)
{
    const json_t *item;
    size_t index;
    char key[TARGET_TEXT + 16];

    json_array_foreach(json_object_get(page, "items"), index, item)
    {
        const json_t *target = json_object_get(item, "target");
        const char *kind = json_string_value(json_object_get(target, "kind"));
        const char *id = json_string_value(json_object_get(target, "id"));
        snprintf(key, sizeof key, "target:%s:%s", kind ? kind : "", id ? id : "");
        if (add_pair(&held->pairs, key, reason, err) < 0)
            return -1;
    }
    return 0;
}

static int resolve(struct view_reader *reader, struct held *held, const char *selector, const char *reason,
                   struct err *err)
{
    struct view_filter filter = {.selector = selector, .limit = PAGE};
    json_t *page = NULL, *before = NULL;
    int result;

    do {
        if ((result = view_targets(reader, &filter, &page, err)) < 0)
            break;
        result = add_targets(held, page, reason, err);
        json_decref(before);
        before = page;
        filter.after = json_string_value(json_object_get(page, "next"));
    } while (result == 0 && filter.after);
    json_decref(before);
    return result;
}

static int resolve_all(struct coordinator *coordinator, struct held *held, struct err *err)
{
    struct view_reader *reader = NULL;
    int result = 0;

    if (!held->selectors.count)
        return 0;
    if (view_reader_open(coordinator->view_path, &reader, err) < 0)
        return -1;
    for (size_t i = 0; result == 0 && i + 1 < held->selectors.count; i += 2) {
        result = resolve(reader, held, held->selectors.items[i], held->selectors.items[i + 1], err);
        if (result < 0 && err->kind == ERR_PERMANENT) { /* of another version: it must not keep everybody from working */
            log_error("holds", "selector \"%s\": %s", held->selectors.items[i], err->text);
            result = 0;
        }
    }
    view_reader_close(reader);
    return result;
}

/* ---- to Redis ---- */

static uint64_t sum_of(const struct strings *texts)
{
    uint64_t sum = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < texts->count; i++)
        for (const char *c = texts->items[i]; c == texts->items[i] || c[-1]; c++)
            sum = (sum ^ (unsigned char)*c) * 1099511628211u;
    return sum;
}

static int write_pins(struct redis *redis, int64_t term, const struct held *held, struct err *err)
{
    struct strings keys = {0};
    int result = 0;

    for (size_t i = 0; result == 0 && i < held->pin_count; i++) {
        result = store_pins_write(redis, term, held->pins[i].key, &held->pins[i].points, err);
        if (result == 0)
            result = strings_add(&keys, held->pins[i].key, err);
    }
    if (result == 0)
        result = store_pins_keys(redis, term, &keys, err);
    strings_clear(&keys);
    return result;
}

/* A hold that is over has no field any more; now its entry ends too. */
static void end_those_over(struct coordinator *coordinator, const struct strings *ids)
{
    for (size_t i = 0; i < ids->count; i++) {
        struct desk_write *write = desk_write_new(DESK_PUT, NULL);
        if (!write)
            return;
        write->entry = calloc(1, sizeof *write->entry);
        if (!write->entry || string_set(&write->entry->id, ids->items[i], NULL) < 0 ||
            string_set(&write->reason, "its time is over", NULL) < 0) {
            desk_write_free(write);
            return;
        }
        write->entry->kind = LEDGER_HOLD;
        write->entry->gone = true;
        queue_push(coordinator->desk, &write->item);
    }
}

static int write_changes(struct coordinator *coordinator, struct redis *redis, int64_t term, bool all,
                         struct held *held, struct holds_state *state, struct err *err)
{
    if (list_held(coordinator, held, err) < 0 || resolve_all(coordinator, held, err) < 0)
        return -1;
    uint64_t sum = sum_of(&held->pairs);
    if (all && write_pins(redis, term, held, err) < 0)
        return -1;
    if ((all || sum != state->holds_sum) && store_holds_write(redis, term, &held->pairs, err) < 0)
        return -1;
    end_those_over(coordinator, &held->over);
    *state = (struct holds_state){held->version, term, sum, held->timed, clock_monotonic_ms()};
    return 0;
}

int holds_refresh(struct coordinator *coordinator, struct redis *redis, int64_t term, bool anew,
                  struct holds_state *state, struct err *err)
{
    struct held held = {0};

    pthread_mutex_lock(&coordinator->lock);
    bool all = anew || state->term != term || ledger_holds_version(coordinator->ledger) != state->version;
    pthread_mutex_unlock(&coordinator->lock);
    if (!all && (!state->timed || clock_monotonic_ms() - state->looked_ms < LOOK_MS))
        return 0;
    int result = write_changes(coordinator, redis, term, all, &held, state, err);
    held_clear(&held);
    return result < 0 ? err_wrap(err, "holds") : 0;
}
