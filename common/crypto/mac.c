/*
 * Contexts are found by the key itself: keys come out of HKDF, so their first bytes are as good as a hash. Four places per row, the least recently used
 * one gives way; a leader that reads a fleet's status meets thousands of keys, a worker two or three, and rows are filled only on use.
 * Everything but the value is gathered and signed in two updates around it: updates cost more than copying.
 */
#include "crypto/mac.h"

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/text.h"
#include "crypto/keys.h"

#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 256, WAYS = 4, DIGEST_BYTES = 32 };

struct place {
    EVP_MAC_CTX *context; /* NULL: free */
    uint64_t used;        /* higher is later */
    unsigned char key[KEY_BYTES];
};

struct mac {
    EVP_MAC *hmac;
    struct text head, tail; /* reused: what comes before and after the value */
    uint64_t clock;
    struct place places[ROWS][WAYS];
};

int mac_new(struct mac **out, struct err *err)
{
    CLEANUP(freep) struct mac *mac = calloc(1, sizeof *mac);

    if (!mac)
        return err_memory(err, "mac");
    mac->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (!mac->hmac)
        return err_set(err, ERR_PERMANENT, "mac: this OpenSSL has no HMAC");
    *out = TAKE_PTR(mac);
    return 0;
}

void mac_free(struct mac *mac)
{
    if (!mac)
        return;
    for (size_t row = 0; row < ROWS; row++)
        for (size_t way = 0; way < WAYS; way++)
            EVP_MAC_CTX_free(mac->places[row][way].context);
    EVP_MAC_free(mac->hmac);
    text_free(&mac->head);
    text_free(&mac->tail);
    OPENSSL_cleanse(mac, sizeof *mac);
    free(mac);
}

/* The place of this key, or the one that gives way to it. Plain memcmp: both keys are ours, nobody outside chooses either. */
static struct place *find_place(struct mac *mac, const unsigned char key[KEY_BYTES], bool *out_known)
{
    struct place *row = mac->places[key[0]];
    struct place *oldest = &row[0];

    *out_known = true;
    for (size_t way = 0; way < WAYS; way++) {
        if (row[way].context && memcmp(row[way].key, key, KEY_BYTES) == 0)
            return &row[way];
        if (row[way].used < oldest->used)
            oldest = &row[way];
    }
    *out_known = false;
    return oldest;
}

/* A context that is ready for a message with this key. */
static EVP_MAC_CTX *begin(struct mac *mac, const unsigned char key[KEY_BYTES])
{
    bool known;
    struct place *place = find_place(mac, key, &known);
    char sha256[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
                           OSSL_PARAM_construct_end()};

    place->used = ++mac->clock;
    if (known)
        return EVP_MAC_init(place->context, NULL, 0, NULL) == 1 ? place->context : NULL;
    EVP_MAC_CTX_free(place->context);
    place->context = EVP_MAC_CTX_new(mac->hmac);
    if (!place->context || EVP_MAC_init(place->context, key, KEY_BYTES, params) != 1) {
        EVP_MAC_CTX_free(place->context);
        place->context = NULL;
        return NULL;
    }
    memcpy(place->key, key, KEY_BYTES);
    return place->context;
}

static void add_length(struct text *out, bool present, size_t len)
{
    uint32_t prefix = htonl(present ? (uint32_t)len : UINT32_MAX);

    text_add_len(out, (const char *)&prefix, sizeof prefix);
}

static void add_part(struct text *out, const void *data, size_t len)
{
    add_length(out, data != NULL, len);
    if (data)
        text_add_len(out, data, len);
}

static void add_header(struct text *out, const char *header)
{
    add_part(out, header, header ? strlen(header) : 0);
}

/* False also for parts of 4 GiB, which the length prefix cannot say. */
static bool gather(struct mac *mac, const struct mac_input *input)
{
    text_clear(&mac->head);
    text_clear(&mac->tail);
    if (input->key_len >= UINT32_MAX || input->value_len >= UINT32_MAX)
        return false;
    add_header(&mac->head, input->topic);
    add_part(&mac->head, input->key, input->key_len);
    add_length(&mac->head, input->value != NULL, input->value_len);
    add_header(&mac->tail, input->fs_host);
    add_header(&mac->tail, input->fs_term);
    add_header(&mac->tail, input->fs_job);
    add_header(&mac->tail, input->fs_rev);
    return !mac->head.failed && !mac->tail.failed;
}

