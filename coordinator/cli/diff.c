/* Longest common subsequence of lines: policies are short, so the plain table is enough. */
#include "coordinator/cli/diff.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 3000, AROUND = 2 };

struct line {
    const char *text;
    size_t len;
};

struct side {
    struct line lines[LINES_MAX];
    size_t count;
};

static void split(const char *text, struct side *out)
{
    for (out->count = 0; *text && out->count < LINES_MAX; out->count++) {
        size_t len = strcspn(text, "\n");
        out->lines[out->count] = (struct line){text, len};
        text += len + (text[len] == '\n');
    }
}

static bool same(const struct line *a, const struct line *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

struct change {
    char sign; /* ' ', '-', '+' */
    struct line line;
};

/* lengths[i][j]: of what is common behind line i of a and line j of b. */
static size_t walk(const struct side *a, const struct side *b, const uint16_t *lengths, struct change *out)
{
    size_t width = b->count + 1, i = 0, j = 0, count = 0;

    while (i < a->count || j < b->count) {
        if (i < a->count && j < b->count && same(&a->lines[i], &b->lines[j])) {
            out[count++] = (struct change){' ', a->lines[i]};
            i++, j++;
        } else if (j == b->count || (i < a->count && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]))
            out[count++] = (struct change){'-', a->lines[i++]};
        else
            out[count++] = (struct change){'+', b->lines[j++]};
    }
    return count;
}

static bool near_change(const struct change *changes, size_t count, size_t at)
{
    for (size_t i = at > AROUND ? at - AROUND : 0; i < count && i <= at + AROUND; i++)
        if (changes[i].sign != ' ')
            return true;
    return false;
}

void diff_print(FILE *out, const char *before, const char *after)
{
    CLEANUP(freep) struct side *a = calloc(1, sizeof *a);
    CLEANUP(freep) struct side *b = calloc(1, sizeof *b);

    if (!a || !b)
        return;
    split(before, a);
    split(after, b);
    size_t width = b->count + 1;
    CLEANUP(freep) uint16_t *lengths = calloc((a->count + 1) * width, sizeof *lengths);
    CLEANUP(freep) struct change *changes = calloc(a->count + b->count + 1, sizeof *changes);
    if (!lengths || !changes)
        return;
    for (size_t i = a->count; i-- > 0;)
        for (size_t j = b->count; j-- > 0;) {
            uint16_t down = lengths[(i + 1) * width + j], right = lengths[i * width + j + 1];
            lengths[i * width + j] = same(&a->lines[i], &b->lines[j]) ? (uint16_t)(lengths[(i + 1) * width + j + 1] + 1)
                                     : down > right                   ? down
                                                                      : right;
        }
    size_t count = walk(a, b, lengths, changes);
    for (size_t i = 0; i < count; i++)
        if (near_change(changes, count, i))
            fprintf(out, "%c %.*s\n", changes[i].sign, (int)changes[i].line.len, changes[i].line.text);
}
