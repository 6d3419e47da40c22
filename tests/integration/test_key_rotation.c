/* A host's key is rotated under a real coordinator and a real worker: no job is lost whichever key file the host has, and what is said with a key that has ended is not believed. */
#include "integration/support/coordinator_rig.h"
#include "tests/integration/support/fleet.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_MS = 90000 };

struct scene {
    struct rig *rig;
    struct rig_coordinator *coordinator;
    struct fleet *fleet;
};

static void install(struct scene *scene, json_t *answer)
{
    const char *text = json_string_value(json_object_get(answer, "key_file"));
    char path[300];
    struct err err = {0};

    assert_non_null(text);
    snprintf(path, sizeof path, "%s/host.key", fleet_directory(scene->fleet));
    if (file_write_atomic(path, text, strlen(text), 0600, &err) < 0)
        fail_msg("%s", err.text);
    json_decref(answer);
}

static struct scene *open_scene(const char *host, const char *option)
{
    struct scene *scene = calloc(1, sizeof *scene);
    const char *options[] = {option, NULL};

    scene->fleet = fleet_open(host);
    scene->rig = rig_open("nobody"); /* empties Redis: the epoch is the coordinator's from here on */
    scene->coordinator = coordinator_rig_start(scene->rig, "c1", NULL, options);
    rig_wait_leading(scene->coordinator, PATIENCE_MS);
    install(scene, rig_insist(scene->coordinator, 10000, "enroll %s", fleet_host(scene->fleet)));
    fleet_start(scene->fleet, NULL);
    return scene;
}

static void close_scene(struct scene *scene)
{
    coordinator_rig_stop(scene->coordinator, 0);
    fleet_close(scene->fleet);
    rig_close(scene->rig);
    free(scene);
}

static void stop_worker(struct scene *scene)
{
    fleet_kill(scene->fleet, SIGTERM);
    assert_int_equal(fleet_wait_exit(scene->fleet, 20000), 0);
}

static json_t *rotate(struct scene *scene)
{
    return rig_insist(scene->coordinator, 10000, "rotate %s", fleet_host(scene->fleet));
}

static void submit(struct scene *scene, char out[40])
{
    json_t *answer = rig_insist(scene->coordinator, 10000, "submit %s t1 -", fleet_host(scene->fleet));

    snprintf(out, 40, "%s", json_string_value(json_object_get(answer, "job_id")));
    json_decref(answer);
}

static void succeeds(struct scene *scene, const char *id)
{
    fleet_wait_end(scene->fleet, id, PATIENCE_MS);
    rig_wait_state(scene->coordinator, id, "SUCCEEDED", PATIENCE_MS, NULL); /* so its status was believed */
    assert_int_equal(fleet_dead_letters(scene->fleet, ""), 0);
}

static void one_job_succeeds(struct scene *scene)
{
    char id[40];

    submit(scene, id);
    succeeds(scene, id);
}

/* The old file is still there for a while after the rotation: that costs no job. */
static void jobs_arrive_before_and_after_the_new_file_is_installed(void **state)
{
    struct scene *scene = open_scene("rotated", "key_overlap=15m");

    (void)state;
    one_job_succeeds(scene);
    json_t *file = rotate(scene);
    one_job_succeeds(scene);
    stop_worker(scene);
    install(scene, file);
    fleet_start(scene->fleet, NULL);
    one_job_succeeds(scene);
    close_scene(scene);
}

/* The overlap is short, so that jobs are signed with the new key at once. */
static void jobs_of_both_generations_verify_with_the_new_file(void **state)
{
    struct scene *scene = open_scene("renewed", "key_overlap=20s");
    char waiting[40];

    (void)state;
    one_job_succeeds(scene);
    stop_worker(scene);
    submit(scene, waiting);
    rig_wait_state(scene->coordinator, waiting, "PUBLISHED", PATIENCE_MS, NULL); /* signed with the key that ends next */
    install(scene, rotate(scene));
    fleet_start(scene->fleet, NULL);
    succeeds(scene, waiting);
    one_job_succeeds(scene);
    install(scene, rotate(scene)); /* once more, with one that has ended, or will, in the file */
    stop_worker(scene);
    fleet_start(scene->fleet, NULL);
    one_job_succeeds(scene);
    close_scene(scene);
}

static int letters_about(struct scene *scene, const char *reason)
{
    json_t *answer = rig_ask(scene->coordinator, "view dlq"),
           *items = json_object_get(json_object_get(answer, "view"), "items"), *item;
    size_t index;
    int count = 0;

    json_array_foreach(items, index, item)
    {
        const char *from = json_string_value(json_object_get(json_object_get(item, "headers"), "fs-host"));
        const char *why = json_string_value(json_object_get(item, "reason"));
        count += from && strcmp(from, fleet_host(scene->fleet)) == 0 && (!reason || (why && strstr(why, reason)));
    }
    json_decref(answer);
    return count;
}

/* The host was never given its new file. */
static void what_an_ended_key_signs_is_a_dead_letter(void **state)
{
    struct scene *scene = open_scene("late", "key_overlap=10s");

    (void)state;
    one_job_succeeds(scene);
    json_decref(rotate(scene));
    int64_t ended = clock_monotonic_ms() + 10500;
    stop_worker(scene);
    fleet_start(scene->fleet, NULL); /* says what the host has, in time */
    fleet_read(scene->fleet, 4000);
    stop_worker(scene);
    assert_true(clock_monotonic_ms() < ended);
    assert_int_equal(letters_about(scene, NULL), 0);
    while (clock_monotonic_ms() < ended)
        fleet_read(scene->fleet, 100);
    fleet_start(scene->fleet, NULL); /* says it again, too late */
    for (int i = 0; i < 100 && !letters_about(scene, "ended"); i++)
        fleet_read(scene->fleet, 100);
    assert_true(letters_about(scene, "ended") > 0);
    close_scene(scene);
}

int main(int argc, char **argv)
{
    rig_child(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_arrive_before_and_after_the_new_file_is_installed),
        cmocka_unit_test(jobs_of_both_generations_verify_with_the_new_file),
        cmocka_unit_test(what_an_ended_key_signs_is_a_dead_letter),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
