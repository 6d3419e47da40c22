#include "base/config_internal.h"
#include "base/parse.h"
#include "base/text.h"

#include <string.h>

static const char *type_name(const struct option *row)
{
    switch (row->type) {
    case OPTION_STRING: return "text";
    case OPTION_PATH: return "path";
    case OPTION_STRINGS: return "list";
    case OPTION_PATHS: return "list of paths";
    case OPTION_INT: return "number";
    case OPTION_BOOL: return "true/false";
    case OPTION_SIZE: return "size";
    case OPTION_DURATION: return "duration";
    case OPTION_CHOICE: return row->choices;
    case OPTION_MAP: return "mapping";
    }
    return "";
}

static void add_number(struct text *out, const struct option *row, int64_t number)
{
    char buffer[40];

    if (row->type == OPTION_SIZE)
        text_add(out, format_size(number, buffer, sizeof buffer));
    else if (row->type == OPTION_DURATION)
        text_add(out, format_duration(number, buffer, sizeof buffer));
    else
        text_addf(out, "%lld", (long long)number);
}

static void add_range(struct text *out, const struct option *row)
{
    if (row->min == 0 && row->max == 0)
        return;
    text_add(out, ", ");
    add_number(out, row, row->min);
    text_add(out, " to ");
    add_number(out, row, row->max);
}

static bool required(const struct option *row)
{
    bool text = row->type == OPTION_STRING || row->type == OPTION_PATH || row->type == OPTION_CHOICE;

    return text && !row->fallback && !row->optional;
}

void config_help(const struct option *rows, FILE *out)
{
    for (; rows->name; rows++) {
        struct text range = {0};
        add_range(&range, rows);
        fprintf(out, "  --%s=<%s%s>", rows->name, type_name(rows), text_str(&range));
        if (rows->fallback && *rows->fallback)
            fprintf(out, "  [%s]", rows->fallback);
        else if (required(rows))
            fprintf(out, "  (required)");
        fprintf(out, "\n        %s\n", rows->doc ? rows->doc : "");
        text_free(&range);
    }
}

/* A bar would end the cell. */
static void add_cell(struct text *out, const char *cell)
{
    text_add(out, " ");
    for (; *cell; cell++) {
        if (*cell == '|')
            text_add(out, "\\");
        text_add_len(out, cell, 1);
    }
    text_add(out, " |");
}

void config_markdown(const struct option *rows, const char *title, struct text *out)
{
    text_addf(out, "## %s\n\n| option | type | default | meaning |\n|---|---|---|---|\n", title);
    for (; rows->name; rows++) {
        struct text type = {0};
        text_add(&type, type_name(rows));
        add_range(&type, rows);
        text_addf(out, "| `%s` |", rows->name);
        add_cell(out, text_str(&type));
        add_cell(out, required(rows) ? "required" : rows->fallback ? rows->fallback : "");
        add_cell(out, rows->doc ? rows->doc : "");
        text_add(out, "\n");
        text_free(&type);
    }
}
