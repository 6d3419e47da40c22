#include "base/err.h"
#include "base/text.h"
#include "fill_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct err err;

static void copies_are_equal_and_independent(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILL_TYPES; i++) {
        for (unsigned seed = 0; seed < 12; seed++) {
            void *copy = NULL;
            void *record = fill_new(fill_types[i], seed, seed % 4 != 3);
            char *before = fill_json(fill_types[i], record);
            assert_int_equal(record_clone(fill_types[i], &copy, record, &err), 0);
            record_free(fill_types[i], record);
            char *after = fill_json(fill_types[i], copy);
            assert_non_null(before);
            assert_string_equal(before, after);
            record_free(fill_types[i], copy);
            free(before);
            free(after);
        }
    }
}

static void cleared_is_zeroed_and_may_be_cleared_again(void **state)
{
    struct job job = {0};
    struct job zero = {0};

    (void)state;
    fill_record(&job_record, &job, 3, true);
    job_clear(&job);
    assert_memory_equal(&job, &zero, sizeof job);
    job_clear(&job);
    job_free(NULL);
}

static void json_goes_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILL_TYPES; i++) {
        for (unsigned seed = 0; seed < 12; seed++) {
            void *record = fill_new(fill_types[i], seed, seed % 4 != 3);
            void *back = calloc(1, fill_types[i]->size);
            char *text = fill_json(fill_types[i], record);
            assert_int_equal(record_from_json(fill_types[i], back, text, strlen(text), &err), 0);
            char *again = fill_json(fill_types[i], back);
            assert_string_equal(text, again);
            free(text);
            free(again);
            record_free(fill_types[i], record);
            record_free(fill_types[i], back);
        }
    }
}

#define START \
    "{\"job_id\":\"j\",\"op\":\"snapshot.create\",\"target\":{\"kind\":\"k\",\"id\":\"i\"},\"host\":\"h\",\"issued_at\":null,\"deadline\":\"2026-11-20T14:02:03Z\","

static void from_json(const char *text, const char *problem)
{
    struct job zero = {0};
    struct job job = {0};

    assert_int_equal(record_from_json(&job_record, &job, text, strlen(text), &err), problem ? -1 : 0);
    if (problem) {
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_string_equal(err.text, problem);
        assert_memory_equal(&job, &zero, sizeof job);
    }
    job_clear(&job);
}

static void errors_name_the_field(void **state)
{
    (void)state;
    from_json(START "\"params\":{\"disks\":[{\"name\":\"vda\"},{\"name\":\"vdb\",\"mode\":5}]}}",
              "params.disks[1].mode: must be text");
    from_json(START "\"params\":{\"disks\":[{\"mode\":\"no\"}]}}", "params.disks[0].name: is missing");
    from_json(START "\"params\":{\"disks\":{}}}", "params.disks: must be a list");
    from_json(START "\"params\":{\"disks\":[1]}}", "params.disks[0]: must be an object");
    from_json(START "\"params\":{\"kind\":\"both\"}}", "params.kind: must be one of auto, internal, external");
    from_json(START "\"params\":{\"halt\":\"yes\"}}", "params.halt: must be true or false");
    from_json(START "\"params\":{\"ttl_ms\":1.5}}", "params.ttl_ms: must be a whole number");
    from_json(START "\"params\":{\"colour\":1}}", "params.colour: is unknown");
    from_json(START "\"params\":{}, \"x\":1}", "x: is unknown");
    from_json(START "\"dry_run\":true}", "params: is missing");
    from_json(START "\"params\":null}", "params: is missing");
    from_json(START "\"params\":{},\"not_before\":\"2026-11-20\"}",
              "not_before: must be a time like 2026-11-20T14:02:03Z");
    from_json(START "\"params\":{},\"not_before\":5}", "not_before: must be a time like 2026-11-20T14:02:03Z");
    from_json(START "\"params\":{},\"expect\":{\"disks\":[\"a\",2]}}", "expect.disks[1]: must be text");
    from_json("{\"job_id\":\"0123456789012345678901234567890123456\"}", "job_id: is longer than 36 bytes");
    from_json("[]", "must be an object");
    from_json("{", "not JSON: line 1, column 1: string or '}' expected near end of file");
    from_json("{\"job_id\":\"a\",\"job_id\":\"b\"}",
              "not JSON: line 1, column 22: duplicate object key near '\"job_id\"'");
    from_json("{\"job_id\":\"a\\u0000b\"}",
              "not JSON: line 1, column 20: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"a\\u0000b\"'");
    from_json(START "\"params\":{}}", NULL);
}

static void params_need_an_operation(void **state)
{
    static const char text[] =
        "{\"job_id\":\"j\",\"op\":\"none\",\"target\":{\"kind\":\"k\",\"id\":\"i\"},\"host\":\"h\",\"issued_at\":null,\"deadline\":null,\"params\":{}}";

    (void)state;
    from_json(text, "params: belongs to no operation");
}

static void defaults_are_applied(void **state)
{
    static const char text[] = START "\"params\":{}}";
    struct job job = {0};

    (void)state;
    assert_int_equal(record_from_json(&job_record, &job, text, strlen(text), &err), 0);
    assert_int_equal(job.priority, 5);
    assert_int_equal(job.max_attempts, 5);
    assert_true(((struct params_snapshot_create *)job.params)->atomic);
    assert_int_equal(job.deadline_ms, 1795183323000);
    assert_int_equal(job.issued_at_ms, 0);
    job_clear(&job);
}

