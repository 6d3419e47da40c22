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

/* One more than the value of each digit; 0: not one. */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

/* Four characters to up to three bytes; the number of bytes, or -1. */
static int decode_group(const char *text, uint8_t bytes[3])
{
    int padding = text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
    uint32_t group = 0;

    for (int i = 0; i < 4; i++) {
        int value = i >= 4 - padding ? 0 : values[(uint8_t)text[i]] - 1;
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
