#include "base/base64.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(const void *data, size_t len, char *out, size_t out_size)
{
    const uint8_t *bytes = data;
    char *at = out;

    if (len > INT_MAX / 2 || BASE64_TEXT(len) > out_size)
        return -1;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (left > 1)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (left > 2)
            group |= bytes[i + 2];
        *at++ = digits[group >> 18];
        *at++ = digits[group >> 12 & 63];
        *at++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[group & 63] : '=';
    }
    *at = '\0';
    return (int)(at - out);
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters to up to three bytes; the number of bytes, or -1. */
static int decode_group(const char *text, uint8_t bytes[3])
{
    int padding = text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
    uint32_t group = 0;

    for (int i = 0; i < 4; i++) {
        int value = i >= 4 - padding ? 0 : digit_value(text[i]);
        if (value < 0)
            return -1;
        group = group << 6 | (uint32_t)value;
    }
    if (group & ((1U << (8 * padding)) - 1)) /* two texts must not mean the same bytes */
        return -1;
    bytes[0] = (uint8_t)(group >> 16);
    bytes[1] = (uint8_t)(group >> 8);
    bytes[2] = (uint8_t)group;
    return 3 - padding;
}

int base64_decode(const char *text, void *out, size_t out_size)
{
    size_t len = strlen(text);
    uint8_t *to = out;
    size_t used = 0;

    if (len % 4 != 0 || len > INT_MAX)
        return -1;
    for (size_t i = 0; i < len; i += 4) {
        uint8_t bytes[3];
        int got = decode_group(text + i, bytes);
        if (got < 0 || (got < 3 && i + 4 != len) || (size_t)got > out_size - used)
            return -1;
        memcpy(to + used, bytes, (size_t)got);
        used += (size_t)got;
    }
    return (int)used;
}
