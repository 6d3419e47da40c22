/*
 * Version 5 needs SHA-1 (FIPS 180-4); it is written out here because base may use no crypto library, and nothing secret hangs on it:
 * a derived id must only be the same for the same parts, and another one for others.
 */
#include "base/uuid.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Version 5 of "fleetsnap" in the DNS namespace: 5d7157ac-68eb-59cc-8fd4-e29583774781. Never changes. */
static const uint8_t namespace_bytes[16] = {0x5d, 0x71, 0x57, 0xac, 0x68, 0xeb, 0x59, 0xcc,
                                            0x8f, 0xd4, 0xe2, 0x95, 0x83, 0x77, 0x47, 0x81};

struct sha1 {
    uint32_t state[5];
    uint8_t block[64];
    uint64_t total;
};

static uint32_t rotate(uint32_t value, int by)
{
    return value << by | value >> (32 - by);
}

static uint32_t mix(int round, uint32_t b, uint32_t c, uint32_t d)
{
    if (round < 20)
        return ((b & c) | (~b & d)) + 0x5a827999;
    if (round < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (round < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

static void sha1_block(struct sha1 *sha)
{
    uint32_t w[80];
    uint32_t a = sha->state[0], b = sha->state[1], c = sha->state[2], d = sha->state[3], e = sha->state[4];

    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)sha->block[4 * i] << 24 | (uint32_t)sha->block[4 * i + 1] << 16 |
               (uint32_t)sha->block[4 * i + 2] << 8 | sha->block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t next = rotate(a, 5) + mix(i, b, c, d) + e + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    sha->state[0] += a;
    sha->state[1] += b;
    sha->state[2] += c;
    sha->state[3] += d;
    sha->state[4] += e;
}

static void sha1_add(struct sha1 *sha, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        sha->block[sha->total++ % 64] = bytes[i];
        if (sha->total % 64 == 0)
            sha1_block(sha);
    }
}

static void sha1_end(struct sha1 *sha, uint8_t out[20])
{
    uint64_t bits = sha->total * 8;
    uint8_t length[8];

    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha1_add(sha, "\x80", 1);
    while (sha->total % 64 != 56)
        sha1_add(sha, "", 1);
    sha1_add(sha, length, sizeof length);
    for (int i = 0; i < 20; i++)
        out[i] = (uint8_t)(sha->state[i / 4] >> (24 - 8 * (i % 4)));
}

void uuid_format(char out[UUID_TEXT], const unsigned char bytes[UUID_BYTES])
{
    size_t at = 0;

    for (int i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = "0123456789abcdef"[bytes[i] >> 4];
        out[at++] = "0123456789abcdef"[bytes[i] & 15];
    }
    out[at] = '\0';
}

static void format_version(char out[UUID_TEXT], uint8_t bytes[UUID_BYTES], int version)
{
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | version << 4);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    uuid_format(out, bytes);
}

/* A call for each id would cost more than all else about it: a thread fetches the bytes of several. */
static _Thread_local struct {
    uint8_t bytes[256];
    size_t left;
} pool;

static void forget_pool(void)
{
    pool.left = 0;
}

/* What a child inherits its parent gives out too. */
static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, forget_pool) != 0)
        abort();
}

void uuid_random(char out[UUID_TEXT])
{
    static pthread_once_t watched = PTHREAD_ONCE_INIT;
    uint8_t bytes[UUID_BYTES];

    pthread_once(&watched, watch_forks);
    /* Up to 256 bytes come whole once the kernel's pool is ready; before that the call waits. No id at all is better than a guessable or repeated one. */
    if (!pool.left) {
        if (getrandom(pool.bytes, sizeof pool.bytes, 0) != (ssize_t)sizeof pool.bytes)
            abort();
        pool.left = sizeof pool.bytes;
    }
    pool.left -= sizeof bytes;
    memcpy(bytes, pool.bytes + pool.left, sizeof bytes);
    explicit_bzero(pool.bytes + pool.left, sizeof bytes);
    format_version(out, bytes, 4);
}

void uuid_derive(char out[UUID_TEXT], const char *const parts[])
{
    struct sha1 sha = {.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
    uint8_t digest[20];

    sha1_add(&sha, namespace_bytes, sizeof namespace_bytes);
    for (size_t i = 0; parts[i]; i++) {
        if (i > 0)
            sha1_add(&sha, "\x1f", 1);
        sha1_add(&sha, parts[i], strlen(parts[i]));
    }
    sha1_end(&sha, digest);
    format_version(out, digest, 5);
}

/* One more than the value of each lower-case hexadecimal digit; 0: none. */
static const uint8_t hex[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

/* Reads from the start what can be a UUID; returns how many characters can. Digits that are not there leave `out` as it is. */
static size_t read_start(const char *text, uint8_t out[UUID_BYTES])
{
    size_t i = 0, digits = 0;

    for (; i < UUID_TEXT - 1 && text[i]; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        uint8_t value = hex[(uint8_t)text[i]];
        if (dash ? text[i] != '-' : !value)
            break;
        if (dash)
            continue;
        uint8_t *byte = &out[digits / 2];
        *byte = digits % 2 ? (uint8_t)((*byte & 0xf0) | (value - 1)) : (uint8_t)((value - 1) << 4 | (*byte & 0x0f));
        digits++;
    }
    return i;
}

bool uuid_parse(const char *text, unsigned char out[UUID_BYTES])
{
    static const uint8_t places[UUID_BYTES] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    bool valid = text && strnlen(text, UUID_TEXT) == UUID_TEXT - 1 && text[8] == '-' && text[13] == '-' &&
                 text[18] == '-' && text[23] == '-';

    for (int i = 0; i < UUID_BYTES && valid; i++) {
        uint8_t high = hex[(uint8_t)text[places[i]]], low = hex[(uint8_t)text[places[i] + 1]];
        valid = high && low;
        out[i] = valid ? (uint8_t)((high - 1) << 4 | (low - 1)) : 0;
    }
    return valid;
}

bool uuid_valid(const char *text)
{
    uint8_t bytes[UUID_BYTES];

    return uuid_parse(text, bytes);
}

bool uuid_prefix_valid(const char *text)
{
    uint8_t bytes[UUID_BYTES];

    if (!text)
        return false;
    size_t len = read_start(text, bytes);
    return len >= 4 && text[len] == '\0';
}

bool uuid_range(const char *prefix, unsigned char first[UUID_BYTES], unsigned char last[UUID_BYTES])
{
    memset(first, 0, UUID_BYTES);
    memset(last, 0xff, UUID_BYTES);
    read_start(prefix, last);
    return prefix[read_start(prefix, first)] == '\0';
}
