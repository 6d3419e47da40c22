/* When the view lets the broker gather records, and when it wants each at once. */
#include "coordinator/view_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { START_MS = 1000000, SECOND_MS = 1000 };

/* One second in which `count` records come. */
static bool second(struct view_pace *pace, int64_t *now_ms, int count)
{
    bool changed = view_pace_note(pace, *now_ms, count);

    *now_ms += SECOND_MS;
    return changed || view_pace_note(pace, *now_ms, 0);
}

static void a_quiet_fleet_is_heard_at_once(void **state)
{
    struct view_pace pace = {0};
    int64_t now_ms = START_MS;

    (void)state;
    view_pace_note(&pace, now_ms, 0);
    for (int i = 0; i < 20; i++)
        assert_false(second(&pace, &now_ms, 100));
    assert_false(pace.gathers);
}

static void many_records_are_gathered_until_it_has_been_quiet_for_a_while(void **state)
{
    struct view_pace pace = {0};
    int64_t now_ms = START_MS;

    (void)state;
    view_pace_note(&pace, now_ms, 0);
    assert_true(second(&pace, &now_ms, 5000));
    assert_true(pace.gathers);
    for (int i = 0; i < 4; i++)
        assert_false(second(&pace, &now_ms, 0));
    assert_false(second(&pace, &now_ms, 500)); /* neither many nor few: the count begins again */
    for (int i = 0; i < 4; i++)
        assert_false(second(&pace, &now_ms, 0));
    assert_true(second(&pace, &now_ms, 0));
    assert_false(pace.gathers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_fleet_is_heard_at_once),
        cmocka_unit_test(many_records_are_gathered_until_it_has_been_quiet_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
