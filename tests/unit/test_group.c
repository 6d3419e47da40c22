/* Which targets can be one consistency group, and when its jobs begin. */
#include "base/err.h"
#include "coordinator/group.h"
#include "coordinator/plan.h"
#include "coordinator/world.h"
#include "model/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world *world;
static struct run run;
static struct run_members members;
static struct err err;

static int begin(void **state)
{
    (void)state;
    run = (struct run){.policy = (char *)"deploy:7", .schedule = (char *)"begin"};
    if (world_new(&world, &err) < 0 || world_add_host(world, "alpha", true, &err) < 0 ||
        world_add_host(world, "beta", true, &err) < 0 || world_add_host(world, "old", true, &err) < 0)
        return -1;
    return world_set_group_room(world, "alpha", 2, true, &err) < 0 ? -1
                                                                   : world_set_group_room(world, "beta", 4, false, &err);
}

static int end(void **state)
{
    (void)state;
    run_members_clear(&members);
    members = (struct run_members){0};
    world_free(world);
    return 0;
}

static void add(struct run_members *to, const char *target, const char *host)
{
    struct run_member *member = list_add(&to->members, &run_member_record, &err);

    assert_int_equal(string_set(&member->target, target, &err), 0);
    assert_int_equal(string_set(&member->host, host, &err), 0);
}

static const char *why(size_t index)
{
    return list_at(&members.members, struct run_member, index)->skipped;
}

static void plan(const struct run_limits *limits)
{
    assert_int_equal(group_plan(&run, &members.members, 5000, world, limits, &err), 0);
}

static void machines_with_room_are_a_group(void **state)
{
    (void)state;
    add(&members, "libvirt:1", "alpha");
    add(&members, "libvirt:2", "alpha");
    add(&members, "libvirt:3", "beta");
    plan(&(struct run_limits){.jobs = 3, .per_host = 2});
    for (size_t i = 0; i < 3; i++)
        assert_null(why(i));
    assert_int_equal(run.group_limit_ms, 5000);
    assert_int_equal(run.quiesce, QUIESCE_REQUIRE);
}

static void one_that_cannot_says_why(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        add(&members, "libvirt:1", "alpha");
    add(&members, "libvirt:2", "old");
    add(&members, "canister:3", "beta");
    add(&members, "libvirt:4", "beta");
    list_at(&members.members, struct run_member, 5)->skipped = strdup("an earlier job is open on it");
    plan(&(struct run_limits){0});
    assert_string_equal(why(0),
                        "refused: host alpha holds 2 members of a group at once (its executors), this has 3 there");
    assert_string_equal(why(3), "refused: the worker of host old does not know consistency groups");
    assert_string_equal(why(4), "refused: only machines can be in a consistency group");
    assert_string_equal(why(5), "refused: an earlier job is open on it"); /* without it, it is another group */
}

/* beta's worker is one that makes groups of snapshots only. */
static void backups_need_workers_that_begin_them_in_a_group(void **state)
{
    (void)state;
    add(&members, "libvirt:1", "alpha");
    add(&members, "libvirt:2", "beta");
    run.operation = (char *)"backup.create";
    plan(&(struct run_limits){0});
    assert_null(why(0));
    assert_string_equal(why(1), "refused: the worker of host beta does not know consistency groups of backups");
}

/* What goes on pushing for hours is of no use when one has failed. */
static void when_a_backup_fails_the_others_are_given_up(void **state)
{
    struct run_seat seats[3] = {{.state = MEMBER_FAILED, .host = "alpha", .host_ready = true},
                                {.state = MEMBER_OPEN, .host = "beta", .host_ready = true},
                                {.state = MEMBER_DONE, .host = "beta", .host_ready = true}};
    struct run_load *load;

    (void)state;
    run.group_limit_ms = 5000;
    run.stop_on_failure = true;
    run.operation = (char *)"snapshot.create";
    assert_int_equal(run_load_new(&load, &err), 0);
    run_decide(&run, &(struct run_limits){0}, 1, seats, 3, load);
    assert_int_equal(seats[1].move, MOVE_NONE);
    run.operation = (char *)"backup.create";
    run_decide(&run, &(struct run_limits){0}, 1, seats, 3, load);
    assert_int_equal(seats[1].move, MOVE_CANCEL);
    assert_int_equal(seats[2].move, MOVE_NONE);
    seats[1].cancel_asked = true;
    run_decide(&run, &(struct run_limits){0}, 1, seats, 3, load);
    assert_int_equal(seats[1].move, MOVE_NONE);
    run_load_free(load);
}

/* It would wait for ever for more room than there is. */
static void the_limits_of_the_fleet_must_have_room_for_all(void **state)
{
    (void)state;
    add(&members, "libvirt:1", "alpha");
    add(&members, "libvirt:2", "alpha");
    plan(&(struct run_limits){.per_host = 1});
    assert_non_null(strstr(why(0), "limits.per_host"));
    run_members_clear(&members);
    members = (struct run_members){0};
    add(&members, "libvirt:1", "alpha");
    add(&members, "libvirt:2", "beta");
    plan(&(struct run_limits){.jobs = 1});
    assert_non_null(strstr(why(1), "limits.jobs"));
}

static void two_groups_with_a_common_host_are_seen(void **state)
{
    struct run_members others = {0};

    (void)state;
    add(&members, "libvirt:1", "alpha");
    add(&members, "libvirt:2", "beta");
    add(&others, "libvirt:3", "gamma");
    assert_null(group_same_host(&members.members, &others.members));
    add(&others, "libvirt:4", "beta");
    assert_string_equal(group_same_host(&members.members, &others.members)->target, "libvirt:2");
    run_members_clear(&others);
}

