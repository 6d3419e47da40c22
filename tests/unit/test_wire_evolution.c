/*
 * Readers and writers of other versions. "deploy_event" stands for all: a newer writer appends fields, an older one lacks them, another one has them in another order;
 * for unions the job's.
 */
#include "base/err.h"
#include "base/text.h"
#include "fill_record.h"
#include "wire/schema_table.h"
#include "wire/wire.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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

/* The newest: the one that is written with. */
static json_t *schema_of(const struct record_type *type)
{
    const char *newest = NULL;

    for (const struct schema_entry *entry = schema_table; entry->id; entry++)
        if (entry->type == type)
            newest = entry->text;
    return newest ? json_loads(newest, 0, NULL) : NULL;
}

static int decode_with(json_t *schema, const struct record_type *type, const void *data, size_t len, void *out)
{
    char *text = json_dumps(schema, 0);
    int result = wire_decode_with(wire, text, type, data, len, out, &err);

    free(text);
    return result;
}

static const struct {
    const char *type;
    const char *value; /* its Avro bytes */
    size_t len;
} later[] = {
    {"\"null\"", "", 0},
    {"\"boolean\"", "\1", 1},
    {"\"int\"", "\x80\1", 2},
    {"\"float\"", "abcd", 4},
    {"\"double\"", "abcdefgh", 8},
    {"\"bytes\"", "\6\0\1\2", 4},
    {"\"string\"", "\4hi", 3},
    {"[\"null\",\"string\"]", "\2\4hi", 4},
    {"[\"null\",\"string\"]", "\0", 1},
    {"{\"type\":\"array\",\"items\":\"long\"}", "\4\2\4\1\2\6\0", 7}, /* two blocks, the second with its size */
    {"{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"string\"}}", "\2\2k\2\2v\0\0", 8},
    {"{\"type\":\"fixed\",\"name\":\"f\",\"size\":3}", "xyz", 3},
    {"{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"]}", "\2", 1},
    {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"},{\"name\":\"b\",\"type\":\"long\"}]}",
     "\2x\2", 3},
};

/* What a newer writer appends, of every type, at the end of the record and in the middle. */
static void an_old_reader_skips_what_is_new(void **state)
{
    struct deploy_event event = {0};
    const unsigned char *bytes;
    size_t len;

    (void)state;
    fill_record(&deploy_event_record, &event, 2, true);
    assert_int_equal(wire_encode(wire, &deploy_event_record, &event, &bytes, &len, &err), 0);
    char *expected = fill_json(&deploy_event_record, &event);
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        for (int place = 0; place < 2; place++) {
            json_t *schema = schema_of(&deploy_event_record);
            json_t *field = json_pack("{s:s,s:o}", "name", "later", "type",
                                      json_loads(later[i].type, JSON_DECODE_ANY, NULL));
            json_t *fields = json_object_get(schema, "fields");
            json_array_insert_new(fields, place ? 0 : json_array_size(fields), field);
            struct text data = {0};
            struct deploy_event back = {0};
            if (place)
                text_add_len(&data, later[i].value, later[i].len);
            text_add_len(&data, (const char *)bytes + 5, len - 5);
            if (!place)
                text_add_len(&data, later[i].value, later[i].len);
            if (decode_with(schema, &deploy_event_record, text_str(&data), data.len, &back) < 0)
                fail_msg("%s: %s", later[i].type, err.text);
            char *read = fill_json(&deploy_event_record, &back);
            assert_string_equal(read, expected);
            for (size_t cut = 0; later[i].len > 0 && !place && cut < later[i].len; cut++)
                assert_int_equal(decode_with(schema, &deploy_event_record, text_str(&data), len - 5 + cut,
                                             &(struct deploy_event){0}),
                                 -1);
            free(read);
            deploy_event_clear(&back);
            text_free(&data);
            json_decref(schema);
        }
    }
    free(expected);
    deploy_event_clear(&event);
}

