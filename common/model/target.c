/* Names from outside end up in XML, paths, Redis keys and on terminals: each has an allow-list here, and nothing that fails it goes further. */
#include "model/target.h"

#include "base/err.h"
#include "base/uuid.h"
#include "model/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `first` or more characters of which all are in `rest` and the first is in `first`. */
static bool made_of(const char *name, const char *first, const char *rest, size_t max)
{
    size_t len = name ? strnlen(name, max + 1) : 0;

    return len > 0 && len <= max && strchr(first, *name) && strspn(name, rest) == len;
}

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

bool name_valid_host(const char *name)
{
    return made_of(name, LOWER DIGITS, LOWER DIGITS "._-", 63);
}

bool name_valid_plain(const char *name)
{
    return made_of(name, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._-", 128);
}

/* Length of the UTF-8 sequence at `at` and its code point, or 0: RFC 3629, so no overlong forms, no surrogates, nothing above U+10FFFF. */
static size_t sequence(const unsigned char *at, unsigned *out)
{
    static const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = *at < 0x80                  ? 1
                 : *at >= 0xc2 && *at < 0xe0 ? 2
                 : *at >= 0xe0 && *at < 0xf0 ? 3
                 : *at >= 0xf0 && *at < 0xf5 ? 4
                                             : 0;
    unsigned code = len == 1 ? *at : len == 2 ? *at & 0x1fU : len == 3 ? *at & 0x0fU : *at & 0x07U;

    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fU);
    }
    if (len > 1 && (code < smallest[len] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff))
        return 0;
    *out = code;
    return len;
}

bool utf8_valid(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    unsigned code;

    while (*at) {
        size_t len = *at < 0x80 ? 1 : sequence(at, &code); /* nearly all text is ASCII */
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

size_t utf8_step(const char *text)
{
    unsigned code;

    return sequence((const unsigned char *)text, &code);
}

bool text_printable(const char *text, bool lines)
{
    const unsigned char *at = (const unsigned char *)text;
    unsigned code;

    while (*at) {
        size_t len = sequence(at, &code);
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        if (len == 0 || (control && !(lines && (code == '\n' || code == '\t'))))
            return false;
        at += len;
    }
    return true;
}

bool name_valid_snapshot(const char *name)
{
    size_t len = name ? strnlen(name, 256) : 0;

    return len >= 1 && len <= 255 && *name != '.' && !strchr(name, '/') && text_printable(name, false);
}

bool name_valid_domain(const char *name)
{
    return name_valid_snapshot(name);
}

static bool id_valid(const char *kind, const char *id)
{
    if (strcmp(kind, "libvirt") == 0 || strcmp(kind, "repository") == 0)
        return uuid_valid(id);
    if (strcmp(kind, "canister") == 0)
        return made_of(id, LOWER DIGITS, LOWER DIGITS "-", 63);
    return strcmp(kind, "null") == 0 && name_valid_plain(id);
}

bool target_valid(const struct target *target)
{
    if (!target->kind || !target->id || !id_valid(target->kind, target->id))
        return false;
    return !target->name || name_valid_domain(target->name);
}

int target_parse(const char *text, struct target *out, struct err *err)
{
    const char *colon = strchr(text, ':');
    CLEANUP(freep) char *kind = colon ? strndup(text, (size_t)(colon - text)) : NULL;

    if (!colon || (kind && !id_valid(kind, colon + 1))) {
        err_set(err, ERR_PERMANENT, "\"%.100s\" is not a target", text);
        return err_hint(err, "libvirt:<uuid>, canister:<principal> or repository:<uuid>");
    }
    CLEANUP(freep) char *id = strdup(colon + 1);
    if (!kind || !id)
        return err_memory(err, "target");
    out->kind = TAKE_PTR(kind);
    out->id = TAKE_PTR(id);
    return 0;
}

char *target_format(const struct target *target, char out[TARGET_TEXT])
{
    const char *kind = target->kind ? target->kind : "", *id = target->id ? target->id : "";
    size_t kind_len = strnlen(kind, TARGET_TEXT - 2), id_len = strnlen(id, TARGET_TEXT - 2 - kind_len);

    memcpy(out, kind, kind_len);
    out[kind_len] = ':';
    memcpy(out + kind_len + 1, id, id_len);
    out[kind_len + 1 + id_len] = '\0';
    return out;
}
