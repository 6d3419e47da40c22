#include "base/err.h"
#include "base/facts.h"
#include "coordinator/plan.h"
#include "model/inventory.h"
#include "model/job.h"
#include "model/ledger_entry.h"
#include "model/restore_point.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char main_id[] = "0d9b1c1e-8c0c-4b2f-9f3f-5a3c8f3d2b11";
static const char other_id[] = "1d9b1c1e-8c0c-4b2f-9f3f-5a3c8f3d2b11";
enum { SLOT_MS = 1000000, HOUR_MS = 3600 * 1000 };

static struct err err;
static struct world *world;

static int make_world(void **state)
{
    (void)state;
    assert_int_equal(world_new(&world, &err), 0);
    world_add_host(world, "alpha", true, &err);
    world_add_host(world, "beta", false, &err);
    world_add_host(world, "gamma", true, &err);
    world_add_place(world, "alpha", main_id, "main", "/backup", &err);
    world_add_place(world, "beta", main_id, "main", "/mnt/backup", &err);
    world_add_place(world, "alpha", other_id, "other", "/other", &err);
    return 0;
}

static int free_world(void **state)
{
    (void)state;
    world_free(world);
    return 0;
}

static struct ledger_policy policy_of(const char *yaml)
{
    struct policy_texts texts;
    struct ledger_policy out = {.version = 1};

    if (policies_read("p", yaml, strlen(yaml), &texts, &err) < 0)
        fail_msg("%s", err.text);
    out.policy = *texts.items[0].policy;
    *texts.items[0].policy = (struct policy){0};
    policy_texts_clear(&texts);
    return out;
}

static void add_target(struct plan *plan, const char *id, const char *name, const char *host, const char *state)
{
    char full[64];
    snprintf(full, sizeof full, "00000000-0000-4000-8000-00000000000%s", id);
    const struct inventory_target target = {.host = (char *)host,
                                            .target = {.kind = (char *)"libvirt", .id = full, .name = (char *)name},
                                            .state = (char *)state};

    assert_int_equal(plan_add_target(plan, &target, &err), 0);
}

#define BASE "name: n\nselect: {names: ['s*']}\ntime_zone: UTC\n"

static void a_run_has_a_member_for_each_target(void **state)
{
    struct ledger_policy policy = policy_of(
        BASE "operation: backup.create\nrepository: main\n"
             "schedules: [{name: d, cron: '@daily', spread: 1h, window: 2h, kind: full}]\n");
    const struct policy_schedule *schedule = list_at(&policy.policy.schedules, struct policy_schedule, 0);
    struct plan *plan;
    struct run run;
    struct run_members members = {0};

    (void)state;
    assert_int_equal(plan_new(&policy.policy, world, &plan, &err), 0);
    add_target(plan, "1", "s1", "alpha", "running");
    add_target(plan, "2", "x2", "alpha", "running");
    add_target(plan, "3", "s3", "gamma", "running"); /* has no repository main */
    add_target(plan, "4", "s4", "alpha", "shutoff");
    add_target(plan, "4", "s4", "beta", "running"); /* there it runs */
    add_target(plan, "5", "s5", "alpha", "shutoff");
    add_target(plan, "5", "s5", "beta", "shutoff");
    assert_int_equal(plan_run(plan, &policy, schedule, SLOT_MS, SLOT_MS + 5, &run, &members.members, &err), 0);
    assert_int_equal(run.members, 4);
    assert_int_equal(run.parts, 1);
    assert_int_equal(run.kind, BACKUP_FULL);
    assert_int_equal(run.window_end_at_ms, SLOT_MS + 2 * HOUR_MS);
    for (size_t i = 0; i < 4; i++) {
        const struct run_member *member = list_at(&members.members, struct run_member, i);
        assert_in_range(member->due_at_ms, SLOT_MS, SLOT_MS + HOUR_MS);
        assert_true(i == 0 || member[-1].due_at_ms <= member->due_at_ms);
        if (strcmp(member->name, "s3") == 0)
            assert_string_equal(member->skipped, "refused: host gamma has no repository main");
        else if (strcmp(member->name, "s5") == 0)
            assert_non_null(strstr(member->skipped, "two hosts"));
        else
            assert_string_equal(member->repository, main_id);
        if (strcmp(member->name, "s4") == 0)
            assert_string_equal(member->host, "beta");
    }
    run_clear(&run);
    run_members_clear(&members);
    plan_free(plan);
    policy_clear(&policy.policy);
}

