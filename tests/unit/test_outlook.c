/* What a policy's next runs would be, among those of the others. */
#include "base/err.h"
#include "coordinator/options.h"
#include "coordinator/outlook.h"
#include "coordinator/policy.h"
#include "model/inventory.h"
#include "model/ledger_entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const int64_t HOUR_MS = 3600 * 1000, DAY_MS = 24 * 3600 * 1000;
static const char main_id[] = "0d9b1c1e-8c0c-4b2f-9f3f-5a3c8f3d2b11";

static struct err err;
static struct world *world;
static struct coordinator_options options;
static struct ledger_policy policies[4];
static struct outlook *outlook;
static int64_t took_ms, first_ms; /* of a job; of the first firing */

static int set_up(void **state)
{
    (void)state;
    options = (struct coordinator_options){0};
    first_ms = 0;
    assert_int_equal(world_new(&world, &err), 0);
    world_add_host(world, "alpha", true, &err);
    world_add_place(world, "alpha", main_id, "main", "/backup", &err);
    return outlook_new(&options, world, &outlook, &err);
}

static int tear_down(void **state)
{
    (void)state;
    outlook_free(outlook);
    outlook = NULL;
    world_free(world);
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
        policy_clear(&policies[i].policy);
    memset(policies, 0, sizeof policies);
    return 0;
}

/* The first is the one that is asked about. */
static struct ledger_policy *add(size_t index, const char *name, const char *rest)
{
    struct policy_texts texts;
    char yaml[1000];

    snprintf(yaml, sizeof yaml,
             "name: %s\nselect: {names: ['*']}\ntime_zone: UTC\noperation: backup.create\nrepository: main\n%s\n", name,
             rest);
    if (policies_read("p", yaml, strlen(yaml), &texts, &err) < 0)
        fail_msg("%s", err.text);
    policies[index].version = 1;
    policies[index].policy = *texts.items[0].policy;
    *texts.items[0].policy = (struct policy){0};
    policy_texts_clear(&texts);
    return &policies[index];
}

static void take(size_t index)
{
    assert_int_equal(outlook_add(outlook, &policies[index], &err), 0);
}

static void target_with_disk(char digit, const char *source)
{
    struct inventory_disk disk = {.device = (char *)"disk", .source = (char *)source};
    char id[] = "00000000-0000-4000-8000-000000000000";
    char name[] = "s0";
    struct inventory_target target = {.host = (char *)"alpha",
                                      .target = {.kind = (char *)"libvirt", .id = id, .name = name},
                                      .state = (char *)"running",
                                      .disks = {&disk, 1}};

    id[35] = name[1] = digit;
    assert_int_equal(outlook_add_target(outlook, &target, &err), 0);
}

static void target(char digit)
{
    target_with_disk(digit, NULL);
}

static int64_t took(void *context, const struct run *run, const struct run_member *member)
{
    (void)context;
    (void)run;
    return member->skipped ? 0 : took_ms;
}

/* The first firing after the day began. */
static struct outlook_run next(struct firing *firing)
{
    struct outlook_run out;

    assert_true(outlook_next(outlook, firing));
    first_ms = first_ms ? first_ms : firing->slot_ms;
    if (outlook_run(outlook, first_ms, firing, took, NULL, &out, &err) < 0)
        fail_msg("%s", err.text);
    return out;
}

static const int64_t NOON_MS = 20000LL * 24 * 3600 * 1000 + 12LL * 3600 * 1000;

static void another_policys_run_is_in_the_way(void **state)
{
    struct firing firing = {.slot_ms = NOON_MS};
    char text[200];

    (void)state;
    add(0, "late", "schedules: [{name: d, cron: '0 2 * * *'}]");
    add(1, "early", "schedules: [{name: d, cron: '0 1 * * *'}]");
    take(0);
    take(1);
    options.limits_per_host = 1;
    took_ms = 3 * HOUR_MS;
    target('1');
    struct outlook_run run = next(&firing);
    assert_true(run.timed);
    assert_int_equal(run.reach_ms, DAY_MS);
    assert_int_equal(run.run.slot_ms, NOON_MS + 14 * HOUR_MS);
    assert_int_equal(run.times[0].start_ms, run.run.slot_ms + 2 * HOUR_MS); /* 01:00 and three hours */
    assert_int_equal(run.times[0].full, LIMIT_PER_HOST);
    assert_int_equal(run.times[0].holder_count, 1);
    assert_string_equal(run.times[0].holders[0], "early");
    const struct run_seat seat = {.host = "alpha"};
    run_limit_text(run.times[0].full, &run.limits, "late", &seat, text, sizeof text);
    assert_string_equal(text, "limits.per_host 1 on alpha");
    outlook_run_clear(&run);
}

static void who_is_served_first(void **state)
{
    struct firing firing = {.slot_ms = NOON_MS};

    (void)state;
    add(0, "low", "priority: 2\nschedules: [{name: d, cron: '0 2 * * *'}]");
    add(1, "high", "priority: 7\nschedules: [{name: d, cron: '0 2 * * *'}]");
    take(0);
    take(1);
    options.limits_per_repository = 1;
    took_ms = HOUR_MS;
    target('1');
    struct outlook_run run = next(&firing);
    assert_int_equal(run.times[0].start_ms, run.run.slot_ms + HOUR_MS);
    assert_string_equal(run.times[0].holders[0], "high");
    outlook_run_clear(&run);
}

