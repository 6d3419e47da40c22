#include "base/err.h"
#include "base/text.h"
#include "fill_record.h"
#include "wire/schema_table.h"
#include "wire/wire.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { LIMIT = 1024 * 1024 };

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
    wire_free(NULL);
    return 0;
}

/* A copy, because the next call reuses the buffer; the exact size, so that ASan sees a byte read too far. */
static unsigned char *encode(const struct record_type *type, const void *record, size_t *len)
{
    const unsigned char *bytes;

    if (wire_encode(wire, type, record, &bytes, len, &err) < 0)
        fail_msg("%s", err.text);
    return memcpy(malloc(*len), bytes, *len);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILL_TYPES; i++) {
        for (unsigned seed = 0; seed < 24; seed++) {
            void *record = fill_new(fill_types[i], seed, seed % 4 != 3);
            void *back = calloc(1, fill_types[i]->size);
            size_t len;
            unsigned char *bytes = encode(fill_types[i], record, &len);
            if (wire_decode(wire, fill_types[i], bytes, len, LIMIT, back, &err) < 0)
                fail_msg("%s", err.text);
            char *before = fill_json(fill_types[i], record);
            char *after = fill_json(fill_types[i], back);
            assert_string_equal(before, after);
            free(before);
            free(after);
            free(bytes);
            record_free(fill_types[i], record);
            record_free(fill_types[i], back);
        }
    }
}

static void refused(const struct record_type *type, const void *data, size_t len, const char *problem)
{
    void *record = calloc(1, type->size);
    void *zero = calloc(1, type->size);

    assert_int_equal(wire_decode(wire, type, data, len, LIMIT, record, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    if (problem && !strstr(err.text, problem))
        fail_msg("\"%s\" does not say \"%s\"", err.text, problem);
    assert_memory_equal(record, zero, type->size);
    free(record);
    free(zero);
}

static void framing(void **state)
{
    struct audit audit = {0};
    size_t len;

    (void)state;
    fill_record(&audit_record, &audit, 1, true);
    unsigned char *bytes = encode(&audit_record, &audit, &len);
    assert_memory_equal(bytes, "\0\0\0\0\x08", 5);
    refused(&audit_record, NULL, 0, "not framed");
    refused(&audit_record, bytes, 4, "not framed");
    refused(&job_record, bytes, len, "is a audit");
    assert_int_equal(wire_decode(wire, &audit_record, bytes, len, len - 1, &audit, &err), -1);
    bytes[0] = 1;
    refused(&audit_record, bytes, len, "not framed");
    bytes[0] = 0;
    bytes[4] = 99;
    refused(&audit_record, bytes, len, "schema 99 is not known");
    bytes[1] = 0xff;
    refused(&audit_record, bytes, len, "is not known");
    free(bytes);
    audit_clear(&audit);
}

static void cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILL_TYPES; i++) {
        void *record = fill_new(fill_types[i], 2, true);
        size_t len;
        unsigned char *bytes = encode(fill_types[i], record, &len);
        for (size_t cut = 0; cut < len; cut++) {
            unsigned char *piece = memcpy(malloc(cut + 1), bytes, cut);
            refused(fill_types[i], piece, cut, NULL);
            free(piece);
        }
        bytes = realloc(bytes, len + 1);
        bytes[len] = 0;
        refused(fill_types[i], bytes, len + 1, "1 bytes too many");
        free(bytes);
        record_free(fill_types[i], record);
    }
}

/* Deterministic; whatever comes out must be readable or refused, never more. */
static void ten_thousand_mutations(void **state)
{
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 10000; round++) {
        const struct record_type *type = fill_types[(size_t)round % FILL_TYPES];
        void *record = fill_new(type, (unsigned)round % 30, round % 3 != 0);
        void *back = calloc(1, type->size), *peeked = calloc(1, type->size);
        size_t len;
        unsigned char *bytes = encode(type, record, &len);
        for (int changes = 1 + round % 4; changes > 0; changes--) {
            random = random * 1664525 + 1013904223;
            size_t at = 5 + (random >> 8) % (len - 5);
            bytes[at] = random & 1 ? (unsigned char)(random >> 24) : (unsigned char)(0xff << (random >> 29));
        }
        int result = wire_decode(wire, type, bytes, len, LIMIT, back, &err);
        if (result == 0)
            assert_int_equal(record_fit(type, back), 0); /* within every limit, and text */
        assert_int_equal(wire_peek(wire, type, bytes, len, LIMIT, peeked, &err), result);
        free(peeked);
        free(bytes);
        record_free(type, record);
        record_free(type, back);
    }
}

