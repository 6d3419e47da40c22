/* The proof of the audit log: what is taken out, added or changed is seen. */
#include "base/err.h"
#include "coordinator/cli/audit_log.h"
#include "crypto/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { RECORDS = 5 };

static char values[RECORDS + 1][16]; /* stand for the bytes of record 1 … */
static char hashes[RECORDS + 1][65];

static int make(void **state)
{
    (void)state;
    for (int i = 1; i <= RECORDS; i++) {
        snprintf(values[i], sizeof values[i], "record %d", i);
        digest_bytes(values[i], strlen(values[i]), hashes[i]);
    }
    return 0;
}

static int next(struct audit_proof *proof, int seq, const char *value, int64_t term)
{
    struct audit record = {.seq = seq, .previous = seq > 1 ? hashes[seq - 1] : NULL};
    struct err err = {0};
    int result = audit_prove(proof, &record, value, strlen(value), term, &err);

    assert_int_equal(err.kind, result < 0 ? ERR_CONFLICT : ERR_NONE);
    return result;
}

static void a_whole_chain_is_proven(void **state)
{
    struct audit_proof proof = {0};

    (void)state;
    for (int i = 2; i <= RECORDS; i++) /* the first has expired */
        assert_int_equal(next(&proof, i, values[i], 1), 0);
    assert_int_equal(proof.records, RECORDS - 1);
    assert_int_equal(proof.first_seq, 2);
    assert_int_equal(proof.last_seq, RECORDS);
}

static void a_record_taken_out_is_missed_once(void **state)
{
    struct audit_proof proof = {0};

    (void)state;
    assert_int_equal(next(&proof, 1, values[1], 1), 0);
    assert_int_equal(next(&proof, 3, values[3], 1), -1);
    assert_int_equal(next(&proof, 4, values[4], 1), 0);
}

static void a_record_said_twice_is_one_too_many(void **state)
{
    struct audit_proof proof = {0};

    (void)state;
    assert_int_equal(next(&proof, 1, values[1], 1), 0);
    assert_int_equal(next(&proof, 1, values[1], 1), -1);
    assert_int_equal(next(&proof, 2, values[2], 1), 0);
}

static void a_changed_record_is_seen_by_its_successor(void **state)
{
    struct audit_proof proof = {0};

    (void)state;
    assert_int_equal(next(&proof, 1, values[1], 1), 0);
    assert_int_equal(next(&proof, 2, "another", 1), 0);
    assert_int_equal(next(&proof, 3, values[3], 1), -1);
}

static void an_overtaken_leader_is_no_part_of_it(void **state)
{
    struct audit_proof proof = {0};

    (void)state;
    assert_int_equal(next(&proof, 1, values[1], 1), 0);
    assert_int_equal(next(&proof, 2, values[2], 2), 0);
    assert_int_equal(next(&proof, 2, "late", 1), 0);
    assert_int_equal(next(&proof, 3, values[3], 2), 0);
    assert_int_equal(proof.overtaken, 1);
    assert_int_equal(proof.records, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_chain_is_proven),
        cmocka_unit_test(a_record_taken_out_is_missed_once),
        cmocka_unit_test(a_record_said_twice_is_one_too_many),
        cmocka_unit_test(a_changed_record_is_seen_by_its_successor),
        cmocka_unit_test(an_overtaken_leader_is_no_part_of_it),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
