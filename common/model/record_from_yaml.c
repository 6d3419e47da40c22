#include "base/err.h"
#include "base/parse.h"
#include "base/text.h"
#include "base/yaml.h"
#include "model/record_yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_TEXT = 200 };

struct reader {
    const char *file;
    struct err *err;
};

struct place { /* of a value, as a person would write it: "schedules[1].cron" */
    char text[PATH_TEXT];
};

static int read_record(const struct reader *reader, const struct place *place, const struct record_type *type,
                       void *out, const struct yaml_node *node);

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static bool is_duration(const struct field *field)
{
    return field->type == FIELD_INT && ends_with(field->name, "_ms");
}

static bool is_size(const struct field *field)
{
    return field->type == FIELD_INT && ends_with(field->name, "_bytes");
}

char *record_yaml_name(const struct field *field, char out[64])
{
    size_t cut = is_duration(field) ? strlen("_ms") : is_size(field) ? strlen("_bytes") : 0;

    snprintf(out, 64, "%.*s", (int)(strlen(field->name) - cut), field->name);
    return out;
}

__attribute__((format(printf, 4, 5))) static int wrong(const struct reader *reader, const struct place *place,
                                                       const struct yaml_node *node, const char *format, ...)
{
    char what[256];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return err_set(reader->err, ERR_PERMANENT, "%s:%zu:%zu: %s%s%s", reader->file, node->line, node->column,
                   place->text, *place->text ? ": " : "", what);
}

/* What a parser of base said, with the place. */
static int wrong_value(const struct reader *reader, const struct place *place, const struct yaml_node *node,
                       const struct err *why)
{
    return wrong(reader, place, node, "%s", why->text);
}

static int read_text(const struct reader *reader, const struct place *place, const struct yaml_node *node, size_t most,
                     const char **out)
{
    if (node->kind != YAML_TEXT)
        return wrong(reader, place, node, "takes one value");
    if (strlen(node->text) > most)
        return wrong(reader, place, node, "is longer than %zu bytes", most);
    *out = node->text;
    return 0;
}

static int read_number(const struct reader *reader, const struct place *place, const struct field *field, int64_t *out,
                       const struct yaml_node *node)
{
    const char *text;
    struct err why = {0};
    int result;

    if (read_text(reader, place, node, 64, &text) < 0)
        return -1;
    if (is_duration(field))
        result = parse_duration(text, out, &why);
    else if (is_size(field))
        result = parse_size(text, out, &why);
    else
        result = parse_int(text, 0, INT64_MAX, out, &why);
    return result < 0 ? wrong_value(reader, place, node, &why) : 0;
}

static int read_bool(const struct reader *reader, const struct place *place, bool *out, const struct yaml_node *node)
{
    const char *text;

    if (read_text(reader, place, node, 64, &text) < 0)
        return -1;
    if (node->quoted || parse_bool(text, out, NULL) < 0)
        return wrong(reader, place, node, "must be true or false");
    return 0;
}

static int read_enum(const struct reader *reader, const struct place *place, const struct field *field, int *out,
                     const struct yaml_node *node)
{
    CLEANUP(text_freep) struct text allowed = {0};
    const char *text;

    if (read_text(reader, place, node, 256, &text) < 0)
        return -1;
    *out = name_index(field->names, text);
    if (*out >= 0)
        return 0;
    for (size_t i = 0; field->names[i]; i++)
        text_addf(&allowed, "%s%s", i ? ", " : "", field->names[i]);
    return wrong(reader, place, node, "must be one of %s", text_str(&allowed));
}

static struct place item_of(const struct place *place, size_t index)
{
    struct place item;

    snprintf(item.text, sizeof item.text, "%.170s[%zu]", place->text, index);
    return item;
}

/* A list, or one value for a list of one. */
static int read_strings(const struct reader *reader, const struct place *place, const struct field *field,
                        struct strings *out, const struct yaml_node *node)
{
    const struct yaml_node *items = node->kind == YAML_LIST ? node->items : node;
    size_t count = node->kind == YAML_LIST ? node->count : 1;
    const char *text;

