/* What the filter of ids promises. */
#include "coordinator/view_seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { JOBS = 20000, WRONG_MAX = JOBS / 1000 };

static void id_of(const char *kind, int number, unsigned char out[UUID_BYTES])
{
    char digits[16], text[UUID_TEXT];
    const char *parts[] = {kind, digits, NULL};

    snprintf(digits, sizeof digits, "%d", number);
    uuid_derive(text, parts);
    assert_true(uuid_parse(text, out));
}

static void who_was_added_is_known_and_hardly_anybody_else(void **state)
{
    struct view_seen *seen = calloc(1, sizeof *seen);
    unsigned char id[UUID_BYTES];
    int wrong = 0;

    (void)state;
    assert_non_null(seen);
    id_of("in", 0, id);
    assert_false(view_seen_maybe(seen, id));
    for (int i = 0; i < JOBS; i++) {
        id_of("in", i, id);
        view_seen_add(seen, id);
    }
    for (int i = 0; i < JOBS; i++) {
        id_of("in", i, id);
        assert_true(view_seen_maybe(seen, id));
        id_of("other", i, id);
        wrong += view_seen_maybe(seen, id);
    }
    assert_true(wrong < WRONG_MAX);
    free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_was_added_is_known_and_hardly_anybody_else)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
