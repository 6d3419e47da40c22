#include "coordinator/cli/target_labels.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/facts.h"
#include "coordinator/cli/ledger_reader.h"
#include "coordinator/cli/topic_reader.h"
#include "kafka/kafka.h"
#include "model/inventory.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct known {
    UT_hash_handle hh;
    int64_t revision;
    struct facts labels;
    char target[TARGET_TEXT];
};

struct target_labels {
    struct topic_reader *topic;
    struct ledger_reader *ledger;
    struct wire *wire;
    struct known *known;
};

void target_labels_close(struct target_labels *labels)
{
    struct known *known, *next;

    if (!labels)
        return;
    topic_reader_close(labels->topic);
    HASH_ITER (hh, labels->known, known, next) {
        HASH_DEL(labels->known, known);
        facts_clear(&known->labels);
        free(known);
    }
    free(labels);
}

DEFINE_FREEP(struct target_labels, target_labels_close)

static int remember(struct target_labels *labels, int64_t revision, const struct inventory_target *target,
                    struct err *err)
{
    char name[TARGET_TEXT];
    struct known *known;

    target_format(&target->target, name);
    HASH_FIND_STR(labels->known, name, known);
    if (known && known->revision >= revision)
        return 0;
    if (!known) {
        if (!(known = calloc(1, sizeof *known)))
            return err_memory(err, "labels");
        strcpy(known->target, name);
        HASH_ADD_STR(labels->known, target, known);
    }
    known->revision = revision;
    facts_clear(&known->labels);
    return facts_copy(&known->labels, &target->labels, err);
}

/* A record that is not to be believed is as if it were not there. */
static int take(void *context, const struct kafka_record *record, struct err *err)
{
    struct target_labels *labels = context;
    const char *slash = record->key ? memchr(record->key, '/', record->key_len) : NULL;
    struct inventory inventory = {0};
    char host[64];
    int result = 0;

    if (!record->value || !slash)
        return 0;
    snprintf(host, sizeof host, "%.*s", (int)(slash - (const char *)record->key), (const char *)record->key);
    if (labels->ledger && (result = ledger_reader_verifies(labels->ledger, record, host, err)) != 0)
        return result < 0 ? -1 : 0;
    if (wire_decode(labels->wire, &inventory_record, record->value, record->value_len,
                    topic_table[TOPIC_INVENTORY].max_bytes, &inventory, NULL) < 0)
        return 0;
    if (inventory.target && strcmp(inventory.target->host, host) == 0)
        result = remember(labels, inventory.revision, inventory.target, err);
    inventory_clear(&inventory);
    return result;
}

int target_labels_refresh(struct target_labels *labels, struct err *err)
{
    int count;

    while ((count = topic_reader_poll(labels->topic, 0, take, labels, err)) > 0)
        ;
    return count;
}

int target_labels_open(const struct kafka_options *kafka, struct ledger_reader *ledger, struct wire *wire,
                       struct target_labels **out, struct err *err)
{
    CLEANUP(target_labels_closep) struct target_labels *labels = calloc(1, sizeof *labels);

    if (!labels)
        return err_memory(err, "labels");
    labels->ledger = ledger;
    labels->wire = wire;
    if (topic_reader_open(kafka, topic_table[TOPIC_INVENTORY].name, TOPIC_FROM_BEGINNING, &labels->topic, err) < 0 ||
        topic_reader_catch_up(labels->topic, take, labels, err) < 0)
        return -1;
    *out = TAKE_PTR(labels);
    return 0;
}

const struct facts *target_labels_of(const struct target_labels *labels, const struct target *target)
{
    const struct known *known;
    char name[TARGET_TEXT];

    target_format(target, name);
    HASH_FIND_STR(labels->known, name, known);
    return known ? &known->labels : NULL;
}
