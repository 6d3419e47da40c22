/*
 * A target's record is said again only when it is another: its bytes (without time and revision) are hashed, and the hash of what was last said is in the journal, so that a
 * restart neither says everything again nor forgets to say that a target went meanwhile. Revisions count on from the journal's birth, over all keys.
 */
#include "worker/inventory_publisher.h"

#include "base/clock.h"
#include "base/err.h"
#include "crypto/digest.h"
#include "wire/wire.h"
#include "worker/journal.h"
#include "worker/outbox.h"
#include "worker/surveyor.h"
#include "worker/table.h"
#include "worker/teller.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct known {
    char key[TARGET_TEXT + 80];
    char digest[DIGEST_TEXT];
    int64_t revision;
    int64_t seen; /* number of the survey that saw it */
};

struct inventory_publisher {
    struct inventory_publisher_setup setup;
    struct table known; /* key → struct known */
    int64_t revision;   /* the highest given */
    int64_t surveys;
    struct inventory_host host;
    char beat_state[16];
    int64_t started_at_ms, beat_ms; /* real; monotonic, 0: due */
};

static int remember(struct inventory_publisher *publisher, const char *key, struct known **out, struct err *err)
{
    struct known *known = calloc(1, sizeof *known);

    if (!known)
        return err_memory(err, "inventory");
    snprintf(known->key, sizeof known->key, "%s", key);
    if (table_put(&publisher->known, known->key, known, err) < 0) {
        free(known);
        return -1;
    }
    *out = known;
    return 0;
}

static int found_said(void *context, const struct said *said, struct err *err)
{
    struct inventory_publisher *publisher = context;
    struct known *known;

    if (remember(publisher, said->key, &known, err) < 0)
        return -1;
    snprintf(known->digest, sizeof known->digest, "%s", said->digest);
    known->revision = said->revision;
    if (said->revision > publisher->revision)
        publisher->revision = said->revision;
    return 0;
}

int inventory_publisher_open(const struct inventory_publisher_setup *setup, struct inventory_publisher **out,
                             struct err *err)
{
    struct inventory_publisher *publisher = calloc(1, sizeof *publisher);

    if (!publisher)
        return err_memory(err, "inventory");
    publisher->setup = *setup;
    publisher->revision = journal_birth_us(setup->journal);
    publisher->started_at_ms = clock_real_ms();
    if (said_each(setup->journal, found_said, publisher, err) < 0) {
        inventory_publisher_close(publisher);
        return -1;
    }
    /* The host's own records are not in `said`: they begin above what any earlier start can have reached. */
    int64_t now_us = clock_real_us();
    if (now_us > publisher->revision)
        publisher->revision = now_us;
    *out = publisher;
    return 0;
}

void inventory_publisher_close(struct inventory_publisher *publisher)
{
    if (!publisher)
        return;
    for (size_t i = 0; i < publisher->known.capacity; i++)
        free(publisher->known.entries[i].value);
    table_clear(&publisher->known);
    inventory_host_clear(&publisher->host);
    free(publisher);
}

static int say(struct inventory_publisher *publisher, const char *key, struct inventory *inventory, struct err *err)
{
    struct outbox_row row = {.topic = TOPIC_INVENTORY, .key = key, .key_len = strlen(key)};
    const unsigned char *value;

    inventory->at_ms = clock_real_ms();
    inventory->revision = ++publisher->revision;
    if (tell_encode(publisher->setup.wire, &inventory_record, inventory, &value, &row.value_len, err) < 0)
        return err_wrap(err, "inventory of %s", key);
    row.value = value;
    return outbox_add(publisher->setup.outbox, &row, err);
}

static int say_target(struct inventory_publisher *publisher, struct inventory_target *target, struct err *err)
{
    struct inventory inventory = {.target = target};
    char key[TARGET_TEXT + 80], text[TARGET_TEXT], digest[DIGEST_TEXT];
    const unsigned char *value;
    struct known *known;
    size_t len;

    if (string_set(&target->host, publisher->setup.host, err) < 0)
        return -1;
    snprintf(key, sizeof key, "%s/%s", publisher->setup.host, target_format(&target->target, text));
    known = table_get(&publisher->known, key);
    if (!known && remember(publisher, key, &known, err) < 0)
        return -1;
    known->seen = publisher->surveys;
    if (tell_encode(publisher->setup.wire, &inventory_record, &inventory, &value, &len, err) < 0)
        return err_wrap(err, "inventory of %s", key);
    digest_bytes(value, len, digest);
    if (strcmp(digest, known->digest) == 0)
        return 0;
    if (say(publisher, key, &inventory, err) < 0)
        return -1;
    memcpy(known->digest, digest, sizeof digest);
    known->revision = publisher->revision;
    return said_write(publisher->setup.journal, &(struct said){known->key, known->digest, known->revision}, err);
}