static void add_with_disks(struct plan *plan, const char *host, const char *state)
{
    struct inventory_disk disks[] = {{.device = (char *)"disk", .source = (char *)"/images/vm/a.qcow2"},
                                     {.device = (char *)"disk", .source = (char *)"/images/vm/b.qcow2"},
                                     {.device = (char *)"cdrom", .source = (char *)"/iso/c.iso"},
                                     {.device = (char *)"disk", .source = (char *)"/mnt/d.qcow2"},
                                     {.device = (char *)"disk"}};
    const struct inventory_target target = {
        .host = (char *)host,
        .target = {(char *)"libvirt", (char *)"00000000-0000-4000-8000-000000000001", (char *)"s1"},
        .state = (char *)state,
        .disks = {disks, 5}};

    assert_int_equal(plan_add_target(plan, &target, &err), 0);
}

static size_t pools_of(const char *limits, struct run_members *out)
{
    char yaml[200];
    snprintf(yaml, sizeof yaml, BASE "operation: backup.create\nrepository: main\nlimits: %s\n", limits);
    struct ledger_policy policy = policy_of(yaml);
    struct plan *plan;
    struct run run;

    assert_int_equal(plan_new(&policy.policy, world, &plan, &err), 0);
    add_with_disks(plan, "beta", "shutoff");
    add_with_disks(plan, "alpha", "running");
    assert_int_equal(plan_run(plan, &policy, NULL, SLOT_MS, SLOT_MS, &run, &out->members, &err), 0);
    run_clear(&run);
    plan_free(plan);
    policy_clear(&policy.policy);
    return list_at(&out->members, struct run_member, 0)->pools.count;
}

static void where_its_disks_lie_is_noted_if_a_limit_asks(void **state)
{
    struct run_members members = {0};

    (void)state;
    world_add_pool(world, "alpha", "/images", &err);
    world_add_pool(world, "", "/mnt", &err);
    assert_int_equal(pools_of("{per_host: 1}", &members), 0);
    run_members_clear(&members);
    assert_int_equal(pools_of("{per_pool: 1}", &members), 2);
    const struct strings *pools = &list_at(&members.members, struct run_member, 0)->pools;
    assert_string_equal(pools->items[0], "alpha:/images"); /* where it runs */
    assert_string_equal(pools->items[1], "/mnt");
    run_members_clear(&members);
    world_limit_pools(world);
    assert_int_equal(pools_of("{per_host: 1}", &members), 2);
    run_members_clear(&members);
}

/* Whether the target has a checkpoint of its backup, and when that was made; 0: it has none. */
static void add_backed_up(struct plan *plan, const char *digit, bool checkpoint, int64_t made_ms)
{
    char id[64], point_id[64];
    snprintf(id, sizeof id, "00000000-0000-4000-8000-00000000000%s", digit);
    snprintf(point_id, sizeof point_id, "point-%s", digit);
    struct inventory_disk disk = {.device = (char *)"disk", .backup = (char *)"incremental"};
    struct inventory_checkpoint left = {.name = (char *)"c", .owner = point_id};
    const struct inventory_target target = {.host = (char *)"alpha",
                                            .target = {(char *)"libvirt", id, (char *)"s"},
                                            .state = (char *)"running",
                                            .disks = {&disk, 1},
                                            .checkpoints = {&left, checkpoint}};
    const struct restore_point point = {.id = point_id,
                                        .kind = (char *)"backup",
                                        .state = POINT_COMPLETE,
                                        .target = {(char *)"libvirt", id, NULL},
                                        .host = (char *)"alpha",
                                        .repository = (char *)main_id,
                                        .created_at_ms = made_ms};

    assert_int_equal(plan_add_target(plan, &target, &err), 0);
    if (made_ms)
        assert_int_equal(plan_add_point(plan, &point, &err), 0);
}