static void lenient_ignores_only_what_is_unknown(void **state)
{
    static const char newer[] = START "\"params\":{\"later\":[1]},\"later\":{\"a\":1}}";
    static const char wrong[] = START "\"params\":{\"halt\":1}}";
    struct job job = {0};

    (void)state;
    assert_int_equal(record_from_json_lenient(&job_record, &job, newer, strlen(newer), &err), 0);
    job_clear(&job);
    assert_int_equal(record_from_json_lenient(&job_record, &job, wrong, strlen(wrong), &err), -1);
}

static void limits_hold_in_json(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, START "\"params\":{\"disks\":[");
    for (int i = 0; i < 257; i++)
        text_addf(&text, "%s{\"name\":\"vd%d\"}", i ? "," : "", i);
    text_add(&text, "]}}");
    from_json(text_str(&text), "params.disks: has more than 256 entries");
    text_clear(&text);
    text_add(&text, START "\"params\":{},\"expect\":{\"disks\":[\"");
    for (int i = 0; i < 4097; i++)
        text_add(&text, "x");
    text_add(&text, "\"]}}");
    from_json(text_str(&text), "expect.disks[0]: is longer than 4096 bytes");
    text_free(&text);
}

static void bytes_are_base64(void **state)
{
    static const char good[] =
        "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"at\":null,\"reason\":\"r\",\"by\":\"b\",\"key\":\"AP+A\",\"value\":\"\"}";
    static const char bad[] =
        "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"at\":null,\"reason\":\"r\",\"by\":\"b\",\"key\":\"AP+\"}";
    struct dead_letter letter = {0};

    (void)state;
    assert_int_equal(record_from_json(&dead_letter_record, &letter, good, strlen(good), &err), 0);
    assert_int_equal(letter.key.len, 3);
    assert_memory_equal(letter.key.data, "\0\xff\x80", 3);
    assert_non_null(letter.value.data);
    assert_int_equal(letter.value.len, 0);
    dead_letter_clear(&letter);
    assert_int_equal(record_from_json(&dead_letter_record, &letter, bad, strlen(bad), &err), -1);
    assert_string_equal(err.text, "key: must be base64");
}

static void what_is_not_text_is_not_json(void **state)
{
    struct audit audit = {0};
    char *text;

    (void)state;
    string_set(&audit.who, "\xff", NULL);
    assert_int_equal(record_to_json(&audit_record, &audit, false, &text, &err), -1);
    audit_clear(&audit);
}

static void lists_of_text_grow_and_are_searched(void **state)
{
    struct strings strings = {0};
    char item[16];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(item, sizeof item, "%d", i);
        assert_int_equal(strings_add(&strings, item, &err), 0);
    }
    assert_true(strings_have(&strings, "999"));
    assert_false(strings_have(&strings, "1000"));
    strings_clear(&strings);
    assert_int_equal(strings.count, 0);
}

static void whatever_it_holds_can_be_made_to_fit(void **state)
{
    struct status status = {0};
    char *json;

    (void)state;
    fill_record(&status_record, &status, 1, true);
    assert_int_equal(record_fit(&status_record, &status), 0);

    char *note = calloc(1, 9001);
    for (int i = 0; i < 3000; i++)
        memcpy(note + 3 * i, "€", 3);
    note[0] = '\x80';
    free(status.note);
    status.note = note;
    for (int i = 0; i < 1100; i++)
        strings_add(&status.result->lost, "sentence", NULL);
    facts_set(&status.result->facts, "a\xc3", "dropped", NULL);
    facts_set(&status.result->facts, "b", "bad \xe2\x82 here", NULL);
    assert_int_equal(record_fit(&status_record, &status), 4);
    assert_true(strlen(status.note) <= 4096 && strlen(status.note) > 4090);
    assert_string_equal(status.note + strlen(status.note) - 6, "€…");
    assert_memory_equal(status.note, "???€", 6);
    assert_int_equal(status.result->lost.count, 1024);
    assert_string_equal(facts_get(&status.result->facts, "b"), "bad ?? here");
    assert_null(facts_get(&status.result->facts, "a\xc3"));
    assert_int_equal(record_to_json(&status_record, &status, false, &json, &err), 0);
    free(json);
    assert_int_equal(record_fit(&status_record, &status), 0);
    status_clear(&status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_equal_and_independent),
        cmocka_unit_test(cleared_is_zeroed_and_may_be_cleared_again),
        cmocka_unit_test(json_goes_both_ways),
        cmocka_unit_test(errors_name_the_field),
        cmocka_unit_test(params_need_an_operation),
        cmocka_unit_test(defaults_are_applied),
        cmocka_unit_test(lenient_ignores_only_what_is_unknown),
        cmocka_unit_test(limits_hold_in_json),
        cmocka_unit_test(bytes_are_base64),
        cmocka_unit_test(what_is_not_text_is_not_json),
        cmocka_unit_test(lists_of_text_grow_and_are_searched),
        cmocka_unit_test(whatever_it_holds_can_be_made_to_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
