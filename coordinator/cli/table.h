#pragma once
/* Tables for people. Columns are as wide as they need; where the line is too short, some are left out, then the widest that may shrink is cut with "…". Cells are copied. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TABLE_COLUMNS = 16 };

enum column_flags {
    COLUMN_RIGHT = 1,  /* numbers */
    COLUMN_SHRINK = 2, /* may be cut */
    COLUMN_DROP = 4,   /* is left out where the line is too short, before anything is cut; the last such column first */
};

struct table_column {
    const char *title;
    int flags;
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    char **cells; /* rows × columns */
    size_t count, capacity;
    bool failed;
};

void table_init(struct table *table, const struct table_column *columns, size_t column_count);
void table_cell(struct table *table, const char *text); /* the next cell, row by row */
void table_cellf(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* width 0: no limit. Titles are bold with colour. */
void table_print(struct table *table, FILE *out, int width, bool colour);
void table_free(struct table *table);

size_t text_columns(const char *text); /* how many columns UTF-8 text takes, roughly: one per character */
/* The first `columns` columns of text. */
size_t text_cut(const char *text, size_t columns);
/* Words of text; where a line would be longer than width (0: no limit), the next begins at `indent`, where the cursor stands. Ends the line. */
void text_wrap(FILE *out, const char *text, size_t indent, size_t width);
/* text without control characters, for names that others gave; caller frees */
char *text_plain(const char *text);
