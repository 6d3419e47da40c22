/* The audit: who and from where, before the answer where it must not be lost, and not without limit where strangers cause it. */
#include "integration/support/coordinator_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *text(const json_t *record, const char *member)
{
    const char *value = json_string_value(json_object_get(record, member));

    return value ? value : "";
}

static json_t *find(const json_t *records, const char *action, const char *subject)
{
    json_t *record;
    size_t index;

    json_array_foreach(records, index, record)
    {
        if (strcmp(text(record, "action"), action) == 0 && (!subject || strcmp(text(record, "subject"), subject) == 0))
            return record;
    }
    return NULL;
}

/* Fails unless there is a record of it, by the caller of the rig; wait: it may come a moment later. */
static void expect_record(struct rig_scene *scene, const char *action, const char *subject, bool wait)
{
    json_t *records, *found;

    for (int i = 0; records = rig_audits(scene->rig), !(found = find(records, action, subject)); i++) {
        json_decref(records);
        if (!wait || i > 100)
            fail_msg("no record of %s %s", action, subject);
        poll(NULL, 0, 20);
    }
    assert_string_equal(text(found, "who"), "tester");
    assert_string_equal(text(found, "from"), "127.0.0.1");
    assert_string_equal(text(found, "outcome"), "allowed");
    json_decref(records);
}

static void id_of(json_t *answer, char out[40])
{
    snprintf(out, 40, "%s", text(answer, "job_id"));
    json_decref(answer);
}

static void what_takes_away_is_recorded_before_it_is_answered(void **state)
{
    struct rig_scene *scene = *state;
    char id[40];

    rig_heartbeat(scene->rig);
    id_of(rig_insist(scene->coordinator, 10000, "destroy alpha t1 -"), id);
    kill(rig_pid(scene->coordinator), SIGKILL);
    assert_true(rig_wait_death(scene->coordinator, 60000));
    expect_record(scene, "job.submit", id, false);
    expect_record(scene, "host.put", "alpha", false);
    expect_record(scene, "key.put", "alpha/1", false);
}

static void each_record_says_who_and_from_where(void **state)
{
    struct rig_scene *scene = *state;
    char id[40], parked[40];

    id_of(rig_insist(scene->coordinator, 10000, "submit alpha t1 -"), id);
    json_decref(rig_insist(scene->coordinator, 10000, "cancel %s because", id));
    id_of(rig_insist(scene->coordinator, 10000, "submit alpha t2 -"), parked);
    rig_wait_job(scene->rig, parked, 60000);
    rig_say(scene->rig, parked, &(struct rig_say){.state = STATE_PARKED, .seq = 5});
    rig_wait_state(scene->coordinator, parked, "PARKED", 10000, NULL);
    json_decref(rig_insist(scene->coordinator, 5000, "resolve %s seen", parked));
    expect_record(scene, "job.resolve", parked, false);
    expect_record(scene, "job.submit", id, true);
    expect_record(scene, "job.cancel", id, true);
}

/* How many records name the job, and how many there are of submissions. */
static size_t count_records(const json_t *records, const char *job_id, size_t *out_submissions)
{
    size_t index, found = 0;
    json_t *record;

    *out_submissions = 0;
    json_array_foreach(records, index, record)
    {
        *out_submissions += strcmp(text(record, "action"), "job.submit") == 0;
        found += strcmp(text(record, "subject"), job_id) == 0 ||
                 strstr(text(json_object_get(record, "details"), "jobs"), job_id);
    }
    return found;
}

static void the_jobs_of_one_request_share_records(void **state)
{
    struct rig_scene *scene = *state;
    json_t *answer = rig_insist(scene->coordinator, 10000, "submit-hundred alpha"), *records = NULL, *id;
    const json_t *ids = json_object_get(answer, "job_ids");
    const char *last = json_string_value(json_array_get(ids, 99));
    size_t submissions = 0, index;

    for (int i = 0;
         json_decref(records), records = rig_audits(scene->rig), !count_records(records, last, &submissions) && i < 100;
         i++)
        poll(NULL, 0, 20);
    json_array_foreach(ids, index, id) assert_int_equal(count_records(records, json_string_value(id), &submissions), 1);
    assert_in_range(submissions, 1, 50);
    json_decref(records);
    json_decref(answer);
}

static void strangers_fill_the_audit_only_so_fast(void **state)
{
    struct rig_scene *scene = *state;
    json_t *records = NULL, *record;
    size_t index, count = 0;
    bool counted = false;

    json_decref(rig_ask(scene->coordinator, "refuse 500"));
    for (int i = 0; i < 400 && !counted; i++, poll(NULL, 0, 20)) {
        json_decref(rig_ask(scene->coordinator, "refuse 1"));
        json_decref(records);
        records = rig_audits(scene->rig);
        count = 0;
        json_array_foreach(records, index, record)
        {
            count += strcmp(text(record, "action"), "api.refused") == 0;
            counted = counted || atoi(text(json_object_get(record, "details"), "suppressed")) >= 400;
        }
    }
    assert_true(counted);
    assert_in_range(count, 60, 80);
    json_decref(records);
}

static void dead_letters_are_kept_only_so_fast(void **state)
{
    struct rig_scene *scene = *state;
    bool counted = false;

    json_decref(rig_ask(scene->coordinator, "letters 20000 10"));
    for (int i = 0; i < 200 && !counted; i++, poll(NULL, 0, 50)) {
        json_decref(rig_ask(scene->coordinator, "letters 1 10"));
        json_t *answer = rig_ask(scene->coordinator, "view dlq"),
               *items = json_object_get(json_object_get(answer, "view"), "items"), *item;
        size_t index;
        json_array_foreach(items, index, item)
            counted = counted || strstr(text(item, "reason"), "before it, too many to keep");
        json_decref(answer);
    }
    assert_true(counted);
}

int main(int argc, char **argv)
{
    rig_child(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_takes_away_is_recorded_before_it_is_answered, rig_scene_set_up,
                                        rig_scene_tear_down),
        cmocka_unit_test_setup_teardown(each_record_says_who_and_from_where, rig_scene_set_up, rig_scene_tear_down),
        cmocka_unit_test_setup_teardown(the_jobs_of_one_request_share_records, rig_scene_set_up, rig_scene_tear_down),
        cmocka_unit_test_setup_teardown(strangers_fill_the_audit_only_so_fast, rig_scene_set_up, rig_scene_tear_down),
        cmocka_unit_test_setup_teardown(dead_letters_are_kept_only_so_fast, rig_scene_set_up, rig_scene_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
