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
