#include "wire/shape.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "model/op.h"
#include "model/record.h"
#include "wire/guard.h"

#include <avro.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 16, SCHEMA_BYTES_MAX = 256 * 1024, BUDGET_PER_BYTE = 64 };

DEFINE_FREEP(struct shape, shape_free)

static int bind(struct shape *shape, avro_schema_t schema, int depth, struct err *err);

static void clear(struct shape *shape)
{
    for (size_t i = 0; i < shape->count; i++)
        clear(&shape->parts[i]);
    free(shape->parts);
}

void shape_free(struct shape *shape)
{
    if (!shape)
        return;
    clear(shape);
    free(shape);
}

static int add_parts(struct shape *shape, size_t count, struct err *err)
{
    shape->parts = calloc(count + 1, sizeof *shape->parts);
    if (!shape->parts)
        return err_memory(err, "schema");
    shape->count = count;
    return 0;
}

/* The parameters of an operation by their record's name: how the branches of a union are told apart. */
static const struct record_type *find_params(const char *name)
{
    for (int op = OP_NONE + 1; op < OP_COUNT; op++)
        if (strcmp(op_info((enum op)op)->params->name, name) == 0)
            return op_info((enum op)op)->params;
    return NULL;
}

static const struct record_type *type_of_field(const struct field *field, const char *name)
{
    if (!field)
        return NULL;
    return field->type == FIELD_PARAMS ? find_params(name) : field->record;
}

static bool fits(enum shape_kind kind, const struct field *field)
{
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_ENUM: return kind == SHAPE_STRING;
    case FIELD_BOOL: return kind == SHAPE_BOOLEAN;
    case FIELD_INT:
    case FIELD_TIME: return kind == SHAPE_LONG;
    case FIELD_BYTES: return kind == SHAPE_BYTES;
    case FIELD_STRINGS:
    case FIELD_RECORDS: return kind == SHAPE_ARRAY;
    case FIELD_MAP: return kind == SHAPE_MAP;
    case FIELD_RECORD:
    case FIELD_EMBEDDED:
    case FIELD_PARAMS: return kind == SHAPE_RECORD;
    }
    return false;
}

static const struct field *find_field(const struct record_type *type, const char *name)
{
    const struct field *field = type->fields;

    while (field->name && strcmp(field->name, name) != 0)
        field++;
    return field->name ? field : NULL;
}

/* What is not in the writer's schema keeps its default; for a required field there is none. */
static int check_missing(const struct shape *shape, struct err *err)
{
    for (const struct field *field = shape->type->fields; field->name; field++) {
        size_t i = 0;
        while (i < shape->count && shape->parts[i].field != field)
            i++;
        if (i == shape->count && !field->optional)
            return err_set(err, ERR_PERMANENT, "%s.%s: the writer's schema has no such field", shape->type->name,
                           field->name);
    }
    return 0;
}

static int bind_record(struct shape *shape, avro_schema_t schema, int depth, struct err *err)
{
    if (add_parts(shape, avro_schema_record_size(schema), err) < 0)
        return -1;
    for (size_t i = 0; i < shape->count; i++) {
        const char *name = avro_schema_record_field_name(schema, (int)i);
        struct shape *part = &shape->parts[i];
        part->field = shape->type ? find_field(shape->type, name) : NULL;
        if (bind(part, avro_schema_record_field_get_by_index(schema, (int)i), depth + 1, err) < 0)
            return err_wrap(err, "%s.%s", avro_schema_name(schema), name);
    }
    return shape->type ? check_missing(shape, err) : 0;
}

static int bind_union(struct shape *shape, avro_schema_t schema, int depth, struct err *err)
{
    if (add_parts(shape, avro_schema_union_size(schema), err) < 0)
        return -1;
    for (size_t i = 0; i < shape->count; i++) {
        shape->parts[i].field = shape->field;
        if (bind(&shape->parts[i], avro_schema_union_branch(schema, (int)i), depth + 1, err) < 0)
            return -1;
    }
    return 0;
}

static int bind_items(struct shape *shape, avro_schema_t items, int depth, struct err *err)
{
    enum field_type wanted = shape->field ? shape->field->type : FIELD_STRINGS;

    if (add_parts(shape, 1, err) < 0)
        return -1;
    if (shape->field && wanted == FIELD_RECORDS)
        shape->parts[0].type = shape->field->record;
    if (bind(&shape->parts[0], items, depth + 1, err) < 0)
        return -1;
    if (shape->field && shape->parts[0].kind != (wanted == FIELD_RECORDS ? SHAPE_RECORD : SHAPE_STRING))
        return err_set(err, ERR_PERMANENT, "the writer's items are of another type");
    return 0;
}