    if (count > field_max(field))
        return wrong(reader, place, node, "has more than %zu items", field_max(field));
    for (size_t i = 0; i < count; i++) {
        struct place item = item_of(place, i);
        if (read_text(reader, &item, &items[i], STRINGS_ITEM_MAX, &text) < 0 || strings_add(out, text, reader->err) < 0)
            return -1;
    }
    return 0;
}

static int read_records(const struct reader *reader, const struct place *place, const struct field *field,
                        struct list *out, const struct yaml_node *node)
{
    if (node->kind != YAML_LIST)
        return wrong(reader, place, node, "takes a list");
    if (node->count > field_max(field))
        return wrong(reader, place, node, "has more than %zu items", field_max(field));
    for (size_t i = 0; i < node->count; i++) {
        struct place at = item_of(place, i);
        void *item = list_add(out, field->record, reader->err);
        if (!item || read_record(reader, &at, field->record, item, &node->items[i]) < 0)
            return -1;
    }
    return 0;
}

static int read_pointer(const struct reader *reader, const struct place *place, const struct record_type *type,
                        void **out, const struct yaml_node *node)
{
    *out = calloc(1, type->size);
    if (!*out)
        return err_memory(reader->err, type->name);
    record_defaults(type, *out);
    return read_record(reader, place, type, *out, node);
}

static int read_field(const struct reader *reader, const struct place *place, const struct field *field, void *record,
                      const struct yaml_node *node)
{
    void *at = (char *)record + field->offset;
    const char *text;

    switch (field->type) {
    case FIELD_STRING:
        if (read_text(reader, place, node, field_max(field), &text) < 0)
            return -1;
        return string_set(at, text, reader->err);
    case FIELD_BOOL: return read_bool(reader, place, at, node);
    case FIELD_INT: return read_number(reader, place, field, at, node);
    case FIELD_ENUM: return read_enum(reader, place, field, at, node);
    case FIELD_STRINGS: return read_strings(reader, place, field, at, node);
    case FIELD_RECORD: return read_pointer(reader, place, field->record, at, node);
    case FIELD_EMBEDDED: return read_record(reader, place, field->record, at, node);
    case FIELD_RECORDS: return read_records(reader, place, field, at, node);
    case FIELD_TIME:
    case FIELD_BYTES:
    case FIELD_MAP:
    case FIELD_PARAMS: break; /* nobody writes these by hand */
    }
    return wrong(reader, place, node, "cannot be written here");
}

static const struct field *find_field(const struct record_type *type, const char *name)
{
    char its[64];

    for (const struct field *field = type->fields; field->name; field++)
        if (strcmp(record_yaml_name(field, its), name) == 0)
            return field;
    return NULL;
}

static int unknown(const struct reader *reader, const struct place *place, const struct record_type *type,
                   const struct yaml_node *item)
{
    CLEANUP(text_freep) struct text known = {0};
    char name[64];

    for (const struct field *field = type->fields; field->name; field++)
        text_addf(&known, "%s%s", known.len ? ", " : "", record_yaml_name(field, name));
    return err_set(reader->err, ERR_PERMANENT, "%s:%zu:%zu: %s: unknown name; known here: %.300s", reader->file,
                   item->key_line, item->key_column, place->text, text_str(&known));
}

static struct place member_of(const struct place *place, const char *name)
{
    struct place member;

    snprintf(member.text, sizeof member.text, "%.130s%s%.60s", place->text, *place->text ? "." : "", name);
    return member;
}

static int require_all(const struct reader *reader, const struct place *place, const struct record_type *type,
                       const struct yaml_node *node)
{
    char name[64];

    for (const struct field *field = type->fields; field->name; field++) {
        const struct yaml_node *item = yaml_member(node, record_yaml_name(field, name));
        if (!field->optional && (!item || item->kind == YAML_NULL))
            return wrong(reader, place, node, "%s is missing", name);
    }
    return 0;
}

static int read_record(const struct reader *reader, const struct place *place, const struct record_type *type,
                       void *out, const struct yaml_node *node)
{
    if (node->kind != YAML_MAP)
        return wrong(reader, place, node, "takes names with values");
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_node *item = &node->items[i];
        struct place member = member_of(place, item->key);
        const struct field *field = find_field(type, item->key);
        if (!field)
            return unknown(reader, &member, type, item);
        if (item->kind != YAML_NULL && read_field(reader, &member, field, out, item) < 0)
            return -1;
    }
    return require_all(reader, place, type, node);
}

