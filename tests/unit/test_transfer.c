/* What an import accepts, and what the epoch becomes. */
#include "coordinator/transfer.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int read_one(const char *text, struct ledger_entry **out, struct err *err)
{
    json_t *records = json_loads(text, 0, NULL);

    assert_non_null(records);
    int result = transfer_read(records, 0, out, err);
    json_decref(records);
    return result;
}

#define HEAD "\"term\":1,\"n\":2,\"at\":\"2026-11-20T02:14:00Z\""

static void what_was_exported_is_read(void **state)
{
    static const char *const good[] = {
        "[{\"kind\":\"host\",\"id\":\"alpha\"," HEAD
        ",\"host\":{\"state\":\"enrolled\",\"since\":\"2026-11-20T02:14:00Z\"}}]",
        "[{\"kind\":\"key\",\"id\":\"alpha/2\"," HEAD
        ",\"key\":{\"host\":\"alpha\",\"generation\":2,\"created_at\":\"2026-11-20T02:14:00Z\"}}]",
        "[{\"kind\":\"token\",\"id\":\"bot\"," HEAD
        ",\"token\":{\"name\":\"bot\",\"hash\":\"abc\",\"role\":\"viewer\",\"classes\":\"A\",\"created_at\":\"2026-11-20T02:14:00Z\"}}]",
        "[{\"kind\":\"default\",\"id\":\"*\"," HEAD ",\"values\":{\"repository\":\"main\"}}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct ledger_entry *entry = NULL;
        struct err err = {0};
        if (read_one(good[i], &entry, &err) < 0)
            fail_msg("%s", err.text);
        ledger_entry_free(entry);
    }
}

static void what_is_no_record_of_an_export_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"[7]", "records[0]"},
        {"[{\"kind\":\"host\"}]", "records[0]"},
        {"[{\"kind\":\"host\",\"id\":\"alpha\"," HEAD "}]", "says nothing of its host"},
        {"[{\"kind\":\"host\",\"id\":\"alpha\"," HEAD ",\"gone\":true,\"host\":{\"state\":\"enrolled\"}}]",
         "not taken in"},
        {"[{\"kind\":\"epoch\",\"id\":\"redis\"," HEAD ",\"epoch\":9}]", "not taken in"},
        {"[{\"kind\":\"term\",\"id\":\"x\"," HEAD ",\"nonce\":\"x\"}]", "not taken in"},
        {"[{\"kind\":\"hold\",\"id\":\"all\"," HEAD "}]", "says nothing of its hold"},
        {"[{\"kind\":\"hold\",\"id\":\"all\"," HEAD ",\"colour\":1}]", "colour"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ledger_entry *entry = NULL;
        struct err err = {0};
        assert_int_equal(read_one(cases[i].text, &entry, &err), -1);
        assert_null(entry);
        assert_int_equal(err.kind, ERR_PERMANENT);
        if (!strstr(err.text, cases[i].why))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].why);
    }
}

static int64_t epoch(int64_t known, const char *known_run, int64_t said, const char *said_run)
{
    const struct transfer_epoch one = {known, known_run}, other = {said, said_run};

    return transfer_epoch_of(&one, &other);
}

/* Redis may have lost its memory between the export and the loss; and an import may be done again. */
static void the_epoch_rises_once(void **state)
{
    (void)state;
    assert_true(epoch(1, "b", 7, "a") > 7 + 1000);
    assert_int_equal(epoch(epoch(1, "b", 7, "a"), "imported", 7, "a"), 0);
    assert_int_equal(epoch(epoch(1, "b", 7, "a") + 1, "b", 7, "a"), 0); /* the keeper has raised it since */
    assert_int_equal(epoch(7, "a", 7, "a"), 0);                         /* nothing was lost */
    assert_true(epoch(7, "b", 7, "a") >
                7); /* another ledger that has come as far by itself: its tokens would come again */
    assert_true(epoch(9, "b", 7, "a") > 9);
    assert_int_equal(epoch(3, "b", 0, NULL), 0);
    assert_true(epoch(7, "", 7, NULL) > 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_exported_is_read),
        cmocka_unit_test(what_is_no_record_of_an_export_is_refused),
        cmocka_unit_test(the_epoch_rises_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
