/* Holds and pins on a real Redis: in force when they are answered, also for targets that appear later; gone when they are released, over, or the last of their key. */
#include "integration/support/coordinator_rig.h"

#include "base/err.h"
#include "redis/store.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void new_job(struct rig_scene *scene, const char *target, char out[40])
{
    json_t *answer = rig_insist(scene->coordinator, 10000, "submit alpha %s -", target);

    snprintf(out, 40, "%s", json_string_value(json_object_get(answer, "job_id")));
    json_decref(answer);
    rig_wait_job(scene->rig, out, 60000);
}

static int64_t number(struct rig_scene *scene, int argc, const char *const *argv)
{
    struct err err = {0};
    struct redis_reply *reply = redis_call(rig_redis(scene->rig), &err, argc, argv, NULL);

    if (!reply)
        fail_msg("%s", err.text);
    int64_t value = redis_reply_int(reply, -1);
    redis_reply_free(reply);
    return value;
}

static bool is_held(struct rig_scene *scene, const char *field)
{
    return number(scene, 3, (const char *const[]){"HEXISTS", "fs:hold", field}) == 1;
}

static bool is_pinned(struct rig_scene *scene, const char *key, const char *point)
{
    return number(scene, 3, (const char *const[]){"SISMEMBER", key, point}) == 1;
}

static void wait_held(struct rig_scene *scene, const char *field, bool wanted)
{
    for (int i = 0; i < 300 && is_held(scene, field) != wanted; i++)
        poll(NULL, 0, 50);
    assert_int_equal(is_held(scene, field), wanted);
}

static void what_is_held_does_not_start_until_it_is_released(void **state)
{
    struct rig_scene *scene = *state;
    char job[40], detail[256];
    int64_t token;

    new_job(scene, "t1", job);
    json_decref(rig_insist(scene->coordinator, 5000, "hold target:null:t1 0"));
    assert_true(is_held(scene, "target:null:t1")); /* no waiting: it was answered */
    assert_int_equal(rig_acquire(scene->rig, job, "null:t1", detail, &token), ACQUIRE_HOLD);
    assert_string_equal(detail, "rig (tester)");
    json_decref(rig_insist(scene->coordinator, 5000, "release target:null:t1 0"));
    assert_false(is_held(scene, "target:null:t1"));
    assert_int_equal(rig_acquire(scene->rig, job, "null:t1", detail, &token), ACQUIRE_OK);
}

static void a_hold_by_labels_is_for_what_appears_later_too(void **state)
{
    struct rig_scene *scene = *state;

    rig_target(scene->rig, "web-1", "app", "shop");
    rig_target(scene->rig, "db-1", "app", "db");
    json_decref(rig_insist(scene->coordinator, 5000, "hold selector:app=shop 0"));
    wait_held(scene, "target:null:web-1", true);
    rig_target(scene->rig, "web-2", "app", "shop");
    wait_held(scene, "target:null:web-2", true);
    assert_false(is_held(scene, "target:null:db-1"));
    rig_target(scene->rig, "web-1", "app", "old");
    wait_held(scene, "target:null:web-1", false);
    json_decref(rig_insist(scene->coordinator, 5000, "release selector:app=shop 0"));
    assert_false(is_held(scene, "target:null:web-2"));
}

static void a_hold_ends_by_itself_and_in_the_audit(void **state)
{
    struct rig_scene *scene = *state;
    bool ended = false;

    json_decref(rig_insist(scene->coordinator, 5000, "hold host:alpha 1500"));
    assert_true(is_held(scene, "host:alpha"));
    wait_held(scene, "host:alpha", false);
    for (int i = 0; i < 200 && !ended; i++, poll(NULL, 0, 50)) {
        json_t *records = rig_audits(scene->rig), *record;
        size_t index;
        json_array_foreach(records, index, record)
        {
            ended = ended || (strcmp(json_string_value(json_object_get(record, "action")), "hold.delete") == 0 &&
                              strcmp(json_string_value(json_object_get(record, "who")), "c1") == 0);
        }
        json_decref(records);
    }
    assert_true(ended);
}

static void a_pinned_point_is_refused_and_the_last_pin_is_cleared(void **state)
{
    static const char *const taken[] = {"point-1", NULL};
    struct rig_scene *scene = *state;
    char job[40], detail[256];
    int64_t token;
    struct renew_result heard;
    struct store_command command = {0};
    struct err err = {0};

    new_job(scene, "t2", job);
    assert_int_equal(rig_acquire(scene->rig, job, "null:t2", detail, &token), ACQUIRE_OK);
    json_decref(rig_insist(scene->coordinator, 5000, "pin point-1 repository:main"));
    json_decref(rig_insist(scene->coordinator, 5000, "pin point-2 repository:main"));
    assert_true(is_pinned(scene, "fs:pin:repository:main", "point-1"));
    struct store_renew renew = {.job_id = job,
                                .host = "alpha",
                                .instance = "rig",
                                .target = "null:t2",
                                .token = token,
                                .ttl_ms = 30000,
                                .run_id = redis_run_id(rig_redis(scene->rig)),
                                .phase = "",
                                .taken_points = taken,
                                .pins_key = "repository:main"};
    assert_int_equal(store_renew_command(&renew, &command, &err), 0);
    struct redis_reply *reply = store_call(rig_redis(scene->rig), &command, &err);
    store_renew_answer(reply ? REDIS_ANSWERED : REDIS_LOST, reply, &heard);
    redis_reply_free(reply);
    store_command_clear(&command);
    assert_int_equal(heard.answer, RENEW_PINNED);
    assert_string_equal(heard.detail, "point-1");
    json_decref(rig_insist(scene->coordinator, 5000, "unpin point-1 repository:main"));
    assert_false(is_pinned(scene, "fs:pin:repository:main", "point-1"));
    assert_true(is_pinned(scene, "fs:pin:repository:main", "point-2"));
    json_decref(rig_insist(scene->coordinator, 5000, "unpin point-2 repository:main"));
    assert_false(is_pinned(scene, "fs:pin:repository:main", "point-2"));
}

static void they_are_back_when_redis_lost_its_memory(void **state)
{
    static const char *const flush[] = {"FLUSHALL"};
    struct rig_scene *scene = *state;

    json_decref(rig_insist(scene->coordinator, 5000, "hold all 0"));
    json_decref(rig_insist(scene->coordinator, 5000, "pin point-3 repository:main"));
    number(scene, 1, flush);
    assert_false(is_held(scene, "all"));
    wait_held(scene, "all", true);
    assert_true(is_pinned(scene, "fs:pin:repository:main", "point-3"));
    json_decref(rig_insist(scene->coordinator, 20000, "release all 0"));
}

int main(int argc, char **argv)
{
    rig_child(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_held_does_not_start_until_it_is_released),
        cmocka_unit_test(a_hold_by_labels_is_for_what_appears_later_too),
        cmocka_unit_test(a_hold_ends_by_itself_and_in_the_audit),
        cmocka_unit_test(a_pinned_point_is_refused_and_the_last_pin_is_cleared),
        cmocka_unit_test(they_are_back_when_redis_lost_its_memory),
    };

    return cmocka_run_group_tests(tests, rig_scene_set_up, rig_scene_tear_down);
}
