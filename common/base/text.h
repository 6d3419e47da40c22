#pragma once
/* A growing, always NUL-terminated buffer. Out of memory sticks: `failed` is set, later adds do nothing, text_take() returns NULL. One thread at a time. */
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; /* "" semantics when NULL; use text_str() */
    size_t len;
    size_t capacity;
    bool failed;
};

void text_add(struct text *text, const char *string);
void text_add_len(struct text *text, const char *data, size_t len);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *text_str(const struct text *text); /* never NULL; valid until the next add */
char *text_take(struct text *text);            /* caller frees; NULL if it failed; the text is empty afterwards */
void text_clear(struct text *text);            /* keeps the memory */
void text_free(struct text *text);             /* releases the memory, not the struct; may be used again */

/* How many mistakes make one word of the other: letters missing, too many, wrong, or two neighbours swapped. Longer words than 64 bytes are far from everything. */
size_t text_distance(const char *a, const char *b);

/* For CLEANUP. */
static inline void text_freep(struct text *text)
{
    text_free(text);
}
