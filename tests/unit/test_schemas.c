/* schemas/ *.avsc against the tables of common/model, and ids.json against the table that is compiled in: both ways, so that neither can be forgotten. */
#include "base/err.h"
#include "base/file.h"
#include "fill_record.h"
#include "wire/schema_table.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { NAMED_MAX = 64 };

struct names { /* records already defined in a file: later ones are by name */
    const struct record_type *types[NAMED_MAX];
    size_t count;
};

static void compare_record(struct names *names, const struct record_type *type, json_t *schema);

static const char *text(json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value ? value : "";
}

static void documented(const char *name, json_t *object)
{
    if (strlen(text(object, "doc")) < 3)
        fail_msg("%s: has no doc", name);
}

/* X of X or of ["null", X]; the latter must be what the row says. */
static json_t *strip_null(const struct field *field, json_t *type)
{
    if (!json_is_array(type) || field->type == FIELD_PARAMS)
        return type;
    assert_int_equal(json_array_size(type), 2);
    assert_string_equal(json_string_value(json_array_get(type, 0)), "null");
    assert_true(field->optional);
    return json_array_get(type, 1);
}

static void is_primitive(json_t *type, const char *name)
{
    assert_string_equal(json_is_string(type) ? json_string_value(type) : "a composite", name);
}

static void compare_params(struct names *names, json_t *branches)
{
    assert_int_equal(json_array_size(branches), OP_COUNT - 1);
    for (int op = 1; op < OP_COUNT; op++)
        compare_record(names, op_info((enum op)op)->params, json_array_get(branches, (size_t)op - 1));
}

static void compare_type(struct names *names, const struct field *field, json_t *type)
{
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_ENUM: is_primitive(type, "string"); break;
    case FIELD_BOOL: is_primitive(type, "boolean"); break;
    case FIELD_INT: is_primitive(type, "long"); break;
    case FIELD_BYTES: is_primitive(type, "bytes"); break;
    case FIELD_TIME:
        is_primitive(json_object_get(type, "type"), "long");
        assert_string_equal(text(type, "logicalType"), "timestamp-millis");
        break;
    case FIELD_STRINGS:
        is_primitive(json_object_get(type, "type"), "array");
        is_primitive(json_object_get(type, "items"), "string");
        break;
    case FIELD_MAP:
        is_primitive(json_object_get(type, "type"), "map");
        is_primitive(json_object_get(type, "values"), "string");
        break;
    case FIELD_RECORDS:
        is_primitive(json_object_get(type, "type"), "array");
        compare_record(names, field->record, json_object_get(type, "items"));
        break;
    case FIELD_RECORD:
    case FIELD_EMBEDDED: compare_record(names, field->record, type); break;
    case FIELD_PARAMS: compare_params(names, type); break;
    }
}

/* The default in the schema is for other readers; ours take it from the table: they must be the same. */
static void compare_default(const struct field *field, json_t *value)
{
    bool pointer = field->type == FIELD_STRING || field->type == FIELD_BYTES || field->type == FIELD_RECORD;

    if (!field->optional) {
        assert_null(value);
        return;
    }
    assert_non_null(value);
    if (pointer)
        assert_true(json_is_null(value));
    else if (field->type == FIELD_INT || field->type == FIELD_TIME)
        assert_int_equal(json_integer_value(value), field->fallback);
    else if (field->type == FIELD_BOOL)
        assert_int_equal(json_is_true(value), field->fallback != 0);
    else if (field->type == FIELD_ENUM)
        assert_string_equal(json_string_value(value), field->names[field->fallback]);
    else
        assert_int_equal(json_array_size(value) + json_object_size(value), 0);
}

static void compare_field(struct names *names, const struct record_type *type, const struct field *field, json_t *schema)
{
    char name[128];
    bool pointer = field->type == FIELD_STRING || field->type == FIELD_BYTES || field->type == FIELD_RECORD;

    snprintf(name, sizeof name, "%s.%s", type->name, field->name);
    if (strcmp(text(schema, "name"), field->name) != 0)
        fail_msg("%s: the schema has %s there", name, text(schema, "name"));
    documented(name, schema);
    json_t *own = json_object_get(schema, "type");
    json_t *inner = strip_null(field, own);
    if (pointer && field->optional && inner == own)
        fail_msg("%s: is optional and no union with null", name);
    compare_type(names, field, inner);
    compare_default(field, json_object_get(schema, "default"));
}

static void compare_record(struct names *names, const struct record_type *type, json_t *schema)
{
    for (size_t i = 0; json_is_string(schema) && i < names->count; i++)
        if (names->types[i] == type) {
            assert_string_equal(json_string_value(schema), type->name);
            return;
        }
    assert_string_equal(text(schema, "type"), "record");
    assert_string_equal(text(schema, "name"), type->name);
    documented(type->name, schema);
    assert_true(names->count < NAMED_MAX);
    names->types[names->count++] = type;

    json_t *fields = json_object_get(schema, "fields");
    size_t i = 0;
    for (const struct field *field = type->fields; field->name; field++, i++) {
        if (i >= json_array_size(fields))
            fail_msg("%s.%s: not in the schema", type->name, field->name);
        compare_field(names, type, field, json_array_get(fields, i));
    }
    if (i != json_array_size(fields))
        fail_msg("%s: the schema has more fields than the table", type->name);
}

static const struct schema_entry *newest(const struct record_type *type)
{
    const struct schema_entry *found = NULL;

    for (const struct schema_entry *entry = schema_table; entry->id; entry++)
        if (entry->type == type)
            found = entry;
    return found;
}

static void tables_and_schemas_say_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILL_TYPES; i++) {
        struct names names = {0};
        json_error_t problem;
        json_t *schema = json_loads(newest(fill_types[i])->text, JSON_REJECT_DUPLICATES, &problem);
        assert_non_null(schema);
        compare_record(&names, fill_types[i], schema);
        json_decref(schema);
    }
}

static void an_embedded_schema_is_the_file(void **state)
{
    struct err err;

    (void)state;
    for (const struct schema_entry *entry = schema_table; entry->id; entry++) {
        char path[512];
        char *file;
        snprintf(path, sizeof path, "%s/schemas/%s", SOURCE_DIR, entry->file);
        if (file_read(path, 1024 * 1024, &file, NULL, &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(file, entry->text);
        assert_null(strstr(file, "\"enum\"")); /* avro-c resolves them by index */
        free(file);
    }
}

static void ids_rise_and_are_listed(void **state)
{
    json_error_t problem;
    json_t *ids = json_load_file(SOURCE_DIR "/schemas/ids.json", JSON_REJECT_DUPLICATES, &problem);
    size_t count = 0;

    (void)state;
    assert_non_null(ids);
    for (const struct schema_entry *entry = schema_table; entry->id; entry++, count++) {
        char key[16];
        snprintf(key, sizeof key, "%u", entry->id);
        json_t *row = json_object_get(ids, key);
        assert_string_equal(text(row, "name"), entry->type->name);
        assert_string_equal(text(row, "file"), entry->file);
        assert_int_equal(json_integer_value(json_object_get(row, "version")), entry->version);
        assert_true(entry == schema_table || entry->id > entry[-1].id);
    }
    assert_int_equal(json_object_size(ids), count);
    json_decref(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_and_schemas_say_the_same),
        cmocka_unit_test(an_embedded_schema_is_the_file),
        cmocka_unit_test(ids_rise_and_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
