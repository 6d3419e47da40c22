/* Keys of the ledger's records: "<kind>:<id>@<term>.<n>", and of its nodes: "<kind>:<id>". Pure. */
#include "coordinator/ledger_internal.h"

#include <string.h>

/* Written by hand: several are made for each job, and printf costs more than the look-up. What does not fit is cut. */
static size_t add_text(char out[LEDGER_KEY_TEXT], size_t at, const char *text)
{
    size_t len = strlen(text), room = LEDGER_KEY_TEXT - 1 - at;

    len = len < room ? len : room;
    memcpy(out + at, text, len);
    out[at + len] = '\0';
    return at + len;
}

static size_t add_number(char out[LEDGER_KEY_TEXT], size_t at, int64_t number)
{
    char digits[24], *first = digits + sizeof digits - 1;

    *first = '\0';
    do
        *--first = (char)('0' + number % 10);
    while (number /= 10);
    return add_text(out, at, first);
}

void ledger_node_key(char out[LEDGER_KEY_TEXT], int kind, const char *id)
{
    size_t at = add_text(out, 0, ledger_kind_names[kind]);

    add_text(out, add_text(out, at, ":"), id);
}

void ledger_key_format(char out[LEDGER_KEY_TEXT], int kind, const char *id, struct ledger_ref ref)
{
    size_t at;

    ledger_node_key(out, kind, id);
    at = add_text(out, strlen(out), "@");
    at = add_number(out, at, ref.term);
    if (kind != LEDGER_TERM)
        add_number(out, add_text(out, at, "."), ref.n);
}

/* Behind the digits; NULL: there are none, or too many. */
static const char *read_number(const char *at, const char *end, int64_t *out)
{
    enum { DIGITS_MAX = 18 };
    const char *first = at;

    for (*out = 0; at < end && *at >= '0' && *at <= '9' && at - first < DIGITS_MAX; at++)
        *out = *out * 10 + (*at - '0');
    return at > first ? at : NULL;
}

bool ledger_key_parse(const char *key, size_t len, char out_node_key[LEDGER_KEY_TEXT], struct ledger_ref *out)
{
    const char *at = memrchr(key, '@', len), *end = key + len;
    struct ledger_ref ref = {0};

    if (!at || len >= LEDGER_KEY_TEXT)
        return false;
    const char *next = read_number(at + 1, end, &ref.term);
    if (next && next < end && *next == '.')
        next = read_number(next + 1, end, &ref.n);
    if (next != end)
        return false;
    memcpy(out_node_key, key, (size_t)(at - key));
    out_node_key[at - key] = '\0';
    *out = ref;
    return true;
}