/* All of a kind of record that has no lists, and what is not in a list of one that has. */
static void a_peek_sees_what_is_no_list(void **state)
{
    struct job_finding finding = {.kind = (char *)"left"};
    struct job_result result = {.point = (char *)"p", .findings = {.items = &finding, .count = 1}};
    struct status status = {
        .job_id = (char *)"j", .host = (char *)"alpha", .target = {(char *)"null", (char *)"t", NULL}, .result = &result};
    struct status seen = {.job_id = (char *)"not freed, not read"};
    size_t len;

    (void)state;
    finding.path = (char *)"x";
    assert_int_equal(facts_set(&result.facts, "name", "n", &err), 0);
    unsigned char *bytes = encode(&status_record, &status, &len);
    for (int i = 0; i < 2; i++)
        assert_int_equal(wire_peek(wire, &status_record, bytes, len, LIMIT, &seen, &err), 0);
    free(bytes);
    assert_string_equal(seen.job_id, "j");
    assert_string_equal(seen.target.id, "t");
    assert_null(seen.target.name);
    assert_null(seen.error);
    assert_string_equal(seen.result->point, "p");
    assert_int_equal(seen.result->findings.count, 0);
    assert_int_equal(seen.result->facts.count, 0);
    facts_clear(&result.facts);
}

/* A record of `type` as far as its first field, which is text, and then a claim. */
static void bomb(const struct record_type *type, uint32_t id, const char *claim, size_t claim_len, const char *problem)
{
    unsigned char bytes[64] = {0, 0, 0, 0, (unsigned char)id};
    struct mallinfo2 before = mallinfo2();

    memcpy(bytes + 5, claim, claim_len);
    for (int i = 0; i < 100; i++)
        refused(type, bytes, 5 + claim_len, problem);
    struct mallinfo2 after = mallinfo2();
    assert_true(after.uordblks + after.hblkhd <= before.uordblks + before.hblkhd + 4096);
}

static void a_lying_length_allocates_nothing(void **state)
{
    (void)state;
    /* job_id of 50 MB, of 2^62, of -1, of 37 bytes that are not there; then 10 bytes that are no number */
    bomb(&job_record, 1, "\x80\xc2\xd7\x2f", 4, "job_id: longer than what is left");
    bomb(&job_record, 1, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 10, "job_id: longer than what is left");
    bomb(&job_record, 1, "\x01", 1, "job_id: longer than what is left");
    bomb(&job_record, 1, "\x4a", 1, "job_id: longer than what is left");
    bomb(&job_record, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10, "job_id: not a number");
    bomb(&job_record, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, "job_id: not a number");
}

static void put_long(struct text *out, int64_t value)
{
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);

    for (; bits >= 0x80; bits >>= 7)
        text_add_len(out, (const char[]){(char)(bits | 0x80)}, 1);
    text_add_len(out, (const char[]){(char)bits}, 1);
}

static void put_text(struct text *out, const char *text)
{
    put_long(out, (int64_t)strlen(text));
    text_add(out, text);
}

/* A job up to the list of disks of its snapshot_create (branch 1). */
static void put_job_to_disks(struct text *out)
{
    text_add_len(out, "\0\0\0\0\1", 5);
    put_text(out, "id");
    put_text(out, "snapshot.create");
    put_text(out, "libvirt");
    put_text(out, "x");
    put_long(out, 0);
    put_text(out, "host");
    put_long(out, 1);
    put_long(out, 0);
    put_long(out, 0);
    put_text(out, "auto");
    put_text(out, "no");
    put_text(out, "prefer");
    put_long(out, 0);
}

static void items(int64_t count, int64_t size, bool with_size, size_t padding, const char *problem)
{
    struct text text = {0};

    put_job_to_disks(&text);
    put_long(&text, count);
    if (with_size)
        put_long(&text, size);
    for (size_t i = 0; i < padding; i++)
        text_add_len(&text, "\2a\0\0\0", 5); /* a disk "a" with nothing else */
    refused(&job_record, text_str(&text), text.len, problem);
    text_free(&text);
}

static void a_lying_count_is_refused(void **state)
{
    (void)state;
    items(1000000000, 0, false, 10, "disks: more items than the message has bytes");
    items(INT64_MAX, 0, false, 10, "disks: more items");
    items(INT64_MIN, 0, true, 10, "disks: not a number of items");
    items(-1000000000, 5, true, 10, "disks: more items");
    items(257, 0, false, 300, "disks: more than 256 items");
    items(1, 0, false, 0, "disks: more items");
}

static void many_small_blocks_count_together(void **state)
{
    struct text text = {0};

    (void)state;
    put_job_to_disks(&text);
    for (int i = 0; i < 300; i++) {
        put_long(&text, -1); /* a block of one, with its size */
        put_long(&text, 5);
        text_add_len(&text, "\2a\0\0\0", 5);
    }
    refused(&job_record, text_str(&text), text.len, "disks: more than 256 items");
    text_free(&text);
}

