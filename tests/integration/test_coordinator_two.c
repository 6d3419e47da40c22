/*
 * More than one coordinator, a broker that goes, a view that is deleted: one leads, one that was overtaken publishes nothing, nothing is lost, and the view is what the topics
 * say.
 */
#include "integration/support/coordinator_rig.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_MS = 60000, LOAD = 40 };

static int set_up(void **state)
{
    *state = rig_open("alpha");
    return 0;
}

static int tear_down(void **state)
{
    rig_close(*state);
    return 0;
}

static int64_t term_if_leading(struct rig_coordinator *coordinator)
{
    json_t *state = rig_ask(coordinator, "state");

    assert_non_null(state);
    int64_t term = json_is_true(json_object_get(state, "leading")) ? json_integer_value(json_object_get(state, "term"))
                                                                   : 0;
    json_decref(state);
    return term;
}

static void submit(struct rig_coordinator *coordinator, const char *key, char out[40])
{
    json_t *answer = rig_insist(coordinator, PATIENCE_MS, "submit alpha t1 %s", key);

    snprintf(out, 40, "%s", json_string_value(json_object_get(answer, "job_id")));
    json_decref(answer);
}

static void stack(const char *server, const char *what)
{
    char command[1024];

    snprintf(command, sizeof command, "%s/tests/stack/stack %s %s %s >/dev/null", SOURCE_DIR, server, what,
             getenv("FLEETSNAP_STACK"));
    if (system(command) != 0)
        fail_msg("%s", command);
}

/* Nobody renews the hint when they start, so both stand with the same number. */
static void of_candidates_that_start_at_once_one_leads(void **state)
{
    enum { CANDIDATES = 3 };
    struct rig *rig = *state;
    struct rig_coordinator *all[CANDIDATES];
    static const char *const names[CANDIDATES] = {"c1", "c2", "c3"};
    int64_t began = clock_monotonic_ms(), seen_ms = 0;
    char id[40];
    int leader = -1;

    for (int i = 0; i < CANDIDATES; i++)
        all[i] = coordinator_rig_start(rig, names[i], NULL, NULL);
    while (!seen_ms || clock_monotonic_ms() < seen_ms + 6000) {
        int leading = 0;
        for (int i = 0; i < CANDIDATES; i++) {
            bool leads = term_if_leading(all[i]) > 0;
            leading += leads;
            if (leads && leader >= 0 && leader != i)
                fail_msg("%s led, and now %s does", names[leader], names[i]);
            leader = leads ? i : leader;
        }
        assert_true(leading <= 1);
        if (leading && !seen_ms)
            seen_ms = clock_monotonic_ms();
        assert_true(clock_monotonic_ms() < began + PATIENCE_MS);
        poll(NULL, 0, 50);
    }
    json_decref(rig_insist(all[leader], 10000, "enroll alpha"));
    submit(all[leader], "-", id);
    rig_wait_job(rig, id, 60000);
    for (int i = 0; i < CANDIDATES; i++)
        rig_wait_state(all[i], id, "PUBLISHED", 15000, NULL); /* the others follow */
    for (int i = 0; i < CANDIDATES; i++)
        coordinator_rig_stop(all[i], 0);
}

/* It stands still, as in a long pause of its machine; when it goes on it has something to publish, and believes for a moment that it leads. */
static void a_leader_that_was_overtaken_publishes_nothing(void **state)
{
    struct rig *rig = *state;
    struct rig_coordinator *old = coordinator_rig_start(rig, "c1", NULL, NULL), *new;
    char before[40], after[40];

    rig_wait_leading(old, 60000);
    json_decref(rig_insist(old, 10000, "enroll alpha"));
    submit(old, "-", before);
    rig_wait_job(rig, before, 60000);
    new = coordinator_rig_start(rig, "c2", NULL, NULL);
    rig_wait_state(new, before, "PUBLISHED", 15000, NULL);
    kill(rig_pid(old), SIGSTOP);
    rig_wait_leading(new, 60000);
    submit(new, "-", after);
    rig_wait_job(rig, after, 60000);
    kill(rig_pid(old), SIGCONT);
    json_t *refused = rig_ask(old, "submit alpha t2 ghost"); /* the first thing that it hears */
    assert_false(json_is_true(json_object_get(refused, "ok")));
    json_decref(refused);
    for (int64_t until = clock_monotonic_ms() + PATIENCE_MS; term_if_leading(old) != 0; poll(NULL, 0, 50))
        assert_true(clock_monotonic_ms() < until); /* it reads the higher TERM, and steps down */
    rig_read_jobs(rig, 2000);
    assert_int_equal(rig_copies(rig, before), 1);
    assert_int_equal(rig_copies(rig, after), 1);
    assert_int_equal(rig_total(rig), 2); /* and no ghost */
    assert_true(term_if_leading(new) > 0);
    rig_wait_state(old, after, "PUBLISHED", 15000, NULL); /* it follows */
    coordinator_rig_stop(new, 0);
    coordinator_rig_stop(old, 0);
}