static void a_pool_that_is_full_is_named(void **state)
{
    struct firing firing = {.slot_ms = NOON_MS};
    char text[200];

    (void)state;
    add(0, "nightly", "limits: {per_pool: 1}\nschedules: [{name: d, cron: '0 2 * * *'}]");
    take(0);
    took_ms = HOUR_MS;
    target_with_disk('1', "/images/1.qcow2");
    target_with_disk('2', "/images/2.qcow2");
    struct outlook_run run = next(&firing);
    assert_int_equal(run.times[0].start_ms, run.run.slot_ms);
    assert_int_equal(run.times[1].start_ms, run.run.slot_ms + HOUR_MS);
    const struct run_member *member = list_at(&run.members.members, struct run_member, 1);
    const struct run_seat seat = {.host = member->host, .pools = &member->pools};
    run_limit_text(run.times[1].full, &run.limits, run.run.policy, &seat, text, sizeof text);
    assert_string_equal(text, "limits.per_pool 1 of policy nightly on alpha:/images");
    outlook_run_clear(&run);
}

static void one_that_is_paused_or_not_there_yet_takes_no_room(void **state)
{
    struct firing firing = {.slot_ms = NOON_MS};

    (void)state;
    add(0, "late", "schedules: [{name: d, cron: '0 2 * * *'}]");
    add(1, "paused", "schedules: [{name: d, cron: '0 1 * * *'}]")->paused = true;
    add(2, "young", "schedules: [{name: d, cron: '0 1 * * *'}]")->since_ms = NOON_MS + 14 * HOUR_MS;
    add(3, "by-hand", "");
    for (size_t i = 0; i < 4; i++)
        take(i);
    options.limits_jobs = 1;
    took_ms = 3 * HOUR_MS;
    target('1');
    struct outlook_run run = next(&firing);
    assert_int_equal(run.times[0].start_ms, run.run.slot_ms);
    assert_int_equal(run.times[0].full, LIMIT_NONE);
    outlook_run_clear(&run);
}

static void its_own_earlier_run_is_in_the_way(void **state)
{
    struct firing firing = {.slot_ms = NOON_MS};
    struct outlook_run run;

    (void)state;
    add(0, "skips", "schedules: [{name: d, cron: '0 */2 * * *'}]");
    take(0);
    took_ms = 3 * HOUR_MS;
    target('1');
    run = next(&firing);
    bool first = run.times[0].busy;
    outlook_run_clear(&run);
    run = next(&firing);
    assert_int_equal(first + run.times[0].busy, 1); /* every other one */
    outlook_run_clear(&run);
}

static void a_queue_waits_for_the_earlier_job(void **state)
{
    struct firing firing = {.slot_ms = NOON_MS};

    (void)state;
    add(0, "queues", "overlap: queue\nschedules: [{name: d, cron: '0 0,2 * * *', window: 3h, window_end: cancel}]");
    take(0);
    took_ms = 150 * 60 * 1000;
    target('1');
    struct outlook_run run = next(&firing);
    assert_int_equal(run.times[0].start_ms, run.run.slot_ms);
    outlook_run_clear(&run);
    run = next(&firing);
    assert_false(run.times[0].busy);
    assert_int_equal(run.times[0].start_ms, run.run.slot_ms + HOUR_MS / 2);
    assert_false(run.times[0].cut);
    assert_int_equal(run.times[0].end_ms, run.run.slot_ms + 3 * HOUR_MS);
    outlook_run_clear(&run);
    took_ms = 4 * HOUR_MS; /* longer than the window: cut there */
    firing = (struct firing){.slot_ms = NOON_MS};
    run = next(&firing);
    assert_true(run.times[0].cut);
    assert_int_equal(run.times[0].end_ms, run.run.slot_ms + 3 * HOUR_MS);
    outlook_run_clear(&run);
}

static void of_many_only_what_is_near_is_counted_through(void **state)
{
    struct firing firing = {.slot_ms = NOON_MS};

    (void)state;
    add(0, "daily", "schedules: [{name: d, cron: '0 2 * * *'}]");
    add(1, "minutely", "schedules: [{name: m, cron: '* * * * *'}]");
    take(0);
    take(1);
    took_ms = HOUR_MS;
    for (char digit = '1'; digit <= '9'; digit++)
        target(digit);
    struct outlook_run run = next(&firing);
    assert_true(run.timed);
    assert_in_range(run.reach_ms, HOUR_MS, 6 * HOUR_MS); /* 9 a minute, before and after */
    outlook_run_clear(&run);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_policys_run_is_in_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pool_that_is_full_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_served_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_paused_or_not_there_yet_takes_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_own_earlier_run_is_in_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_queue_waits_for_the_earlier_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_many_only_what_is_near_is_counted_through, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
