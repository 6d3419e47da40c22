#pragma once
/* SHA-256 (FIPS 180-4) as 64 lower-case hex digits. Any thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum { DIGEST_TEXT = 65 };

void digest_bytes(const void *data, size_t len, char out[DIGEST_TEXT]);
/* HMAC-SHA256 (RFC 2104), likewise. */
void digest_hmac(const void *key, size_t key_len, const void *data, size_t len, char out[DIGEST_TEXT]);
enum digest_cache {
    DIGEST_DROP, /* what was read leaves the page cache: a checksum of a large backup must not push the host's guests out of memory */
    DIGEST_KEEP, /* somebody reads it again at once */
};
/* Whole file, read with a 1 MiB buffer; `step` may be NULL, is told the bytes of each read, and stops it (ERR_CANCELLED) by returning false. */
int digest_file(const char *path, enum digest_cache cache, bool (*step)(void *context, int64_t bytes), void *context,
                char out[DIGEST_TEXT], struct err *err);