static void its_jobs_begin_together_or_not_at_all(void **state)
{
    const struct run_limits one_job = {.jobs = 1}, two_jobs = {.jobs = 2};
    const struct run_seat pending = {.state = MEMBER_PENDING, .host = "alpha", .host_ready = true};
    struct run_seat seats[2] = {pending, pending};
    struct run_load *load;

    (void)state;
    run.group_limit_ms = 5000;
    assert_int_equal(run_load_new(&load, &err), 0);
    run_decide(&run, &one_job, 1, seats, 2, load);
    assert_int_equal(seats[0].move, MOVE_NONE);
    assert_int_equal(seats[1].move, MOVE_NONE);
    run_load_free(load);
    assert_int_equal(run_load_new(&load, &err), 0);
    run_decide(&run, &two_jobs, 1, seats, 2, load);
    assert_int_equal(seats[0].move, MOVE_SUBMIT);
    assert_int_equal(seats[1].move, MOVE_SUBMIT);
    seats[0].state = MEMBER_OPEN; /* a leader died between the two */
    run_decide(&run, &(struct run_limits){0}, 1, seats, 2, load);
    assert_int_equal(seats[1].move, MOVE_SUBMIT);
    run_load_free(load);
}

/* Its job says which group, of how many, and is not tried again: that would be another point in time. */
static void a_job_knows_its_group(void **state)
{
    struct job *job = NULL;

    (void)state;
    add(&members, "libvirt:3efef4e8-3078-421c-bfb3-3a62557bb980", "alpha");
    list_at(&members.members, struct run_member, 0)->snapshot = strdup("deploy-7");
    run.deploy = (char *)"7";
    run.operation = (char *)"snapshot.create";
    run.members = 2;
    run.group_limit_ms = 5000;
    run.quiesce = QUIESCE_REQUIRE;
    run.planned_at_ms = 1000;
    if (plan_job(&run, "85cc5e1a-37f6-50f5-8a5c-eef5a4d86e87", NULL, list_at(&members.members, struct run_member, 0),
                 world, &job, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(job->group, "85cc5e1a-37f6-50f5-8a5c-eef5a4d86e87");
    assert_int_equal(job->group_members, 2);
    assert_int_equal(job->group_limit_ms, 5000);
    assert_int_equal(job->max_attempts, 1);
    assert_string_equal(((struct params_snapshot_create *)job->params)->description, "before deploy 7");
    job_free(job);
    free(list_at(&members.members, struct run_member, 0)->snapshot);
    list_at(&members.members, struct run_member, 0)->snapshot = strdup("7");
    assert_int_equal(plan_job(&run, "85cc5e1a-37f6-50f5-8a5c-eef5a4d86e87", NULL,
                              list_at(&members.members, struct run_member, 0), world, &job, &err),
                     0);
    assert_string_equal(((struct params_snapshot_create *)job->params)->description, "of consistency group 7");
    job_free(job);
}

static void a_backup_knows_its_group_too(void **state)
{
    struct job *job = NULL;
    const struct params_backup_create *params;

    (void)state;
    assert_int_equal(world_add_place(world, "alpha", "85cc5e1a-37f6-50f5-8a5c-eef5a4d86e88", "main", "/r", &err), 0);
    add(&members, "libvirt:3efef4e8-3078-421c-bfb3-3a62557bb980", "alpha");
    string_set(&list_at(&members.members, struct run_member, 0)->repository, "main", &err);
    run = (struct run){.policy = (char *)"deploy:7",
                       .schedule = (char *)"begin",
                       .deploy = (char *)"7",
                       .operation = (char *)"backup.create",
                       .members = 2,
                       .group_limit_ms = 5000,
                       .quiesce = QUIESCE_REQUIRE,
                       .kind = BACKUP_FULL,
                       .rate_limit_bytes = 1 << 20,
                       .planned_at_ms = 1000,
                       .window_end_at_ms = 601000};
    if (plan_job(&run, "85cc5e1a-37f6-50f5-8a5c-eef5a4d86e87", NULL, list_at(&members.members, struct run_member, 0),
                 world, &job, &err) < 0)
        fail_msg("%s", err.text);
    params = job->params;
    assert_int_equal(job->group_members, 2);
    assert_int_equal(job->max_attempts, 1);
    assert_int_equal(job->start_by_ms, 601000);
    assert_true(job->deadline_ms > 10 * job->start_by_ms); /* it begins soon, and pushes for as long as it takes */
    assert_int_equal(params->quiesce, QUIESCE_REQUIRE);
    assert_int_equal(params->kind, BACKUP_FULL);
    assert_int_equal(params->rate_limit, 1 << 20);
    assert_string_equal(params->description, "of consistency group 7");
    assert_string_equal(params->repository->path, "/r");
    job_free(job);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(machines_with_room_are_a_group),
        TEST(one_that_cannot_says_why),
        TEST(backups_need_workers_that_begin_them_in_a_group),
        TEST(when_a_backup_fails_the_others_are_given_up),
        TEST(the_limits_of_the_fleet_must_have_room_for_all),
        TEST(two_groups_with_a_common_host_are_seen),
        TEST(its_jobs_begin_together_or_not_at_all),
        TEST(a_job_knows_its_group),
        TEST(a_backup_knows_its_group_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
