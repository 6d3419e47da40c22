/* Backups that run into one repository share its bandwidth: each hears its rate in its ticket, before it begins and whenever that changes, whoever leads. */
#include "integration/support/coordinator_rig.h"

#include "base/err.h"
#include "redis/redis.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_MS = 60000, MIB = 1 << 20 };

static const char *const options[] = {"limits.bandwidth=1GiB", "limits.bandwidth_of.main=100MiB", NULL};
static const char *const machines[] = {"00000000-0000-4000-8000-0000000000a1", "00000000-0000-4000-8000-0000000000a2"};

struct scene {
    struct rig *rig;
    struct rig_coordinator *coordinator;
    char a[40], b[40]; /* two backups */
};

static int set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);

    scene->rig = rig_open("alpha");
    scene->coordinator = coordinator_rig_start(scene->rig, "c1", NULL, options);
    rig_wait_leading(scene->coordinator, PATIENCE_MS);
    json_decref(rig_insist(scene->coordinator, PATIENCE_MS, "enroll alpha"));
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    coordinator_rig_stop(scene->coordinator, 0);
    rig_close(scene->rig);
    free(scene);
    return 0;
}

static void backup(struct scene *scene, const char *machine, int64_t rate_limit, char out[40])
{
    json_t *answer = rig_insist(scene->coordinator, PATIENCE_MS, "backup alpha %s main %lld", machine,
                                (long long)rate_limit);

    snprintf(out, 40, "%s", json_string_value(json_object_get(answer, "job_id")));
    json_decref(answer);
    rig_wait_job(scene->rig, out, PATIENCE_MS);
}

static void say(struct scene *scene, const char *job_id, int state, int64_t seq)
{
    const struct rig_say what = {.state = state, .seq = seq};

    rig_say(scene->rig, job_id, &what);
}

static void word_of(struct scene *scene, const char *job_id, char out[64])
{
    char key[64];
    struct err err = {0};

    snprintf(key, sizeof key, "fs:job:%s", job_id);
    const char *argv[] = {"HGET", key, "control"};
    struct redis_reply *reply = redis_call(rig_redis(scene->rig), &err, 3, argv, NULL);
    if (!reply)
        fail_msg("%s", err.text);
    const char *text = redis_reply_text(reply);
    snprintf(out, 64, "%s", text ? text : "");
    redis_reply_free(reply);
}

static void wait_word(struct scene *scene, const char *job_id, const char *wanted)
{
    char word[64] = "";

    for (int waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 50, poll(NULL, 0, 50)) {
        word_of(scene, job_id, word);
        if (strcmp(word, wanted) == 0)
            return;
    }
    assert_string_equal(word, wanted);
}

static void wait_epoch(struct scene *scene)
{
    static const char *const get[] = {"GET", "fs:epoch"};
    bool there = false;

    for (int waited_ms = 0; waited_ms < PATIENCE_MS && !there; waited_ms += 50, poll(NULL, 0, 50)) {
        struct redis_reply *reply = redis_call(rig_redis(scene->rig), NULL, 2, get, NULL);
        there = reply && redis_reply_text(reply);
        redis_reply_free(reply);
    }
    assert_true(there);
}

static void a_second_one_takes_half(void **state)
{
    struct scene *scene = *state;
    char word[64];

    backup(scene, machines[0], 0, scene->a);
    word_of(scene, scene->a, word);
    assert_string_equal(word, "rate:104857600"); /* before it begins */
    say(scene, scene->a, STATE_RUNNING, 1);
    backup(scene, machines[1], 0, scene->b);
    wait_word(scene, scene->b, "rate:52428800"); /* what it would get */
    word_of(scene, scene->a, word);
    assert_string_equal(word, "rate:104857600"); /* it does not run yet */
    say(scene, scene->b, STATE_RUNNING, 1);
    wait_word(scene, scene->a, "rate:52428800");
    json_t *share = rig_ask(scene->coordinator, "share %s", scene->a);
    assert_true(json_is_true(json_object_get(share, "shared")));
    assert_string_equal(json_string_value(json_object_get(share, "repository")), "main");
    assert_int_equal(json_integer_value(json_object_get(share, "rate_limit")), 50 * MIB);
    assert_int_equal(json_integer_value(json_object_get(share, "limit")), 100 * MIB);
    assert_int_equal(json_integer_value(json_object_get(share, "running")), 2);
    json_decref(share);
}

static void a_persons_word_is_kept_and_its_rest_goes_to_the_other(void **state)
{
    struct scene *scene = *state;

    rig_wait_state(scene->coordinator, scene->b, "RUNNING", PATIENCE_MS, NULL);
    json_decref(rig_insist(scene->coordinator, PATIENCE_MS, "rate %s %d", scene->b, 10 * MIB));
    wait_word(scene, scene->b, "rate:10485760");
    wait_word(scene, scene->a, "rate:94371840");
    json_t *share = rig_ask(scene->coordinator, "share %s", scene->b);
    assert_false(json_is_true(json_object_get(share, "shared")));
    assert_int_equal(json_integer_value(json_object_get(share, "rate_limit")), 10 * MIB);
    json_decref(share);
}

static void redis_may_forget_it(void **state)
{
    static const char *const flush[] = {"FLUSHALL"};
    struct scene *scene = *state;

    redis_reply_free(redis_call(rig_redis(scene->rig), NULL, 1, flush, NULL));
    wait_word(scene, scene->a, "rate:94371840");
    wait_word(scene, scene->b, "rate:10485760");
    wait_epoch(scene); /* from now on tickets are not written anew */
}

static void the_next_leader_goes_on_and_takes_the_share_back(void **state)
{
    struct scene *scene = *state;
    struct rig_coordinator *next = coordinator_rig_start(scene->rig, "c2", NULL, options);
    char key[64];

    coordinator_rig_stop(scene->coordinator, SIGKILL);
    scene->coordinator = next;
    snprintf(key, sizeof key, "fs:job:%s", scene->a);
    const char *remove[] = {"HDEL", key, "control"};
    redis_reply_free(redis_call(rig_redis(scene->rig), NULL, 3, remove, NULL));
    wait_word(scene, scene->a, "rate:94371840");
    say(scene, scene->b, STATE_SUCCEEDED, 2);
    wait_word(scene, scene->a, "rate:104857600");
    say(scene, scene->a, STATE_SUCCEEDED, 2);
    rig_wait_state(scene->coordinator, scene->a, "SUCCEEDED", PATIENCE_MS, NULL);
}

int main(int argc, char **argv)
{
    rig_child(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_one_takes_half),
        cmocka_unit_test(a_persons_word_is_kept_and_its_rest_goes_to_the_other),
        cmocka_unit_test(redis_may_forget_it),
        cmocka_unit_test(the_next_leader_goes_on_and_takes_the_share_back),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