static void text_must_be_text(void **state)
{
    static const struct {
        const char *id, *problem;
        size_t len;
    } cases[] = {{"a\0b", "has a NUL", 3},
                 {"\xff\xfe", "is not UTF-8", 2},
                 {"\xc3", "is not UTF-8", 1},
                 {"0123456789012345678901234567890123456", "longer than 36 bytes", 37}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text text = {0};
        text_add_len(&text, "\0\0\0\0\1", 5);
        put_long(&text, (int64_t)cases[i].len);
        text_add_len(&text, cases[i].id, cases[i].len);
        for (int j = 0; j < 100; j++)
            text_add_len(&text, "\0", 1);
        refused(&job_record, text_str(&text), text.len, cases[i].problem);
        text_free(&text);
    }
}

static void names_are_on_the_list(void **state)
{
    static const char *const names[] = {"snapshot.destroy", "", "SNAPSHOT.CREATE", "snapshot.create ",
                                        "a name that is far longer than any name in any list could ever be, really"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct text text = {0};
        text_add_len(&text, "\0\0\0\0\1", 5);
        put_text(&text, "id");
        put_text(&text, names[i]);
        for (int j = 0; j < 100; j++)
            text_add_len(&text, "\0", 1);
        refused(&job_record, text_str(&text), text.len, "job: op: ");
        text_free(&text);
    }
}

static void parameters_must_be_those_of_the_operation(void **state)
{
    static const int64_t branches[] = {2, 11, -1, 0};

    (void)state;
    for (size_t i = 0; i < sizeof branches / sizeof *branches; i++) {
        struct text text = {0};
        text_add_len(&text, "\0\0\0\0\1", 5);
        put_text(&text, "id");
        put_text(&text, "snapshot.create");
        put_text(&text, "libvirt");
        put_text(&text, "x");
        put_long(&text, 0);
        put_text(&text, "host");
        put_long(&text, branches[i]);
        for (int j = 0; j < 100; j++)
            text_add_len(&text, "\0", 1);
        refused(&job_record, text_str(&text), text.len,
                branches[i] == 11 || branches[i] < 0 ? "params: a branch that" : "params: the parameters of another");
        text_free(&text);
    }
}

static void what_cannot_be_read_is_not_written(void **state)
{
    const unsigned char *bytes;
    struct audit audit = {0};
    struct job job = {0};
    char long_text[300];
    size_t len;

    (void)state;
    assert_int_equal(wire_encode(wire, &audit_record, &audit, &bytes, &len, &err), -1);
    assert_string_equal(err.text, "audit: who: is missing, or has no place in the schema");
    fill_record(&audit_record, &audit, 1, true);
    string_set(&audit.who, "\xff", NULL);
    assert_int_equal(wire_encode(wire, &audit_record, &audit, &bytes, &len, &err), -1);
    assert_string_equal(err.text, "audit: who: is not UTF-8");
    memset(long_text, 'x', sizeof long_text);
    long_text[257] = '\0';
    string_set(&audit.who, long_text, NULL);
    assert_int_equal(wire_encode(wire, &audit_record, &audit, &bytes, &len, &err), -1);
    assert_string_equal(err.text, "audit: who: longer than 256 bytes");
    assert_int_equal(record_fit(&audit_record, &audit), 1);
    assert_int_equal(wire_encode(wire, &audit_record, &audit, &bytes, &len, &err), 0);
    audit_clear(&audit);

    fill_record(&job_record, &job, 1, true);
    int op = job.op;
    job.op = 99;
    assert_int_equal(wire_encode(wire, &job_record, &job, &bytes, &len, &err), -1);
    assert_string_equal(err.text, "job: op: is out of range");
    job.op = op;
    job_clear(&job);
    assert_int_equal(wire_encode(wire, &target_record, &job.target, &bytes, &len, &err), -1);
    assert_string_equal(err.text, "target: has no schema of its own");
}

static void memory_does_not_grow_with_use(void **state)
{
    void *record = fill_new(&status_record, 4, true);
    struct mallinfo2 before = {0};
    size_t len;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct status back = {0};
        unsigned char *bytes = encode(&status_record, record, &len);
        assert_int_equal(wire_decode(wire, &status_record, bytes, len, LIMIT, &back, &err), 0);
        free(bytes);
        status_clear(&back);
        if (i == 1000)
            before = mallinfo2();
    }
    assert_true(mallinfo2().uordblks <= before.uordblks + 4096);
    record_free(&status_record, record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(framing),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(ten_thousand_mutations),
        cmocka_unit_test(a_peek_sees_what_is_no_list),
        cmocka_unit_test(a_lying_length_allocates_nothing),
        cmocka_unit_test(a_lying_count_is_refused),
        cmocka_unit_test(many_small_blocks_count_together),
        cmocka_unit_test(text_must_be_text),
        cmocka_unit_test(names_are_on_the_list),
        cmocka_unit_test(parameters_must_be_those_of_the_operation),
        cmocka_unit_test(what_cannot_be_read_is_not_written),
        cmocka_unit_test(memory_does_not_grow_with_use),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
