#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for `more` bytes and the NUL. */
static bool reserve(struct text *text, size_t more)
{
    if (text->failed)
        return false;
    if (more < text->capacity - text->len && text->data)
        return true;

    size_t capacity = text->capacity ? text->capacity : 64;
    while (capacity - text->len <= more && capacity < SIZE_MAX / 2)
        capacity *= 2;
    char *data = capacity - text->len > more ? realloc(text->data, capacity) : NULL;
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_add_len(struct text *text, const char *data, size_t len)
{
    if (!reserve(text, len))
        return;
    if (len)
        memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_len(text, string, strlen(string));
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list args;
    va_list again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len < 0)
        text->failed = true;
    else if (reserve(text, (size_t)len))
        text->len += (size_t)vsnprintf(text->data + text->len, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
}

const char *text_str(const struct text *text)
{
    return text->data ? text->data : "";
}

char *text_take(struct text *text)
{
    char *data = text->failed ? NULL : text->data;

    if (!text->failed && !data)
        data = strdup("");
    if (text->failed)
        free(text->data);
    *text = (struct text){0};
    return data;
}

void text_clear(struct text *text)
{
    text->len = 0;
    text->failed = false;
    if (text->data)
        text->data[0] = '\0';
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

/* Restricted edit distance: three rows of the table are enough. */
size_t text_distance(const char *a, const char *b)
{
    enum { LONG = 64 };
    size_t rows[3][LONG + 1], la = strlen(a), lb = strlen(b);

    if (la > LONG || lb > LONG)
        return LONG;
    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = rows[1][j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);
            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two_before[j - 2] + 1 < best)
                best = two_before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[la % 3][lb];
}