static bool compute(struct mac *mac, const unsigned char key[KEY_BYTES], const struct mac_input *input,
                    unsigned char out[DIGEST_BYTES])
{
    EVP_MAC_CTX *context = gather(mac, input) ? begin(mac, key) : NULL;
    size_t len;

    if (!context || EVP_MAC_update(context, (const unsigned char *)mac->head.data, mac->head.len) != 1)
        return false;
    if (input->value && EVP_MAC_update(context, input->value, input->value_len) != 1)
        return false;
    if (EVP_MAC_update(context, (const unsigned char *)mac->tail.data, mac->tail.len) != 1)
        return false;
    return EVP_MAC_final(context, out, &len, DIGEST_BYTES) == 1 && len == DIGEST_BYTES;
}

int mac_sign(struct mac *mac, const struct key_ring *ring, const struct mac_input *input, char out[MAC_TEXT],
             struct err *err)
{
    unsigned char digest[DIGEST_BYTES];
    int64_t now = clock_real_ms();
    size_t i = 0;

    while (i < ring->count && ring->items[i].not_after_ms && ring->items[i].not_after_ms <= now)
        i++;
    if (i == ring->count)
        return err_set(err, ERR_PERMANENT, "no key that has not ended");
    if (!compute(mac, ring->items[i].key, input, digest))
        return err_set(err, ERR_RETRY, "HMAC failed");
    int len = snprintf(out, MAC_TEXT, "%u:", ring->items[i].generation);
    base64_encode(digest, sizeof digest, out + len, MAC_TEXT - (size_t)len);
    return 0;
}

static bool parse(const char *fs_mac, uint32_t *generation, unsigned char digest[DIGEST_BYTES + 1])
{
    const char *colon = fs_mac ? strchr(fs_mac, ':') : NULL;
    size_t len = colon ? (size_t)(colon - fs_mac) : 0;
    char text[16];
    int64_t number;

    if (len == 0 || len >= sizeof text || strlen(colon) >= MAC_TEXT || (*fs_mac == '0' && len > 1))
        return false;
    memcpy(text, fs_mac, len);
    text[len] = '\0';
    if (parse_int(text, 0, UINT32_MAX, &number, NULL) < 0)
        return false;
    *generation = (uint32_t)number;
    return base64_decode(colon + 1, digest, DIGEST_BYTES + 1) == DIGEST_BYTES;
}

static const struct host_key *find_key(const struct key_ring *ring, uint32_t generation)
{
    for (size_t i = 0; i < ring->count; i++)
        if (ring->items[i].generation == generation)
            return &ring->items[i];
    return NULL;
}

enum mac_verdict mac_verify(struct mac *mac, const struct key_ring *ring, const struct mac_input *input,
                            const char *fs_mac, int64_t append_time_ms)
{
    unsigned char given[DIGEST_BYTES + 1];
    unsigned char ours[DIGEST_BYTES];
    uint32_t generation;

    if (!parse(fs_mac, &generation, given))
        return MAC_MALFORMED;
    const struct host_key *key = find_key(ring, generation);
    if (!key)
        return MAC_UNKNOWN_GENERATION;
    if (key->not_after_ms && append_time_ms >= key->not_after_ms)
        return MAC_ENDED_GENERATION;
    if (!compute(mac, key->key, input, ours) || CRYPTO_memcmp(given, ours, DIGEST_BYTES) != 0)
        return MAC_BAD;
    return MAC_OK;
}

const char *mac_verdict_text(enum mac_verdict verdict)
{
    switch (verdict) {
    case MAC_OK: return "verified";
    case MAC_BAD: return "fs-mac does not match";
    case MAC_UNKNOWN_GENERATION: return "fs-mac is of a key generation that is not known here";
    case MAC_ENDED_GENERATION: return "fs-mac is of a key generation that had ended";
    case MAC_MALFORMED: return "fs-mac is missing or malformed";
    }
    return "unknown";
}
