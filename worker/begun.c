/* The fact is text: rows and ranges of rows, "17-203,205,". Jobs begin nearly in the order of their rows, so a thousand of them are a few ranges. */
#include "worker/begun.h"

#include "base/err.h"
#include "base/text.h"
#include "worker/custody.h"
#include "worker/journal.h"

#include <inttypes.h>
#include <stdlib.h>

const char begun_fact[] = "begun";

static int by_number(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

    return (one > other) - (one < other);
}

static int64_t *rows_of(const struct custody *custody)
{
    int64_t *rows = malloc((custody->silent_count + 1) * sizeof *rows);
    size_t count = 0;

    for (const struct work *work = custody->silent; rows && work; work = work->next_silent)
        rows[count++] = work->row;
    if (rows)
        qsort(rows, count, sizeof *rows, by_number);
    return rows;
}

static void add_ranges(struct text *text, const int64_t *rows, size_t count)
{
    for (size_t i = 0, first; i < count; i++) {
        for (first = i; i + 1 < count && rows[i + 1] - rows[i] <= 1; i++)
            ;
        text_addf(text, first == i ? "%" PRId64 "," : "%" PRId64 "-%" PRId64 ",", rows[first], rows[i]);
    }
}

int begun_write(struct custody *custody, struct err *err)
{
    if (!custody->silent_began)
        return 0;
    int64_t *rows = rows_of(custody);
    struct text text = {0};

    if (rows)
        add_ranges(&text, rows, custody->silent_count);
    int failed = !rows || text.failed
                     ? err_memory(err, "journal")
                     : journal_set_fact(custody->setup.journal, begun_fact, text.data ? text.data : "", err);
    text_free(&text);
    free(rows);
    custody->silent_began = false;
    return failed;
}

bool begun_names(const char *text, int64_t row)
{
    while (text && *text) {
        char *end;
        int64_t first = strtoll(text, &end, 10), last = first;

        if (*end == '-')
            last = strtoll(end + 1, &end, 10);
        if (row >= first && row <= last)
            return true;
        text = *end == ',' ? end + 1 : "";
    }
    return false;
}
