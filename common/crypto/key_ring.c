/* A worker's key file: one line per generation, "generation base64 [not_after]"; empty lines and lines that begin with # are skipped. */
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "crypto/keys.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 8192 };

static int parse_key(const char *text, unsigned char out[KEY_BYTES], struct err *err)
{
    unsigned char key[KEY_BYTES + 1];

    if (key_unbase64(text, key, sizeof key) != KEY_BYTES)
        return err_set(err, ERR_PERMANENT, "%d bytes in base64 are wanted", KEY_BYTES);
    memcpy(out, key, KEY_BYTES);
    OPENSSL_cleanse(key, sizeof key);
    return 0;
}

static int parse_line(char *line, struct host_key *out, struct err *err)
{
    char *rest = NULL;
    const char *generation = strtok_r(line, " \t\r", &rest);
    const char *key = strtok_r(NULL, " \t\r", &rest);
    const char *not_after = strtok_r(NULL, " \t\r", &rest);
    int64_t number;

    if (!generation || !key || (not_after && strtok_r(NULL, " \t\r", &rest)))
        return err_set(err, ERR_PERMANENT, "not \"generation base64 [not_after]\"");
    if (parse_int(generation, 1, UINT32_MAX, &number, err) < 0 || parse_key(key, out->key, err) < 0)
        return -1;
    if (not_after && parse_time(not_after, &out->not_after_ms, err) < 0)
        return -1;
    out->generation = (uint32_t)number;
    return 0;
}

/* Newest first; two keys with one number would make a MAC ambiguous. */
static int insert(struct key_ring *ring, const struct host_key *key, struct err *err)
{
    size_t at = 0;

    if (ring->count == KEY_RING_MAX)
        return err_set(err, ERR_PERMANENT, "more than %d keys", KEY_RING_MAX);
    while (at < ring->count && ring->items[at].generation > key->generation)
        at++;
    if (at < ring->count && ring->items[at].generation == key->generation)
        return err_set(err, ERR_PERMANENT, "generation %u is there twice", key->generation);
    memmove(&ring->items[at + 1], &ring->items[at], (ring->count - at) * sizeof *ring->items);
    ring->items[at] = *key;
    ring->count++;
    return 0;
}

static int parse_ring(char *text, struct key_ring *out, struct err *err)
{
    int number = 0;

    for (char *line = text; line;) {
        char *newline = strchr(line, '\n');
        struct host_key key = {0};
        if (newline)
            *newline++ = '\0';
        number++;
        bool skip = line[strspn(line, " \t\r")] == '\0' || *line == '#';
        if (!skip && (parse_line(line, &key, err) < 0 || insert(out, &key, err) < 0))
            return err_wrap(err, "line %d", number);
        OPENSSL_cleanse(&key, sizeof key);
        line = newline;
    }
    return out->count ? 0 : err_set(err, ERR_PERMANENT, "no key in it");
}

int key_ring_load(const char *path, struct key_ring *out, struct err *err)
{
    struct key_ring ring = {0};
    char *text = NULL;
    size_t len = 0;

    if (file_read_secret(path, FILE_MAX, &text, &len, err) < 0)
        return -1;
    int failed = parse_ring(text, &ring, err);
    OPENSSL_cleanse(text, len);
    free(text);
    if (failed)
        err_wrap(err, "%s", path);
    else
        *out = ring;
    OPENSSL_cleanse(&ring, sizeof ring);
    return failed;
}

int key_ring_format(const struct key_ring *ring, char **out, struct err *err)
{
    char key[BASE64_TEXT(KEY_BYTES)];
    struct text text = {0};
    char when[40];

    for (size_t i = 0; i < ring->count; i++) {
        const struct host_key *item = &ring->items[i];
        key_base64(item->key, KEY_BYTES, key, sizeof key);
        text_addf(&text, "%u %s", item->generation, key);
        if (item->not_after_ms)
            text_addf(&text, " %s", format_rfc3339(item->not_after_ms, when, sizeof when));
        text_add(&text, "\n");
    }
    OPENSSL_cleanse(key, sizeof key);
    char *result = text_take(&text);
    if (!result)
        return err_memory(err, "key ring");
    *out = result;
    return 0;
}
