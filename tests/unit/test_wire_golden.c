/*
 * The bytes of one full record per schema version, in schemas/golden/. They decode, and encode again to the same bytes, in every later version of the program; and
 * avro-c's own decoder finds in them what we find. FLEETSNAP_GOLDEN=write makes those that are missing.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "fill_record.h"
#include "wire/guard.h"
#include "wire/schema_table.h"
#include "wire/wire.h"

#include <avro.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SEEDS = 11 /* so that the job's are of all operations */, FILE_MAX = 4 * 1024 * 1024 };

static struct wire *wire;
static struct err err;

static int begin(void **state)
{
    (void)state;
    wire_init();
    return wire_new(&wire, &err);
}

static int end(void **state)
{
    (void)state;
    wire_free(wire);
    return 0;
}

static char *golden_path(const struct schema_entry *entry)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/schemas/golden/%s.%d.hex", SOURCE_DIR, entry->type->name, entry->version);
    return path;
}

static void write_golden(const struct schema_entry *entry)
{
    struct text text = {0};

    for (unsigned seed = 0; seed < SEEDS; seed++) {
        void *record = fill_new(entry->type, seed, true);
        const unsigned char *bytes;
        size_t len;
        assert_int_equal(wire_encode(wire, entry->type, record, &bytes, &len, &err), 0);
        for (size_t i = 0; i < len; i++)
            text_addf(&text, "%02x", bytes[i]);
        text_add(&text, "\n");
        record_free(entry->type, record);
    }
    if (file_write_atomic(golden_path(entry), text_str(&text), text.len, 0644, &err) < 0)
        fail_msg("%s", err.text);
    text_free(&text);
}

static unsigned char *from_hex(const char *line, size_t *len)
{
    unsigned char *bytes = malloc(strlen(line) / 2 + 1);
    unsigned byte;

    for (*len = 0; sscanf(line + 2 * *len, "%2x", &byte) == 1; ++*len)
        bytes[*len] = (unsigned char)byte;
    return bytes;
}

static bool is_newest(const struct schema_entry *entry)
{
    for (const struct schema_entry *other = entry + 1; other->id; other++)
        if (other->type == entry->type)
            return false;
    return true;
}

static void check_line(const struct schema_entry *entry, const char *line, unsigned seed)
{
    void *record = calloc(1, entry->type->size);
    const unsigned char *again;
    size_t again_len;
    size_t len;
    unsigned char *bytes = from_hex(line, &len);

    if (wire_decode(wire, entry->type, bytes, len, FILE_MAX, record, &err) < 0)
        fail_msg("%s: %s", entry->file, err.text);
    if (is_newest(entry)) {
        void *expected = fill_new(entry->type, seed, true);
        char *found = fill_json(entry->type, record);
        char *wanted = fill_json(entry->type, expected);
        assert_string_equal(found, wanted);
        assert_int_equal(wire_encode(wire, entry->type, record, &again, &again_len, &err), 0);
        assert_int_equal(again_len, len);
        assert_memory_equal(again, bytes, len);
        free(found);
        free(wanted);
        record_free(entry->type, expected);
    }
    record_free(entry->type, record);
    free(bytes);
}

static void golden_bytes_both_ways(void **state)
{
    (void)state;
    for (const struct schema_entry *entry = schema_table; entry->id; entry++) {
        char *text;
        char *rest;
        unsigned seed = 0;
        if (!file_exists(golden_path(entry)) && getenv("FLEETSNAP_GOLDEN"))
            write_golden(entry);
        if (file_read(golden_path(entry), FILE_MAX, &text, NULL, &err) < 0)
            fail_msg("%s", err.text);
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
            check_line(entry, line, seed++);
        assert_int_equal(seed, SEEDS);
        free(text);
    }
}

/* The member `name` of a record value as avro-c sees it, through a union. */
static avro_value_t avro_member(avro_value_t *record, const char *name)
{
    avro_value_t value;
    avro_value_t branch;

    assert_int_equal(avro_value_get_by_name(record, name, &value, NULL), 0);
    if (avro_value_get_type(&value) != AVRO_UNION)
        return value;
    assert_int_equal(avro_value_get_current_branch(&value, &branch), 0);
    return branch;
}

