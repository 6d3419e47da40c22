#include "coordinator/cli/table.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

enum { GAP = 2, SHRINK_LEAST = 8 };

size_t text_columns(const char *text)
{
    size_t columns = 0;

    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

size_t text_cut(const char *text, size_t columns)
{
    size_t i = 0;

    while (text[i]) {
        if (((unsigned char)text[i] & 0xc0) != 0x80 && columns-- == 0)
            break;
        i++;
    }
    return i;
}

char *text_plain(const char *text)
{
    char *copy = strdup(text);

    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return copy;
}

void text_wrap(FILE *out, const char *text, size_t indent, size_t width)
{
    size_t column = indent;

    while (*text) {
        CLEANUP(freep) char *word = strndup(text, strcspn(text, " "));
        size_t columns = text_columns(word ? word : "");
        if (width && column > indent && column + 1 + columns > width) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        fprintf(out, "%s%s", column > indent ? " " : "", word ? word : "");
        column += columns + (column > indent);
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void table_init(struct table *table, const struct table_column *columns, size_t column_count)
{
    *table = (struct table){.columns = columns, .column_count = column_count};
}

void table_cell(struct table *table, const char *text)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 64;
        char **cells = realloc(table->cells, capacity * sizeof *cells);
        if (!cells) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    char *copy = text_plain(text);
    if (copy)
        table->cells[table->count++] = copy;
    else
        table->failed = true;
}

void table_cellf(struct table *table, const char *format, ...)
{
    CLEANUP(freep) char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    table_cell(table, text ? text : "");
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}

#define LEFT_OUT SIZE_MAX /* as a width */

static size_t total_of(const size_t widths[TABLE_COLUMNS], size_t count)
{
    size_t total = 0, shown = 0;

    for (size_t c = 0; c < count; c++) {
        total += widths[c] == LEFT_OUT ? 0 : widths[c];
        shown += widths[c] != LEFT_OUT;
    }
    return total + (shown ? GAP * (shown - 1) : 0);
}

static void measure(const struct table *table, size_t widths[TABLE_COLUMNS])
{
    for (size_t c = 0; c < table->column_count; c++) {
        widths[c] = text_columns(table->columns[c].title);
        for (size_t i = c; i < table->count; i += table->column_count)
            if (text_columns(table->cells[i]) > widths[c])
                widths[c] = text_columns(table->cells[i]);
    }
}

static void leave_out(const struct table *table, size_t widths[TABLE_COLUMNS], size_t width)
{
    for (size_t c = table->column_count; c-- > 0 && total_of(widths, table->column_count) > width;)
        if ((table->columns[c].flags & COLUMN_DROP))
            widths[c] = LEFT_OUT;
}

static void shrink(const struct table *table, size_t widths[TABLE_COLUMNS], size_t width)
{
    for (size_t total = total_of(widths, table->column_count); total > width; total--) {
        size_t widest = table->column_count;
        for (size_t c = 0; c < table->column_count; c++)
            if ((table->columns[c].flags & COLUMN_SHRINK) && widths[c] > SHRINK_LEAST && widths[c] != LEFT_OUT &&
                (widest == table->column_count || widths[c] > widths[widest]))
                widest = c;
        if (widest == table->column_count)
            return;
        widths[widest]--;
    }
}

static void add_cell(struct text *line, const char *text, size_t width, bool right)
{
    size_t columns = text_columns(text), pad = columns < width ? width - columns : 0;

    if (width == LEFT_OUT)
        return;
    if (line->len)
        text_addf(line, "%*s", GAP, "");
    if (right)
        text_addf(line, "%*s", (int)pad, "");
    if (columns > width)
        text_addf(line, "%.*s…", (int)text_cut(text, width - 1), text);
    else
        text_add(line, text);
    if (!right)
        text_addf(line, "%*s", (int)pad, "");
}

/* No blanks at the end: they wrap where the line is as wide as the terminal. */
static void print_line(FILE *out, struct text *line, bool bold)
{
    while (line->len && line->data[line->len - 1] == ' ')
        line->data[--line->len] = '\0';
    fprintf(out, "%s%s%s\n", bold ? "\033[1m" : "", text_str(line), bold ? "\033[0m" : "");
    text_clear(line);
}

void table_print(struct table *table, FILE *out, int width, bool colour)
{
    size_t widths[TABLE_COLUMNS];
    struct text line = {0};

    measure(table, widths);
    if (width > 0) {
        leave_out(table, widths, (size_t)width);
        shrink(table, widths, (size_t)width);
    }
    for (size_t c = 0; c < table->column_count; c++)
        add_cell(&line, table->columns[c].title, widths[c], table->columns[c].flags & COLUMN_RIGHT);
    print_line(out, &line, colour);
    for (size_t i = 0; i < table->count; i++) {
        size_t c = i % table->column_count;
        add_cell(&line, table->cells[i], widths[c], table->columns[c].flags & COLUMN_RIGHT);
        if (c + 1 == table->column_count || i + 1 == table->count)
            print_line(out, &line, false);
    }
    text_free(&line);
}