static void a_broker_restart_under_load_loses_and_doubles_nothing(void **state)
{
    struct rig *rig = *state;
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    char ids[LOAD][40], key[32];

    rig_wait_leading(coordinator, 60000);
    json_decref(rig_insist(coordinator, 10000, "enroll alpha"));
    for (int i = 0; i < LOAD; i++) {
        if (i == LOAD / 2)
            stack("kafka", "restart");
        snprintf(key, sizeof key, "load-%d", i);
        submit(coordinator, key, ids[i]);
    }
    for (int i = 0; i < LOAD; i++) {
        rig_wait_job(rig, ids[i], PATIENCE_MS);
        assert_true(rig_copies_agree(rig, ids[i]));
    }
    for (int i = 0; i < LOAD; i++)
        rig_wait_state(coordinator, ids[i], "PUBLISHED", PATIENCE_MS, NULL);
    coordinator_rig_stop(coordinator, 0);
}

static char *everything(struct rig_coordinator *coordinator, const char *const ids[], int count)
{
    json_t *all = json_array();

    for (int i = 0; i < count; i++) {
        json_t *answer = rig_insist(coordinator, 10000, "view job %s", ids[i]);
        json_array_append(all, json_object_get(answer, "view"));
        json_decref(answer);
    }
    char *text = json_dumps(all, JSON_SORT_KEYS | JSON_INDENT(1));
    json_decref(all);
    return text;
}

static void a_view_that_was_deleted_is_rebuilt_the_same(void **state)
{
    struct rig *rig = *state;
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    static const int ends[] = {STATE_SUCCEEDED, STATE_FAILED, STATE_CANCELLED, STATE_RUNNING, STATE_PARKED};
    enum { COUNT = sizeof ends / sizeof *ends };
    char ids[COUNT][40], command[400];
    const char *list[COUNT];

    rig_wait_leading(coordinator, 60000);
    json_decref(rig_insist(coordinator, 10000, "enroll alpha"));
    for (int i = 0; i < COUNT; i++) {
        submit(coordinator, "-", ids[i]);
        list[i] = ids[i];
        rig_wait_job(rig, ids[i], 60000);
        rig_say(rig, ids[i], &(struct rig_say){.state = STATE_ACCEPTED, .seq = 10});
        rig_say(rig, ids[i], &(struct rig_say){.state = ends[i], .seq = 11});
        rig_wait_state(coordinator, ids[i], job_state_names[ends[i]], 15000, NULL);
    }
    poll(NULL, 0, 1500); /* the ends are in the ledger too, and the leader's last event was read */
    char *before = everything(coordinator, list, COUNT);
    coordinator_rig_stop(coordinator, 0);
    snprintf(command, sizeof command, "rm %s/c1/view.db*", rig_directory(rig));
    assert_int_equal(system(command), 0);
    coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    rig_wait_leading(coordinator, 60000);
    for (int i = 0; i < COUNT; i++)
        rig_wait_state(coordinator, ids[i], job_state_names[ends[i]], 15000, NULL);
    poll(NULL, 0, 1500);
    char *after = everything(coordinator, list, COUNT);
    assert_string_equal(before, after);
    free(before);
    free(after);
    coordinator_rig_stop(coordinator, 0);
}

int main(int argc, char **argv)
{
    rig_child(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(of_candidates_that_start_at_once_one_leads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_leader_that_was_overtaken_publishes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_broker_restart_under_load_loses_and_doubles_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_view_that_was_deleted_is_rebuilt_the_same, set_up, tear_down),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
