/* A job's way through the coordinator on real servers: submitted, published, answered; cancelled; refused; believed or not. */
#include "integration/support/coordinator_rig.h"

#include "base/err.h"
#include "redis/store.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void submit(struct rig_scene *scene, const char *key, char out[40])
{
    json_t *answer = rig_insist(scene->coordinator, 10000, "submit alpha t1 %s", key);

    snprintf(out, 40, "%s", json_string_value(json_object_get(answer, "job_id")));
    json_decref(answer);
}

static void a_job_is_published_and_its_end_recorded(void **state)
{
    struct rig_scene *scene = *state;
    char id[40];
    json_t *job = NULL;

    submit(scene, "-", id);
    rig_wait_job(scene->rig, id, 60000);
    rig_wait_state(scene->coordinator, id, "PUBLISHED", 10000, &job);
    assert_string_equal(json_string_value(json_object_get(job, "requested_by")), "tester");
    assert_string_equal(json_string_value(json_object_get(job, "op")), "noop");
    assert_int_equal(json_array_size(json_object_get(job, "events")), 1); /* published at once: PLANNED is not said */
    json_decref(job);
    rig_say(scene->rig, id, &(struct rig_say){.state = STATE_ACCEPTED, .seq = 100});
    rig_wait_state(scene->coordinator, id, "ACCEPTED", 10000, NULL);
    rig_say(scene->rig, id, &(struct rig_say){.state = STATE_RUNNING, .seq = 101});
    rig_say(scene->rig, id, &(struct rig_say){.state = STATE_SUCCEEDED, .seq = 102});
    rig_wait_state(scene->coordinator, id, "SUCCEEDED", 10000, NULL);
    for (int i = 0; i < 100; i++) {
        json_t *ledger = rig_ask(scene->coordinator, "ledger %s", id);
        const char *outcome = json_string_value(json_object_get(ledger, "outcome"));
        bool ended = outcome && strcmp(outcome, "SUCCEEDED") == 0;
        json_decref(ledger);
        if (ended)
            return;
        poll(NULL, 0, 50);
    }
    fail_msg("the ledger does not know the end");
}

static bool was_said(struct rig_scene *scene, const char *id, const char *state)
{
    json_t *answer = rig_ask(scene->coordinator, "view job %s", id), *event;
    bool said = false;
    size_t index;

    json_array_foreach(json_object_get(json_object_get(answer, "view"), "events"), index, event)
    {
        const char *name = json_string_value(json_object_get(event, "state"));
        said = said || (name && strcmp(name, state) == 0);
    }
    json_decref(answer);
    return said;
}

/* On a machine that is busy the host may be late, and then it is said: so there are more jobs than one. */
static void published_is_not_said_of_a_job_whose_host_speaks_at_once(void **state)
{
    struct rig_scene *scene = *state;
    char quick[40], silent[40];

    for (int i = 0; i < 10; i++) {
        submit(scene, "-", quick);
        rig_wait_job(scene->rig, quick, 60000);
        rig_say(scene->rig, quick, &(struct rig_say){.state = STATE_RUNNING, .seq = 100});
        rig_wait_state(scene->coordinator, quick, "RUNNING", 10000, NULL);
        submit(scene, "-", silent);
        rig_wait_job(scene->rig, silent, 60000);
        rig_wait_state(scene->coordinator, silent, "PUBLISHED", 10000,
                       NULL); /* and the earlier one's time is over, too */
        if (!was_said(scene, quick, "PUBLISHED"))
            return;
    }
    fail_msg("PUBLISHED is said of every job");
}

static void a_repeat_is_the_same_job_and_another_request_a_conflict(void **state)
{
    struct rig_scene *scene = *state;
    char id[40], again[40];

    submit(scene, "key-1", id);
    submit(scene, "key-1", again);
    assert_string_equal(id, again);
    json_t *other = rig_ask(scene->coordinator, "submit alpha t2 key-1");
    assert_string_equal(json_string_value(json_object_get(other, "kind")), "conflict");
    json_decref(other);
    rig_wait_job(scene->rig, id, 60000);
    rig_read_jobs(scene->rig, 500);
    assert_int_equal(rig_copies(scene->rig, id), 1);
}

