#include "coordinator/topic_key.h"

#include "base/err.h"
#include "coordinator/internal.h"

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

int topic_key_open(struct coordinator *coordinator, const struct ledger_token *token, struct key_ring *out,
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