static int say_gone(struct inventory_publisher *publisher, struct known *known, struct err *err)
{
    char revision[24];
    struct outbox_row row = {
        .topic = TOPIC_INVENTORY, .key = known->key, .key_len = strlen(known->key), .revision = revision};

    snprintf(revision, sizeof revision, "%" PRId64, ++publisher->revision);
    if (outbox_add(publisher->setup.outbox, &row, err) < 0 ||
        said_write(publisher->setup.journal, &(struct said){known->key, NULL, 0}, err) < 0)
        return -1;
    table_remove(&publisher->known, known->key);
    free(known);
    return 0;
}

/* A kind that could not be looked at has lost nothing. */
static bool kind_failed(const struct inventory_publisher *publisher, const struct survey *survey, const char *key)
{
    const char *target = key + strlen(publisher->setup.host) + 1;
    char kind[64];

    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(target, ":"), target);
    return strings_have(&survey->failed_kinds, kind);
}

/* One at a time: removing moves entries. */
static struct known *find_gone(const struct inventory_publisher *publisher, const struct survey *survey)
{
    for (size_t i = 0; i < publisher->known.capacity; i++) {
        struct known *known = publisher->known.entries[i].value;
        if (known && known->seen != publisher->surveys && !kind_failed(publisher, survey, known->key))
            return known;
    }
    return NULL;
}

int inventory_publisher_take(struct inventory_publisher *publisher, struct survey *survey, struct err *err)
{
    struct known *gone;

    publisher->surveys++;
    for (size_t i = 0; i < survey->targets.count; i++)
        if (say_target(publisher, list_at(&survey->targets, struct inventory_target, i), err) < 0)
            return -1;
    while ((gone = find_gone(publisher, survey)))
        if (say_gone(publisher, gone, err) < 0)
            return -1;
    inventory_host_clear(&publisher->host);
    publisher->host = survey->host;
    survey->host = (struct inventory_host){0};
    publisher->beat_ms = 0;
    return 0;
}

int inventory_publisher_forget(struct inventory_publisher *publisher, struct err *err)
{
    for (size_t i = 0; i < publisher->known.capacity; i++) {
        struct known *known = publisher->known.entries[i].value;
        if (!known)
            continue;
        *known->digest = '\0';
        if (said_write(publisher->setup.journal, &(struct said){known->key, known->digest, known->revision}, err) < 0)
            return -1;
    }
    publisher->beat_ms = 0;
    return 0;
}

bool inventory_publisher_due(const struct inventory_publisher *publisher, const char *state)
{
    if (!publisher->surveys)
        return false;
    return !publisher->beat_ms || strcmp(state, publisher->beat_state) != 0 ||
           clock_monotonic_ms() - publisher->beat_ms >= publisher->setup.heartbeat_ms;
}

int inventory_publisher_beat(struct inventory_publisher *publisher, const struct host_now *now, struct err *err)
{
    const struct inventory_publisher_setup *setup = &publisher->setup;
    struct inventory_host host = publisher->host; /* borrows the lists */
    struct inventory inventory = {.host = &host};

    host.host = (char *)setup->host;
    host.version = (char *)setup->version;
    host.boot_id = (char *)setup->boot_id;
    host.instance = (char *)setup->instance;
    host.journal = (char *)journal_id(setup->journal);
    host.started_at_ms = publisher->started_at_ms;
    host.state = (char *)now->state;
    host.clock_skew_ms = now->skew_ms;
    host.journal_bytes = now->journal_bytes;
    host.waiting = now->waiting;
    host.running = now->running;
    host.parked = now->parked;
    host.executors = setup->executors;
    host.group_members = setup->group_members;
    host.group_backups = true;
    snprintf(publisher->beat_state, sizeof publisher->beat_state, "%s", now->state);
    publisher->beat_ms = clock_monotonic_ms();
    return say(publisher, setup->host, &inventory, err);
}
