#include "coordinator/topic_key.h"

#include "base/err.h"
#include "coordinator/internal.h"
#include "coordinator/trust.h"
#include "crypto/mac.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int seal_key(const struct coordinator *coordinator, unsigned char out[KEY_BYTES], struct err *err)
{
    return key_derive(coordinator->master, KEY_BYTES, "fleetsnap/seal", out, err);
}

int coordinator_topic_key(struct coordinator *coordinator, const char *token, char **out_sealed, struct err *err)
{
    unsigned char seal[KEY_BYTES], key[KEY_BYTES];
    int result = seal_key(coordinator, seal, err);

    if (result == 0)
        result = key_derive((const unsigned char *)token, strlen(token), "fleetsnap/request", key, err);
    if (result == 0)
        result = key_seal(seal, key, sizeof key, out_sealed, err);
    explicit_bzero(seal, sizeof seal);
    explicit_bzero(key, sizeof key);
    return result;
}

/* The ring with which its records verify. ERR_PERMANENT: the token has none, or it was sealed under another master key. */
static int open_key(const struct coordinator *coordinator, const struct ledger_token *token, struct key_ring *out,
                    struct err *err)
{
    unsigned char seal[KEY_BYTES], *key = NULL;
    size_t len = 0;

    if (!token->sealed)
        return err_set(err, ERR_PERMANENT, "the token %s is not for topics", token->name);
    int result = seal_key(coordinator, seal, err);
    if (result == 0)
        result = key_unseal(seal, token->sealed, &key, &len, err);
    if (result == 0 && len != KEY_BYTES)
        result = err_set(err, ERR_PERMANENT, "the key of token %s has %zu bytes", token->name, len);
    if (result == 0) {
        *out = (struct key_ring){.items = {{.generation = 1}}, .count = 1};
        memcpy(out->items[0].key, key, KEY_BYTES);
    }
    explicit_bzero(seal, sizeof seal);
    if (key)
        explicit_bzero(key, len);
    free(key);
    return result;
}

int topic_key_believe(struct coordinator *coordinator, struct mac *mac, const struct kafka_record *record,
                      const char *token, struct ledger_entry **out_token, char why[TOPIC_KEY_WHY], struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    struct mac_input input;
    struct key_ring ring;
    struct err cause = {0};

    if (coordinator_get(coordinator, LEDGER_TOKEN, token, &entry, err) < 0)
        return -1;
    if (!entry || entry->gone || !entry->token)
        return snprintf(why, TOPIC_KEY_WHY, "there is no token \"%.128s\"", token), 0;
    if (open_key(coordinator, entry->token, &ring, &cause) < 0)
        return snprintf(why, TOPIC_KEY_WHY, "%.290s", cause.text), 0;
    const char *text = trust_input(record, &input);
    enum mac_verdict verdict = text ? mac_verify(mac, &ring, &input, text, record->timestamp_ms) : MAC_MALFORMED;
    explicit_bzero(&ring, sizeof ring);
    if (verdict != MAC_OK)
        return snprintf(why, TOPIC_KEY_WHY, "%s", text ? mac_verdict_text(verdict) : "it has no fs-mac"), 0;
    *out_token = TAKE_PTR(entry);
    return 1;
}