static int kind_of(avro_schema_t schema, enum shape_kind *out, struct err *err)
{
    static const enum shape_kind kinds[] = {
        [AVRO_NULL] = SHAPE_NULL,     [AVRO_BOOLEAN] = SHAPE_BOOLEAN, [AVRO_INT32] = SHAPE_LONG,
        [AVRO_INT64] = SHAPE_LONG,    [AVRO_FLOAT] = SHAPE_FLOAT,     [AVRO_DOUBLE] = SHAPE_DOUBLE,
        [AVRO_STRING] = SHAPE_STRING, [AVRO_BYTES] = SHAPE_BYTES,     [AVRO_FIXED] = SHAPE_FIXED,
        [AVRO_ARRAY] = SHAPE_ARRAY,   [AVRO_MAP] = SHAPE_MAP,         [AVRO_UNION] = SHAPE_UNION,
        [AVRO_RECORD] = SHAPE_RECORD, [AVRO_ENUM] = SHAPE_LONG, /* only ever skipped: its bytes are an int */
    };
    avro_type_t type = avro_typeof(schema);

    if ((size_t)type >= sizeof kinds / sizeof *kinds)
        return err_set(err, ERR_PERMANENT, "a type that is not known here");
    *out = kinds[type];
    return 0;
}

static int bind_parts(struct shape *shape, avro_schema_t schema, int depth, struct err *err)
{
    switch (shape->kind) {
    case SHAPE_RECORD:
        if (!shape->type)
            shape->type = type_of_field(shape->field, avro_schema_name(schema));
        return bind_record(shape, schema, depth, err);
    case SHAPE_UNION: return bind_union(shape, schema, depth, err);
    case SHAPE_ARRAY: return bind_items(shape, avro_schema_array_items(schema), depth, err);
    case SHAPE_MAP: return bind_items(shape, avro_schema_map_values(schema), depth, err);
    case SHAPE_FIXED: shape->fixed_size = (size_t)avro_schema_fixed_size(schema); return 0;
    case SHAPE_NULL:
    case SHAPE_BOOLEAN:
    case SHAPE_LONG:
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
    case SHAPE_STRING:
    case SHAPE_BYTES: return 0;
    }
    return 0;
}

/* `field` and, for a record that is known, `type` are set by the caller. A schema that contains itself ends at the depth limit. */
static int bind(struct shape *shape, avro_schema_t schema, int depth, struct err *err)
{
    if (depth > DEPTH_MAX)
        return err_set(err, ERR_PERMANENT, "nested more than %d deep", DEPTH_MAX);
    if (is_avro_link(schema))
        schema = avro_schema_link_target(schema);
    if (kind_of(schema, &shape->kind, err) < 0)
        return -1;
    bool branches = shape->kind == SHAPE_UNION ||
                    shape->kind == SHAPE_NULL; /* null: one branch of a union, leaves the default */
    if (shape->field && !branches && (is_avro_enum(schema) || !fits(shape->kind, shape->field)))
        return err_set(err, ERR_PERMANENT, "the writer's type does not fit");
    return bind_parts(shape, schema, depth, err);
}

static int bind_root(avro_schema_t schema, const struct record_type *type, struct shape **out, struct err *err)
{
    CLEANUP(shape_freep) struct shape *shape = calloc(1, sizeof *shape);

    if (!shape)
        return err_memory(err, "schema");
    if (!is_avro_record(schema) || strcmp(avro_schema_name(schema), type->name) != 0)
        return err_set(err, ERR_PERMANENT, "not a record named %s", type->name);
    shape->type = type;
    if (bind(shape, schema, 0, err) < 0)
        return -1;
    *out = TAKE_PTR(shape);
    return 0;
}

int shape_new(const char *schema_json, const struct record_type *type, struct shape **out, struct err *err)
{
    size_t len = strnlen(schema_json, SCHEMA_BYTES_MAX + 1);
    avro_schema_t schema;

    if (len > SCHEMA_BYTES_MAX)
        return err_set(err, ERR_PERMANENT, "schema %s: longer than %d bytes", type->name, SCHEMA_BYTES_MAX);
    guard_allow((len + 1024) * BUDGET_PER_BYTE);
    int failed = avro_schema_from_json_length(schema_json, len, &schema);
    guard_lift();
    if (failed) /* avro_strerror() is one buffer for all threads: not shown */
        return err_set(err, ERR_PERMANENT, "schema %s: not an Avro schema", type->name);
    failed = bind_root(schema, type, out, err);
    avro_schema_decref(schema);
    return failed ? err_wrap(err, "schema %s", type->name) : 0;
}