static void a_new_reader_has_defaults_for_what_is_old(void **state)
{
    static const char old[] = "{\"type\":\"record\",\"name\":\"backup_create_only\",\"fields\":[]}";
    static const char writer[] =
        "{\"type\":\"record\",\"name\":\"restore_point\",\"fields\":["
        "{\"name\":\"state\",\"type\":\"string\"},{\"name\":\"id\",\"type\":\"string\"},{\"name\":\"revision\",\"type\":\"int\"},{\"name\":\"kind\",\"type\":\"string\"},"
        "{\"name\":\"target\",\"type\":{\"type\":\"record\",\"name\":\"target\",\"fields\":[{\"name\":\"id\",\"type\":\"string\"},{\"name\":\"kind\",\"type\":\"string\"}]}},"
        "{\"name\":\"host\",\"type\":\"string\"},{\"name\":\"created_at\",\"type\":\"long\"}]}";
    static const char data[] = "\x10"
                               "complete"
                               "\4id"
                               "\x0e"
                               "\6abc"
                               "\2x"
                               "\2k"
                               "\2h"
                               "\x0a";
    struct restore_point point = {0};

    (void)state;
    if (wire_decode_with(wire, writer, &restore_point_record, data, sizeof data - 1, &point, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(point.state, POINT_COMPLETE);
    assert_string_equal(point.id, "id");
    assert_int_equal(point.revision, 7);
    assert_string_equal(point.target.kind, "k");
    assert_string_equal(point.target.id, "x");
    assert_int_equal(point.created_at_ms, 5);
    assert_int_equal(point.format, 1); /* the table's fallback */
    assert_null(point.policy);
    restore_point_clear(&point);
    assert_int_equal(wire_decode_with(wire, old, &restore_point_record, "", 0, &point, &err), -1);
}

/* A worker that is older than a new operation: it reads every job but those. */
static void a_union_may_grow(void **state)
{
    json_t *schema = schema_of(&job_record);
    struct job job = {0};
    struct job back = {0};
    const unsigned char *bytes;
    size_t len;

    (void)state;
    json_t *params = json_object_get(json_array_get(json_object_get(schema, "fields"), 4), "type");
    json_array_append_new(
        params,
        json_loads(
            "{\"type\":\"record\",\"name\":\"target_paint\",\"fields\":[{\"name\":\"colour\",\"type\":\"string\"}]}", 0,
            NULL));
    fill_record(&job_record, &job, 0, true);
    assert_int_equal(wire_encode(wire, &job_record, &job, &bytes, &len, &err), 0);
    assert_int_equal(decode_with(schema, &job_record, bytes + 5, len - 5, &back), 0);
    job_clear(&back);
    job_clear(&job);
    json_decref(schema);
}

static void expect_refusal(const char *writer, const char *problem)
{
    struct deploy_event event = {0};

    assert_int_equal(wire_decode_with(wire, writer, &deploy_event_record, "", 0, &event, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    if (!strstr(err.text, problem))
        fail_msg("\"%s\" does not say \"%s\"", err.text, problem);
}

static void a_schema_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    expect_refusal("", "not an Avro schema");
    expect_refusal("{\"type\":\"nonsense\"}", "not an Avro schema");
    expect_refusal("\"string\"", "not a record named deploy_event");
    expect_refusal("{\"type\":\"record\",\"name\":\"job\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"}]}",
                   "not a record named deploy_event");
    expect_refusal(
        "{\"type\":\"record\",\"name\":\"deploy_event\",\"fields\":[{\"name\":\"event\",\"type\":\"string\"}]}",
        "deploy_event.deploy_id: the writer's schema has no such field");
    expect_refusal(
        "{\"type\":\"record\",\"name\":\"deploy_event\",\"fields\":[{\"name\":\"deploy_id\",\"type\":\"long\"}]}",
        "deploy_event.deploy_id: the writer's type does not fit");
    expect_refusal(
        "{\"type\":\"record\",\"name\":\"deploy_event\",\"fields\":[{\"name\":\"event\",\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"begin\"]}}]}",
        "does not fit");
    expect_refusal(
        "{\"type\":\"record\",\"name\":\"deploy_event\",\"fields\":[{\"name\":\"later\",\"type\":[\"null\",\"deploy_event\"]}]}",
        "nested more than");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_old_reader_skips_what_is_new),
        cmocka_unit_test(a_new_reader_has_defaults_for_what_is_old),
        cmocka_unit_test(a_union_may_grow),
        cmocka_unit_test(a_schema_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
