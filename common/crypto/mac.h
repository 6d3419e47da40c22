#pragma once
/*
 * fs-mac: HMAC-SHA256 (RFC 2104) over topic, record key, value (absent is not empty) and the fs-* headers, each length-prefixed (u32be; absent = 0xffffffff), in this
 * fixed order: topic, key, value, fs-host, fs-term, fs-job, fs-rev. Header text: "<key generation>:<base64>". A mac object belongs to one thread; it keeps
 * one EVP_MAC context per key (LRU), because initialising with the same key is four times cheaper than HMAC().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct key_ring;
struct mac;

enum { MAC_TEXT = 64 };

struct mac_input { /* NULL pointer = absent */
    const char *topic;
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
    const char *fs_host, *fs_term, *fs_job, *fs_rev;
};

enum mac_verdict { MAC_OK, MAC_BAD, MAC_UNKNOWN_GENERATION, MAC_ENDED_GENERATION, MAC_MALFORMED };

int mac_new(struct mac **out, struct err *err);
void mac_free(struct mac *mac);
int mac_sign(struct mac *mac, const struct key_ring *ring, const struct mac_input *input, char out[MAC_TEXT],
             struct err *err); /* with the newest key that has not ended */
/* append_time_ms: the record's LogAppendTime; a generation that ended before it does not verify. Compares in constant time. */
enum mac_verdict mac_verify(struct mac *mac, const struct key_ring *ring, const struct mac_input *input,
                            const char *fs_mac, int64_t append_time_ms);
const char *mac_verdict_text(enum mac_verdict verdict);