static void same_string(avro_value_t *record, const char *name, const char *expected)
{
    avro_value_t value = avro_member(record, name);
    const char *text;
    size_t size;

    if (!expected) {
        assert_int_equal(avro_value_get_type(&value), AVRO_NULL);
        return;
    }
    assert_int_equal(avro_value_get_string(&value, &text, &size), 0);
    assert_string_equal(text, expected);
}

static void compare_members(avro_value_t *value, const struct record_type *type, const void *record)
{
    for (const struct field *field = type->fields; field->name; field++) {
        const void *at = (const char *)record + field->offset;
        avro_value_t member = avro_member(value, field->name);
        int64_t number;
        size_t size;
        if (field->type == FIELD_STRING)
            same_string(value, field->name, *(char *const *)at);
        else if (field->type == FIELD_ENUM)
            same_string(value, field->name, field->names[*(const int *)at]);
        else if (field->type == FIELD_INT || field->type == FIELD_TIME)
            assert_true(avro_value_get_long(&member, &number) == 0 && number == *(const int64_t *)at);
        else if (field->type == FIELD_EMBEDDED)
            compare_members(&member, field->record, at);
        else if (field->type == FIELD_RECORD && *(void *const *)at)
            compare_members(&member, field->record, *(void *const *)at);
        else if (field->type == FIELD_PARAMS)
            compare_members(&member, record_params_type(type, record), *(void *const *)at);
        else if (field->type == FIELD_RECORDS)
            assert_true(avro_value_get_size(&member, &size) == 0 && size == ((const struct list *)at)->count);
        else if (field->type == FIELD_MAP)
            assert_true(avro_value_get_size(&member, &size) == 0 && size == ((const struct facts *)at)->count);
    }
}

static void avro_c_reads_what_we_write(void **state)
{
    (void)state;
    for (const struct schema_entry *entry = schema_table; entry->id; entry++) {
        avro_schema_t schema;
        avro_value_t value;
        assert_int_equal(avro_schema_from_json_length(entry->text, strlen(entry->text), &schema), 0);
        avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
        assert_int_equal(avro_generic_value_new(iface, &value), 0);
        for (unsigned seed = 0; is_newest(entry) && seed < SEEDS; seed++) {
            void *record = fill_new(entry->type, seed, seed % 3 != 0);
            const unsigned char *bytes;
            unsigned char again[65536];
            size_t len;
            assert_int_equal(wire_encode(wire, entry->type, record, &bytes, &len, &err), 0);
            avro_reader_t reader = avro_reader_memory((const char *)bytes + 5, (int64_t)len - 5);
            avro_writer_t writer = avro_writer_memory((const char *)again, sizeof again);
            assert_int_equal(avro_value_read(reader, &value), 0);
            compare_members(&value, entry->type, record);
            assert_int_equal(avro_value_write(writer, &value), 0);
            assert_int_equal(avro_writer_tell(writer), len - 5);
            avro_writer_free(writer);
            avro_reader_free(reader);
            record_free(entry->type, record);
        }
        avro_value_decref(&value);
        avro_value_iface_decref(iface);
        avro_schema_decref(schema);
    }
}

/* The bomb that avro-c's decoder falls for: five bytes that claim a string of 50 MB. */
static void the_guard_bounds_what_avro_c_allocates(void **state)
{
    avro_schema_t schema = avro_schema_string();
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    avro_reader_t reader = avro_reader_memory("\x80\xc2\xd7\x2fx", 5);
    avro_value_t value;

    (void)state;
    assert_int_equal(avro_generic_value_new(iface, &value), 0);
    guard_allow(1024);
    assert_int_not_equal(avro_value_read(reader, &value), 0);
    void *small = avro_malloc(1000);
    assert_non_null(small);
    assert_null(avro_malloc(1000));
    guard_lift();
    void *large = avro_malloc(100000);
    assert_non_null(large);
    avro_free(small, 1000);
    avro_free(large, 100000);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    avro_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_bytes_both_ways),
        cmocka_unit_test(avro_c_reads_what_we_write),
        cmocka_unit_test(the_guard_bounds_what_avro_c_allocates),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