static void what_does_not_verify_is_a_dead_letter_and_changes_nothing(void **state)
{
    struct rig_scene *scene = *state;
    char id[40];
    json_t *job = NULL;

    json_decref(rig_insist(scene->coordinator, 10000, "enroll beta"));
    submit(scene, "-", id);
    rig_wait_job(scene->rig, id, 60000);
    rig_say(scene->rig, id, &(struct rig_say){.state = STATE_SUCCEEDED, .seq = 1, .bad_mac = true});
    rig_say(scene->rig, id, &(struct rig_say){.state = STATE_SUCCEEDED, .seq = 2, .as_host = "beta"});
    rig_say(scene->rig, id, &(struct rig_say){.state = STATE_RUNNING, .seq = 3});
    rig_wait_state(scene->coordinator, id, "RUNNING", 10000, &job);
    json_decref(job);
    int letters = 0;
    for (int i = 0; i < 100 && letters < 2; i++) {
        json_t *answer = rig_ask(scene->coordinator, "view dlq"),
               *items = json_object_get(json_object_get(answer, "view"), "items"), *item;
        size_t index;
        letters = 0;
        json_array_foreach(items, index, item)
        {
            json_t *headers = json_object_get(item, "headers");
            const char *about = json_string_value(json_object_get(headers, "fs-job"));
            letters += about && strcmp(about, id) == 0;
        }
        json_decref(answer);
        poll(NULL, 0, 50);
    }
    assert_int_equal(letters, 2);
}

static void class_c_needs_a_heartbeat(void **state)
{
    struct rig_scene *scene = *state;
    json_t *answer = rig_ask(scene->coordinator, "destroy alpha t1 -");

    assert_non_null(strstr(json_string_value(json_object_get(answer, "error")), "heartbeat"));
    json_decref(answer);
    rig_heartbeat(scene->rig);
    json_decref(rig_insist(scene->coordinator, 10000, "destroy alpha t1 -"));
}

static void unknown_hosts_get_nothing(void **state)
{
    struct rig_scene *scene = *state;
    json_t *answer = rig_ask(scene->coordinator, "submit stranger t1 -");

    assert_string_equal(json_string_value(json_object_get(answer, "kind")), "permanent");
    json_decref(answer);
}

static void a_cancel_reaches_the_ticket(void **state)
{
    struct rig_scene *scene = *state;
    char id[40];
    bool flagged = false;

    submit(scene, "-", id);
    rig_wait_job(scene->rig, id, 60000);
    json_decref(rig_insist(scene->coordinator, 10000, "cancel %s because", id));
    for (int i = 0; i < 200 && !flagged; i++, poll(NULL, 0, 20)) {
        struct store_job job = {0};
        struct err err = {0};
        assert_int_equal(store_job_read(rig_redis(scene->rig), id, &job, &err), 0);
        flagged = job.found && strstr(job.cancel, "because") != NULL;
    }
    assert_true(flagged);
    json_t *ledger = rig_ask(scene->coordinator, "ledger %s", id);
    assert_true(json_is_string(json_object_get(ledger, "cancel")));
    assert_false(json_is_string(json_object_get(ledger, "outcome"))); /* asked; only the worker says that it is */
    json_decref(ledger);
    rig_say(scene->rig, id, &(struct rig_say){.state = STATE_CANCELLED, .seq = 5});
    rig_wait_state(scene->coordinator, id, "CANCELLED", 10000, NULL);
}

static void a_failed_job_can_be_retried_and_names_the_old_one(void **state)
{
    struct rig_scene *scene = *state;
    char id[40], retry[40];
    json_t *job = NULL;

    submit(scene, "-", id);
    rig_wait_job(scene->rig, id, 60000);
    json_t *refused = rig_ask(scene->coordinator, "retry %s", id);
    assert_string_equal(json_string_value(json_object_get(refused, "kind")), "conflict");
    json_decref(refused);
    rig_say(scene->rig, id, &(struct rig_say){.state = STATE_FAILED, .seq = 5});
    rig_wait_state(scene->coordinator, id, "FAILED", 10000, NULL);
    json_t *answer = rig_insist(scene->coordinator, 5000, "retry %s", id);
    snprintf(retry, sizeof retry, "%s", json_string_value(json_object_get(answer, "job_id")));
    json_decref(answer);
    assert_string_not_equal(retry, id);
    rig_wait_state(scene->coordinator, retry, "PUBLISHED", 10000, &job);
    assert_string_equal(json_string_value(json_object_get(job, "replaces")), id);
    json_decref(job);
}

static void a_parked_job_waits_for_a_person(void **state)
{
    struct rig_scene *scene = *state;
    char id[40];

    submit(scene, "-", id);
    rig_wait_job(scene->rig, id, 60000);
    json_t *refused = rig_ask(scene->coordinator, "resolve %s seen", id);
    assert_string_equal(json_string_value(json_object_get(refused, "kind")), "conflict");
    json_decref(refused);
    rig_say(scene->rig, id, &(struct rig_say){.state = STATE_PARKED, .seq = 5});
    rig_wait_state(scene->coordinator, id, "PARKED", 10000, NULL);
    json_decref(rig_insist(scene->coordinator, 5000, "resolve %s seen", id));
    json_t *ledger = rig_ask(scene->coordinator, "ledger %s", id);
    assert_false(json_is_string(json_object_get(ledger, "outcome")));
    json_decref(ledger);
}