/* Of which of five targets the backup waits: "23". Runs are at midnight, slot_ms is the fourth of them. */
static void who_waits(const char *more, const char *kind, bool by_hand, char out[16])
{
    enum { DAY_MS = 24 * HOUR_MS };
    const int64_t slot_ms = 4LL * DAY_MS, before_ms = 3LL * DAY_MS;
    char yaml[300];
    snprintf(yaml, sizeof yaml,
             BASE "operation: backup.create\nrepository: main\n%s\nschedules: [{name: d, cron: '@daily', kind: %s}]\n",
             more, kind);
    struct ledger_policy policy = policy_of(yaml);
    const struct policy_schedule *schedule = list_at(&policy.policy.schedules, struct policy_schedule, 0);
    struct run_members members = {0};
    struct plan *plan;
    struct run run;

    assert_int_equal(plan_new(&policy.policy, world, &plan, &err), 0);
    assert_true(plan_wants_points(&policy.policy));
    add_backed_up(plan, "1", true, before_ms + 9);  /* will be an incremental */
    add_backed_up(plan, "2", false, before_ms + 2); /* reverted since */
    add_backed_up(plan, "3", false, before_ms + 3);
    add_backed_up(plan, "4", false, before_ms - 1); /* waited in the run before */
    add_backed_up(plan, "5", false, 0);             /* has none yet */
    assert_int_equal(plan_run(plan, &policy, by_hand ? NULL : schedule, slot_ms, slot_ms, &run, &members.members, &err),
                     0);
    assert_int_equal(run.members, 5);
    *out = '\0';
    for (size_t i = 0; i < 5; i++) {
        const struct run_member *member = list_at(&members.members, struct run_member, i);
        if (member->skipped) {
            assert_non_null(strstr(member->skipped, "limits.fulls"));
            strcat(out, member->target + strlen(member->target) - 1);
        }
    }
    run_clear(&run);
    run_members_clear(&members);
    plan_free(plan);
    policy_clear(&policy.policy);
}

static void fulls_that_reverts_made_necessary_are_spread(void **state)
{
    char text[16];

    (void)state;
    who_waits("limits: {fulls: 1}", "auto", false, text);
    assert_string_equal(text, "23"); /* 4 must be made, and takes the room */
    who_waits("limits: {fulls: 2}", "auto", false, text);
    assert_string_equal(text, "3");
    who_waits("limits: {fulls: 3}", "auto", false, text);
    assert_string_equal(text, "");
    who_waits("limits: {fulls: 1}\nmax_age: 26h", "auto", false, text);
    assert_string_equal(text, ""); /* the next run would be too late */
    who_waits("limits: {fulls: 1}\nmax_age: 48h", "auto", false, text);
    assert_string_equal(text, "23");
    who_waits("limits: {fulls: 1}", "full", false, text);
    assert_string_equal(text, ""); /* asked for */
    who_waits("limits: {fulls: 1}", "auto", true, text);
    assert_string_equal(text, "");
}

