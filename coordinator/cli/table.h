#pragma once
/* Tables for people. Columns are as wide as they need; where the line is too short the widest column that may shrink is cut with "…". Cells are copied. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TABLE_COLUMNS = 16 };

struct table_column {
    const char *title;
    bool right;  /* numbers */
    bool shrink; /* may be cut */
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
/* text without control characters, for names that others gave; caller frees */
char *text_plain(const char *text);