static void of_several_tokens_of_one_name_one_is_made(void **state)
{
    struct rig_scene *scene = *state;

    for (int i = 0; i < 5; i++) {
        json_t *answer = rig_insist(scene->coordinator, 10000, "rush name-%d", i);
        assert_int_equal(json_integer_value(json_object_get(answer, "succeeded")), 1);
        json_decref(answer);
    }
    json_t *again = rig_insist(scene->coordinator, 10000, "rush name-0");
    assert_int_equal(json_integer_value(json_object_get(again, "succeeded")), 0);
    json_decref(again);
}

static size_t count_of(struct rig_scene *scene, const char *what)
{
    json_t *answer = rig_insist(scene->coordinator, 10000, "view %s", what);
    size_t count = json_array_size(json_object_get(json_object_get(answer, "view"), "items"));

    json_decref(answer);
    return count;
}

static void wait_count(struct rig_scene *scene, const char *what, size_t wanted)
{
    for (int i = 0; i < 600 && count_of(scene, what) != wanted; i++)
        poll(NULL, 0, 50);
    assert_int_equal(count_of(scene, what), wanted);
}

/* The last one: the host has another key after it. */
static void with_a_machine_that_is_replaced_its_jobs_end_and_what_it_says_later_counts_no_more(void **state)
{
    struct rig_scene *scene = *state;
    char held[40], parked[40], fresh[40], detail[256];
    int64_t token;
    json_t *job = NULL;

    rig_target(scene->rig, "t9", "app", "shop");
    wait_count(scene, "targets", 1);
    submit(scene, "-", held);
    rig_wait_job(scene->rig, held, 60000);
    assert_int_equal(rig_acquire(scene->rig, held, "null:t1", detail, &token), ACQUIRE_OK);
    rig_say(scene->rig, held, &(struct rig_say){.state = STATE_RUNNING, .seq = 5});
    submit(scene, "-", parked);
    rig_wait_job(scene->rig, parked, 60000);
    rig_say(scene->rig, parked, &(struct rig_say){.state = STATE_PARKED, .seq = 5});
    rig_wait_state(scene->coordinator, parked, "PARKED", 10000, NULL);
    rig_catalog(scene->rig, held, held, 1, false);
    wait_count(scene, "points", 1);

    json_decref(rig_insist(scene->coordinator, 10000, "replace alpha"));
    rig_wait_state(scene->coordinator, held, "EXPIRED", 60000, NULL);
    wait_count(scene, "targets", 0);
    wait_count(scene, "points", 0);
    for (int i = 0; i < 600; i++) {
        json_decref(job);
        rig_wait_state(scene->coordinator, parked, "PARKED", 10000, &job);
        if (json_is_true(json_object_get(job, "resolved")) || json_is_string(json_object_get(job, "ended_at")))
            break;
        poll(NULL, 0, 50);
    }
    assert_true(json_is_string(json_object_get(job, "ended_at")));
    json_decref(job);
    assert_int_equal(rig_acquire(scene->rig, held, "null:t1", detail, &token), ACQUIRE_TERMINAL);

    rig_say(scene->rig, held, &(struct rig_say){.state = STATE_SUCCEEDED, .seq = 6}); /* with the old key */
    rig_use_key(scene->rig, 2);
    submit(scene, "-", fresh);
    rig_wait_job(scene->rig, fresh, 60000); /* so it was signed with the new one */
    assert_int_equal(rig_acquire(scene->rig, fresh, "null:t1", detail, &token), ACQUIRE_OK);
    rig_say(scene->rig, fresh, &(struct rig_say){.state = STATE_SUCCEEDED, .seq = 5});
    rig_wait_state(scene->coordinator, fresh, "SUCCEEDED", 10000, NULL);
    rig_wait_state(scene->coordinator, held, "EXPIRED", 10000, NULL);
}

int main(int argc, char **argv)
{
    rig_child(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_published_and_its_end_recorded),
        cmocka_unit_test(published_is_not_said_of_a_job_whose_host_speaks_at_once),
        cmocka_unit_test(a_repeat_is_the_same_job_and_another_request_a_conflict),
        cmocka_unit_test(what_does_not_verify_is_a_dead_letter_and_changes_nothing),
        cmocka_unit_test(class_c_needs_a_heartbeat),
        cmocka_unit_test(unknown_hosts_get_nothing),
        cmocka_unit_test(a_cancel_reaches_the_ticket),
        cmocka_unit_test(a_failed_job_can_be_retried_and_names_the_old_one),
        cmocka_unit_test(a_parked_job_waits_for_a_person),
        cmocka_unit_test(of_several_tokens_of_one_name_one_is_made),
        cmocka_unit_test(with_a_machine_that_is_replaced_its_jobs_end_and_what_it_says_later_counts_no_more),
    };

    return cmocka_run_group_tests(tests, rig_scene_set_up, rig_scene_tear_down);
}