static void jobs_are_the_same_whoever_plans_them(void **state)
{
    struct ledger_policy policy = policy_of(
        BASE "operation: backup.create\nbackup: {quiesce: require, rate_limit: 1MiB, max_chain_age: 2d}\n");
    struct run run = {.policy = (char *)"n",
                      .schedule = (char *)"d",
                      .slot_ms = SLOT_MS,
                      .planned_at_ms = SLOT_MS,
                      .operation = (char *)"backup.create",
                      .kind = BACKUP_INCREMENTAL,
                      .priority = 3,
                      .window_end_at_ms = SLOT_MS + HOUR_MS};
    struct run_member member = {.target = (char *)"libvirt:00000000-0000-4000-8000-000000000001",
                                .name = (char *)"s1",
                                .host = (char *)"alpha",
                                .repository = (char *)main_id};
    struct job *job = NULL, *again = NULL, *moved = NULL;
    char run_id[37];

    (void)state;
    plan_run_id(&run, run_id);
    assert_int_equal(plan_job(&run, run_id, &policy.policy, &member, world, &job, &err), 0);
    assert_int_equal(plan_job(&run, run_id, &policy.policy, &member, world, &again, &err), 0);
    const struct params_backup_create *params = job->params;
    assert_string_equal(job->job_id, again->job_id);
    assert_int_equal(job->deadline_ms, again->deadline_ms);
    assert_int_equal(job->start_by_ms, SLOT_MS + HOUR_MS);
    assert_string_equal(job->requested_by, "policy:n");
    assert_string_equal(job->run, run_id);
    assert_int_equal(params->kind, BACKUP_INCREMENTAL);
    assert_int_equal(params->quiesce, QUIESCE_REQUIRE);
    assert_int_equal(params->rate_limit, 1 << 20);
    assert_string_equal(params->repository->path, "/backup");
    job->issued_at_ms = SLOT_MS;
    assert_int_equal(job_check(job, &err), 0);
    member.host = (char *)"beta"; /* the target moved */
    member.retarget = 1;
    assert_int_equal(plan_job(&run, run_id, &policy.policy, &member, world, &moved, &err), 0);
    assert_string_not_equal(moved->job_id, job->job_id);
    job_free(job);
    job_free(again);
    job_free(moved);
    member.host = (char *)"gamma";
    assert_int_equal(plan_job(&run, run_id, &policy.policy, &member, world, &job, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    policy_clear(&policy.policy);
}

static void add_backup(struct plan *plan, const char *id, int64_t created_ms, int depth)
{
    struct restore_point point = {
        .id = (char *)id,
        .kind = (char *)"backup",
        .state = POINT_COMPLETE,
        .target = {.kind = (char *)"libvirt", .id = (char *)"00000000-0000-4000-8000-000000000001"},
        .host = (char *)"beta",
        .repository = (char *)main_id,
        .created_at_ms = created_ms};

    if (depth >= 0) {
        struct point_verification *one = list_add(&point.verified, &point_verification_record, &err);
        one->ok = true;
        one->depth = depth;
    }
    assert_int_equal(plan_add_point(plan, &point, &err), 0);
    free(point.verified.items);
}

static void the_newest_unproven_points_are_verified(void **state)
{
    struct ledger_policy policy = policy_of(BASE "operation: backup.verify\nverify: {depth: image, newest: 2}\n");
    struct plan *plan;
    struct run run;
    struct run_members members = {0};

    (void)state;
    assert_int_equal(plan_new(&policy.policy, world, &plan, &err), 0);
    add_target(plan, "1", "s1", "gamma", "running");
    add_backup(plan, "b", 200, VERIFY_CHECKSUM); /* not deep enough */
    add_backup(plan, "d", 400, VERIFY_BOOT);
    add_backup(plan, "a", 100, -1);
    add_backup(plan, "c", 300, -1);
    assert_int_equal(plan_run(plan, &policy, NULL, SLOT_MS, SLOT_MS, &run, &members.members, &err), 0);
    assert_int_equal(members.members.count, 2);
    assert_string_equal(list_at(&members.members, struct run_member, 0)->point, "b");
    assert_string_equal(list_at(&members.members, struct run_member, 1)->point, "c");
    assert_string_equal(list_at(&members.members, struct run_member, 0)->host,
                        "alpha"); /* beta sleeps, gamma has no such repository */
    run_clear(&run);
    run_members_clear(&members);
    plan_free(plan);
    policy_clear(&policy.policy);
}

/* A sample of three backups in a repository that alpha has, and one that nobody has; the ids in the order of their turns. */
static void sample_of(const char *verify, int64_t slot_ms, char out[64])
{
    static const char *const ids[] = {"bad", "shallow", "never", "nowhere"};
    char yaml[200];
    snprintf(yaml, sizeof yaml, BASE "operation: backup.verify\nverify: %s\n", verify);
    struct ledger_policy policy = policy_of(yaml);
    struct run_members members = {0};
    struct plan *plan;
    struct run run;

    assert_int_equal(plan_new(&policy.policy, world, &plan, &err), 0);
    add_target(plan, "1", "s1", "gamma", "running");
    for (int id = 0; id < 4; id++) {
        struct point_verification tests[] = {{.at_ms = 500, .depth = VERIFY_IMAGE, .ok = id != 0},
                                             {.at_ms = 900, .depth = VERIFY_MANIFEST, .ok = true}};
        const struct restore_point point = {
            .id = (char *)ids[id],
            .kind = (char *)"backup",
            .state = POINT_COMPLETE,
            .target = {.kind = (char *)"libvirt", .id = (char *)"00000000-0000-4000-8000-000000000001"},
            .host = (char *)"alpha",
            .repository = (char *)(id == 3 ? "nobody's" : main_id),
            .created_at_ms = 100 + id,
            .verified = {.items = tests + (id == 1),
                         .count = id == 0   ? 2
                                  : id == 1 ? 1
                                            : 0}};
        assert_int_equal(plan_add_point(plan, &point, &err), 0);
    }
    assert_int_equal(plan_run(plan, &policy, NULL, slot_ms, slot_ms, &run, &members.members, &err), 0);
    assert_int_equal(run.members, members.members.count);
    out[0] = '\0';
    for (size_t i = 0; i < members.members.count; i++)
        sprintf(out + strlen(out), "%s ", list_at(&members.members, struct run_member, i)->point);
    run_clear(&run);
    run_members_clear(&members);
    plan_free(plan);
    policy_clear(&policy.policy);
}

static void a_sample_is_of_those_that_wait_longest(void **state)
{
    bool never = false, shallow = false;
    char text[64], again[64];

    (void)state;
    sample_of("{depth: checksum, sample: 2}", SLOT_MS, text);
    assert_string_equal(text, "never shallow "); /* what was tested, though found bad, comes last */
    sample_of("{depth: checksum, sample: 9}", SLOT_MS, text);
    assert_string_equal(text, "bad never shallow ");
    sample_of("{depth: checksum, sample_percent: 26}", SLOT_MS, text);
    assert_string_equal(text, "never shallow ");                         /* of four, rounded up */
    for (int64_t slot_ms = SLOT_MS; slot_ms < SLOT_MS + 20; slot_ms++) { /* among equals the run draws, for ever alike */
        sample_of("{depth: checksum, sample: 1}", slot_ms, text);
        sample_of("{depth: checksum, sample: 1}", slot_ms, again);
        assert_string_equal(text, again);
        never |= strcmp(text, "never ") == 0;
        shallow |= strcmp(text, "shallow ") == 0;
    }
    assert_true(never && shallow);
}

static void add_copy(struct plan *plan, const char *of, const char *repository)
{
    const struct restore_point point = {
        .id = (char *)"copy",
        .kind = (char *)"backup",
        .state = POINT_COMPLETE,
        .target = {.kind = (char *)"libvirt", .id = (char *)"00000000-0000-4000-8000-000000000001"},
        .host = (char *)"alpha",
        .repository = (char *)repository,
        .copied_point = (char *)of,
        .created_at_ms = 300};

    assert_int_equal(plan_add_point(plan, &point, &err), 0);
}

/* Plans a copy of the newest of two backups, and of the other one's copy in `copied`; NULL: it has none. */
static struct run_members plan_copies(const struct ledger_policy *policy, const char *newest_in, const char *copied,
                                      bool bad)
{
    struct run_members members = {0};
    struct plan *plan;
    struct run run;

    assert_int_equal(plan_new(&policy->policy, world, &plan, &err), 0);
    add_target(plan, "1", "s1", "gamma", "running");
    add_backup(plan, "old", 200, -1);
    struct restore_point newest = {
        .id = (char *)"new",
        .kind = (char *)"backup",
        .state = POINT_COMPLETE,
        .target = {.kind = (char *)"libvirt", .id = (char *)"00000000-0000-4000-8000-000000000001"},
        .host = (char *)"alpha",
        .repository = (char *)newest_in,
        .created_at_ms = 300};
    if (bad) {
        struct point_verification *one = list_add(&newest.verified, &point_verification_record, &err);
        one->ok = false;
    }
    assert_int_equal(plan_add_point(plan, &newest, &err), 0);
    free(newest.verified.items);
    if (copied)
        add_copy(plan, "new", copied);
    assert_int_equal(plan_run(plan, policy, NULL, SLOT_MS, SLOT_MS, &run, &members.members, &err), 0);
    assert_string_equal(run.operation, "backup.copy");
    run_clear(&run);
    plan_free(plan);
    return members;
}

static void the_newest_is_copied_once(void **state)
{
    struct ledger_policy policy = policy_of(BASE "operation: backup.copy\nrepository: other\n");
    struct run run = {.policy = (char *)"n",
                      .schedule = (char *)"manual",
                      .slot_ms = SLOT_MS,
                      .planned_at_ms = SLOT_MS,
                      .operation = (char *)"backup.copy"};
    struct run_members members = plan_copies(&policy, main_id, NULL, false);
    struct job *job;

    (void)state;
    assert_int_equal(members.members.count, 1);
    struct run_member *member = list_at(&members.members, struct run_member, 0);
    assert_string_equal(member->point, "new");
    assert_string_equal(member->host, "alpha"); /* it alone has both */
    string_set(&member->point, other_id, &err);
    assert_int_equal(plan_job(&run, main_id, &policy.policy, member, world, &job, &err), 0);
    const struct params_backup_copy *params = job->params;
    assert_string_equal(params->repository->path, "/backup");
    assert_string_equal(params->to->path, "/other");
    assert_false(params->chain);
    job->issued_at_ms = SLOT_MS;
    assert_int_equal(job_check(job, &err), 0);
    job_free(job);
    run_members_clear(&members);
    members = plan_copies(&policy, main_id, other_id, false); /* it is there */
    assert_int_equal(members.members.count, 0);
    members = plan_copies(&policy, main_id, main_id, false); /* a copy elsewhere is none here */
    assert_int_equal(members.members.count, 1);
    run_members_clear(&members);
    members = plan_copies(&policy, other_id, NULL, false); /* it was made there */
    assert_int_equal(members.members.count, 0);
    members = plan_copies(&policy, main_id, NULL, true); /* found damaged */
    assert_string_equal(list_at(&members.members, struct run_member, 0)->point, "old");
    run_members_clear(&members);
    policy_clear(&policy.policy);
    policy = policy_of(BASE "operation: backup.copy\nrepository: nowhere\n");
    members = plan_copies(&policy, main_id, NULL, false);
    assert_non_null(strstr(list_at(&members.members, struct run_member, 0)->skipped, "no host has both"));
    run_members_clear(&members);
    policy_clear(&policy.policy);
}

static void which_repository_is_meant(void **state)
{
    char why[200];

    (void)state;
    assert_null(world_repository(world, NULL, "libvirt:x", "alpha", why));
    assert_non_null(strstr(why, "2 repositories"));
    assert_string_equal(world_repository(world, NULL, "libvirt:x", "beta", why)->path, "/mnt/backup");
    world_add_default(world, "*", "other", &err);
    assert_string_equal(world_repository(world, NULL, "libvirt:x", "alpha", why)->name, "other");
    world_add_default(world, "libvirt:x", "main", &err);
    assert_string_equal(world_repository(world, NULL, "libvirt:x", "alpha", why)->name, "main");
    assert_string_equal(world_repository(world, other_id, "libvirt:x", "alpha", why)->name, "other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_has_a_member_for_each_target, make_world, free_world),
        cmocka_unit_test_setup_teardown(where_its_disks_lie_is_noted_if_a_limit_asks, make_world, free_world),
        cmocka_unit_test_setup_teardown(fulls_that_reverts_made_necessary_are_spread, make_world, free_world),
        cmocka_unit_test_setup_teardown(jobs_are_the_same_whoever_plans_them, make_world, free_world),
        cmocka_unit_test_setup_teardown(the_newest_unproven_points_are_verified, make_world, free_world),
        cmocka_unit_test_setup_teardown(a_sample_is_of_those_that_wait_longest, make_world, free_world),
        cmocka_unit_test_setup_teardown(the_newest_is_copied_once, make_world, free_world),
        cmocka_unit_test_setup_teardown(which_repository_is_meant, make_world, free_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