int record_from_yaml(const struct record_type *type, void *out, const char *file, const struct yaml_node *node,
                     struct err *err)
{
    struct reader reader = {file, err};
    struct place top = {""};

    record_defaults(type, out);
    if (read_record(&reader, &top, type, out, node) == 0)
        return 0;
    record_clear(type, out);
    return -1;
}

/* ---- the schema for editors ---- */

static void add_type(const struct record_type *type, const char *title, record_doc *doc, struct text *out, int depth);

static void indent(struct text *out, int depth)
{
    text_addf(out, "\n%*s", depth * 2, "");
}

static void add_names(const struct field *field, struct text *out)
{
    text_add(out, "\"enum\": [");
    for (size_t i = 0; field->names[i]; i++)
        text_addf(out, "%s\"%s\"", i ? ", " : "", field->names[i]);
    text_add(out, "]");
}

static void add_value(const struct field *field, record_doc *doc, struct text *out, int depth)
{
    switch (field->type) {
    case FIELD_BOOL: text_add(out, "\"type\": \"boolean\""); break;
    case FIELD_INT:
        if (is_duration(field))
            text_add(out, "\"type\": \"string\", \"pattern\": \"^(0|([0-9.]+(ms|s|m|h|d|w))+)$\"");
        else if (is_size(field))
            text_add(out, "\"type\": [\"string\", \"integer\"]");
        else
            text_add(out, "\"type\": \"integer\", \"minimum\": 0");
        break;
    case FIELD_ENUM: add_names(field, out); break;
    case FIELD_STRINGS:
        text_addf(out, "\"type\": [\"array\", \"string\"], \"maxItems\": %zu, \"items\": {\"type\": \"string\"}",
                  field_max(field));
        break;
    case FIELD_RECORD:
    case FIELD_EMBEDDED: add_type(field->record, NULL, doc, out, depth); break;
    case FIELD_RECORDS:
        text_addf(out, "\"type\": \"array\", \"maxItems\": %zu, \"items\": {", field_max(field));
        add_type(field->record, NULL, doc, out, depth);
        text_add(out, "}");
        break;
    case FIELD_STRING: text_addf(out, "\"type\": \"string\", \"maxLength\": %zu", field_max(field)); break;
    case FIELD_TIME:
    case FIELD_BYTES:
    case FIELD_MAP:
    case FIELD_PARAMS: break;
    }
}

static void add_properties(const struct record_type *type, record_doc *doc, struct text *out, int depth)
{
    bool first = true;
    char name[64];

    text_add(out, "\"properties\": {");
    for (const struct field *field = type->fields; field->name; field++, first = false) {
        const char *what = doc ? doc(type->name, record_yaml_name(field, name)) : NULL;
        text_add(out, first ? "" : ",");
        indent(out, depth + 1);
        text_addf(out, "\"%s\": {", record_yaml_name(field, name));
        if (what && *what)
            text_addf(out, "\"description\": \"%s\", ", what);
        add_value(field, doc, out, depth + 1);
        text_add(out, "}");
    }
    indent(out, depth);
    text_add(out, "}");
}

static void add_type(const struct record_type *type, const char *title, record_doc *doc, struct text *out, int depth)
{
    bool first = true;
    char name[64];

    if (title)
        text_addf(out, "\"title\": \"%s\", ", title);
    text_add(out, "\"type\": \"object\", \"additionalProperties\": false, \"required\": [");
    for (const struct field *field = type->fields; field->name; field++) {
        if (field->optional)
            continue;
        text_addf(out, "%s\"%s\"", first ? "" : ", ", record_yaml_name(field, name));
        first = false;
    }
    text_add(out, "], ");
    add_properties(type, doc, out, depth);
}

void record_json_schema(const struct record_type *type, const char *title, record_doc *doc, struct text *out)
{
    text_add(out, "{\"$schema\": \"http://json-schema.org/draft-07/schema#\", ");
    add_type(type, title, doc, out, 0);
    text_add(out, "}\n");
}
