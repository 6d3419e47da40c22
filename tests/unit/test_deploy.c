/* What a deploy does next, from tables; and whole deploys, with a leader that dies between any two steps. */
#include "base/err.h"
#include "coordinator/deploy_plan.h"
#include "model/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BEGUN = 1000, HOUR = 3600 * 1000, STEPS_MAX = 60 };

static const struct deploy_word succeeded = {.says = DEPLOY_SAYS_SUCCEEDED}, failed = {.says = DEPLOY_SAYS_FAILED},
                                revert = {.says = DEPLOY_SAYS_FAILED, .revert = true, .parallel = 2};

static struct deploy at(enum deploy_state state)
{
    return (struct deploy){.selector = (char *)"app=shop",
                           .state = (int)state,
                           .begun_at_ms = BEGUN,
                           .state_at_ms = BEGUN,
                           .ttl_ms = HOUR,
                           .timeout_ms = HOUR,
                           .parallel = 1};
}

static struct deploy_move decide(struct deploy deploy, struct deploy_sight sight, int64_t now_ms)
{
    struct deploy_move move;

    deploy_decide(&deploy, &sight, now_ms, &move);
    return move;
}

#define SIGHT(...)  ((struct deploy_sight){__VA_ARGS__})
#define RUN_IS(how) .has_run = true, .run = (how)

static void what_each_state_does(void **state)
{
    const char other[] = "db is in deploy 7", dead[] = "db: host beta takes no work now";
    const struct {
        const char *name;
        struct deploy deploy;
        struct deploy_sight sight;
        int64_t after_ms;
        enum deploy_act act;
        enum deploy_state next;
    } rows[] = {
        {"begun", at(DEPLOY_PLANNING), SIGHT(0), 1, DEPLOY_START, DEPLOY_PLANNING},
        {"its run is written", at(DEPLOY_PLANNING), SIGHT(RUN_IS(RUN_RUNNING)), 1, DEPLOY_CHANGE, DEPLOY_SNAPSHOTTING},
        {"another has a target", at(DEPLOY_PLANNING), SIGHT(.blocked = other), 1, DEPLOY_CHANGE, DEPLOY_REFUSED},
        {"a host is not heard yet", at(DEPLOY_PLANNING), SIGHT(.unfit = dead, .unfit_since_ms = BEGUN), 19999,
         DEPLOY_REST, DEPLOY_PLANNING},
        {"a host is dead", at(DEPLOY_PLANNING), SIGHT(.unfit = dead, .unfit_since_ms = BEGUN), 20000, DEPLOY_CHANGE,
         DEPLOY_REFUSED},
        {"failed before it began", at(DEPLOY_PLANNING), SIGHT(.word = &revert), 1, DEPLOY_CHANGE, DEPLOY_UNDONE},
        {"succeeded before it began", at(DEPLOY_PLANNING), SIGHT(.word = &succeeded), 1, DEPLOY_START, DEPLOY_PLANNING},
        {"snapshots go on", at(DEPLOY_SNAPSHOTTING), SIGHT(RUN_IS(RUN_RUNNING)), 2 * HOUR, DEPLOY_REST,
         DEPLOY_SNAPSHOTTING},
        {"snapshots are there", at(DEPLOY_SNAPSHOTTING), SIGHT(RUN_IS(RUN_DONE)), 1, DEPLOY_CHANGE, DEPLOY_READY},
        {"one failed", at(DEPLOY_SNAPSHOTTING), SIGHT(RUN_IS(RUN_SOME_FAILED)), 1, DEPLOY_CHANGE, DEPLOY_UNDOING},
        {"all failed", at(DEPLOY_SNAPSHOTTING), SIGHT(RUN_IS(RUN_FAILED)), 1, DEPLOY_CHANGE, DEPLOY_UNDOING},
        {"one is unknown", at(DEPLOY_SNAPSHOTTING), SIGHT(RUN_IS(RUN_UNKNOWN)), 1, DEPLOY_CHANGE, DEPLOY_UNDOING},
        {"too slow", at(DEPLOY_SNAPSHOTTING), SIGHT(RUN_IS(RUN_CANCELLED)), 1, DEPLOY_CHANGE, DEPLOY_UNDOING},
        {"failed meanwhile", at(DEPLOY_SNAPSHOTTING), SIGHT(RUN_IS(RUN_RUNNING), .word = &failed), 1, DEPLOY_STOP,
         DEPLOY_SNAPSHOTTING},
        {"and stops", at(DEPLOY_SNAPSHOTTING), SIGHT(RUN_IS(RUN_RUNNING), .word = &failed, .stop_asked = true), 1,
         DEPLOY_REST, DEPLOY_SNAPSHOTTING},
        {"and has stopped", at(DEPLOY_SNAPSHOTTING), SIGHT(RUN_IS(RUN_DONE), .word = &failed), 1, DEPLOY_CHANGE,
         DEPLOY_UNDOING},
        {"succeeded is early", at(DEPLOY_SNAPSHOTTING), SIGHT(RUN_IS(RUN_RUNNING), .word = &succeeded), 1, DEPLOY_REST,
         DEPLOY_SNAPSHOTTING},
        {"ready", at(DEPLOY_READY), SIGHT(0), HOUR - 1, DEPLOY_REST, DEPLOY_READY},
        {"ready, succeeded", at(DEPLOY_READY), SIGHT(.word = &succeeded), 1, DEPLOY_CHANGE, DEPLOY_SUCCEEDED},
        {"ready, failed", at(DEPLOY_READY), SIGHT(.word = &failed), 1, DEPLOY_CHANGE, DEPLOY_FAILED},
        {"ready, to revert", at(DEPLOY_READY), SIGHT(.word = &revert), 1, DEPLOY_CHANGE, DEPLOY_REVERTING},
        {"nobody said", at(DEPLOY_READY), SIGHT(0), HOUR, DEPLOY_CHANGE, DEPLOY_EXPIRED},
        {"a word at the last moment", at(DEPLOY_READY), SIGHT(.word = &succeeded), HOUR, DEPLOY_CHANGE, DEPLOY_SUCCEEDED},
        {"reverting", at(DEPLOY_REVERTING), SIGHT(0), 1, DEPLOY_START, DEPLOY_REVERTING},
        {"it goes on", at(DEPLOY_REVERTING), SIGHT(RUN_IS(RUN_RUNNING)), 9 * HOUR, DEPLOY_REST, DEPLOY_REVERTING},
        {"reverted", at(DEPLOY_REVERTING), SIGHT(RUN_IS(RUN_DONE)), 1, DEPLOY_CHANGE, DEPLOY_REVERTED},
        {"not reverted", at(DEPLOY_REVERTING), SIGHT(RUN_IS(RUN_SOME_FAILED)), 1, DEPLOY_CHANGE, DEPLOY_REVERT_FAILED},
        {"not known", at(DEPLOY_REVERTING), SIGHT(RUN_IS(RUN_UNKNOWN)), 1, DEPLOY_CHANGE, DEPLOY_REVERT_FAILED},
        {"again", at(DEPLOY_REVERT_FAILED), SIGHT(.word = &revert), 1, DEPLOY_CHANGE, DEPLOY_REVERTING},
        {"late", at(DEPLOY_EXPIRED), SIGHT(.word = &revert), 1, DEPLOY_CHANGE, DEPLOY_REVERTING},
        {"late, but well", at(DEPLOY_EXPIRED), SIGHT(.word = &succeeded), 1, DEPLOY_CHANGE, DEPLOY_SUCCEEDED},
        {"after all", at(DEPLOY_FAILED), SIGHT(.word = &revert), 1, DEPLOY_CHANGE, DEPLOY_REVERTING},
        {"no way from failed", at(DEPLOY_FAILED), SIGHT(.word = &succeeded), 1, DEPLOY_CHANGE, DEPLOY_FAILED},
        {"no way from succeeded", at(DEPLOY_SUCCEEDED), SIGHT(.word = &revert), 1, DEPLOY_CHANGE, DEPLOY_SUCCEEDED},
        {"nor from undone", at(DEPLOY_UNDONE), SIGHT(.word = &revert), 1, DEPLOY_CHANGE, DEPLOY_UNDONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct deploy_move move = decide(rows[i].deploy, rows[i].sight, BEGUN + rows[i].after_ms);
        if (move.act != rows[i].act || move.next.state != (int)rows[i].next)
            fail_msg("%s: act %d, state %s", rows[i].name, (int)move.act, deploy_state_names[move.next.state]);
    }
}

static void an_overlap_is_refused_or_waited_for(void **state)
{
    struct deploy deploy = at(DEPLOY_PLANNING);
    const struct deploy_sight blocked = {.blocked = "db is in deploy 7"};

    (void)state;
    assert_string_equal(decide(deploy, blocked, BEGUN).next.why, "db is in deploy 7");
    deploy.overlap = DEPLOY_OVERLAP_WAIT;
    assert_int_equal(decide(deploy, blocked, BEGUN + HOUR - 1).act, DEPLOY_REST);
    assert_int_equal(decide(deploy, SIGHT(0), BEGUN + HOUR - 1).act, DEPLOY_START);
    assert_int_equal(decide(deploy, blocked, BEGUN + HOUR).next.state, DEPLOY_REFUSED);
}

/* Groups on one host are made one after the other: that takes seconds, so each waits. */
static void a_group_waits_for_another_on_its_hosts(void **state)
{
    struct deploy deploy = at(DEPLOY_PLANNING);
    const struct deploy_sight crowded = {.crowded = "another consistency group is being made on host alpha: 7"};

    (void)state;
    deploy.group_limit_ms = 10000;
    deploy.within_ms = 600;
    assert_int_equal(decide(deploy, crowded, BEGUN + 599).act, DEPLOY_REST);
    assert_int_equal(decide(deploy, SIGHT(0), BEGUN + 599).act, DEPLOY_START);
    assert_int_equal(decide(deploy, crowded, BEGUN + 600).next.state, DEPLOY_REFUSED);
}

static void a_group_alone_is_kept_and_gone_back_to_as_often_as_wanted(void **state)
{
    struct deploy group = at(DEPLOY_SNAPSHOTTING);

    (void)state;
    group.group_limit_ms = 10000;
    group.standing = true;
    group.ttl_ms = 0;
    struct deploy made = decide(group, SIGHT(RUN_IS(RUN_DONE)), BEGUN).next;
    assert_int_equal(made.state, DEPLOY_SUCCEEDED);
    assert_int_equal(made.expires_at_ms, 0);
    assert_int_equal(decide(made, SIGHT(0), BEGUN + 40LL * 24 * HOUR).act, DEPLOY_REST);
    for (int times = 0; times < 2; times++) {
        assert_int_equal(deploy_hears(&made, NULL, &revert), DEPLOY_HEARS);
        struct deploy back = decide(made, SIGHT(.word = &revert), BEGUN + 1).next;
        assert_int_equal(back.state, DEPLOY_REVERTING);
        made = decide(back, SIGHT(RUN_IS(RUN_DONE)), BEGUN + 2).next;
        assert_int_equal(made.state, DEPLOY_REVERTED);
        assert_int_equal(made.expires_at_ms, 0);
    }
    assert_int_equal(deploy_hears(&made, NULL, &failed), DEPLOY_KNOWS);
    assert_int_equal(decide(made, SIGHT(0), BEGUN + 42LL * 24 * HOUR).act, DEPLOY_FORGET); /* its snapshots stay */
    assert_int_equal(decide(group, SIGHT(RUN_IS(RUN_FAILED)), BEGUN).next.state, DEPLOY_UNDOING);
    group.ttl_ms = HOUR;
    made = decide(group, SIGHT(RUN_IS(RUN_DONE)), BEGUN).next;
    assert_int_equal(made.expires_at_ms, BEGUN + HOUR);
}

static void a_group_of_backups_is_not_reverted(void **state)
{
    struct deploy group = at(DEPLOY_SNAPSHOTTING);

    (void)state;
    group.group_limit_ms = 10000;
    group.standing = true;
    group.operation = DEPLOY_BACKUPS;
    struct deploy made = decide(group, SIGHT(RUN_IS(RUN_DONE)), BEGUN).next;
    assert_int_equal(made.state, DEPLOY_SUCCEEDED);
    assert_int_equal(deploy_hears(&made, NULL, &revert), DEPLOY_REFUSES);
    struct deploy undoing = decide(group, SIGHT(RUN_IS(RUN_SOME_FAILED)), BEGUN).next;
    assert_int_equal(undoing.state, DEPLOY_UNDOING);
    assert_string_equal(undoing.why, "not every machine got its backup");
}

/* Those that were made go, by the ids of the jobs that made them. */
static void backups_of_a_group_that_failed_are_deleted(void **state)
{
    struct run_members begun = {0}, gone = {0};
    const bool made[] = {false, true};
    struct deploy group = at(DEPLOY_UNDOING);
    struct run run = {0};
    struct err err = {0};

    (void)state;
    group.operation = DEPLOY_BACKUPS;
    group.delete_at_ms = BEGUN;
    for (int i = 0; i < 2; i++) {
        struct run_member *member = list_add(&begun.members, &run_member_record, &err);
        string_set(&member->target, i ? "libvirt:2" : "libvirt:1", &err);
        string_set(&member->host, "alpha", &err);
        string_set(&member->repository, "main", &err);
        string_set(&member->point, i ? "p2" : "p1", &err);
    }
    assert_int_equal(
        deploy_plan_back("7", &group, DEPLOY_RUN_DELETE, &begun.members, made, BEGUN, &run, &gone.members, &err), 0);
    assert_string_equal(run.operation, "backup.delete");
    assert_int_equal(gone.members.count, 1);
    assert_string_equal(list_at(&gone.members, struct run_member, 0)->point, "p2");
    assert_string_equal(list_at(&gone.members, struct run_member, 0)->repository, "main");
    run_members_clear(&begun);
    run_members_clear(&gone);
    run_clear(&run);
}

static void only_who_may_is_reverted_by_itself(void **state)
{
    struct deploy deploy = at(DEPLOY_READY);
    struct deploy_move move;

    (void)state;
    deploy.auto_revert = true;
    assert_int_equal(decide(deploy, SIGHT(.may_revert = true), BEGUN + HOUR - 1).act, DEPLOY_REST);
    move = decide(deploy, SIGHT(.may_revert = true), BEGUN + HOUR);
    assert_int_equal(move.next.state, DEPLOY_REVERTING);
    assert_true(move.warns);
    assert_int_equal(move.next.parallel, 1);
    move = decide(deploy, SIGHT(.may_revert = false), BEGUN + HOUR);
    assert_int_equal(move.next.state, DEPLOY_EXPIRED);
    assert_true(move.warns);
    assert_non_null(strstr(move.next.why, "may not revert"));
}

static void snapshots_are_kept_for_their_time(void **state)
{
    struct deploy_move move = decide(at(DEPLOY_READY), SIGHT(.word = &succeeded), BEGUN + 5);
    struct deploy ended = move.next;

    (void)state;
    assert_int_equal(ended.expires_at_ms, BEGUN + 5 + HOUR);
    assert_int_equal(decide(ended, SIGHT(0), ended.expires_at_ms - 1).act, DEPLOY_REST);
    move = decide(ended, SIGHT(0), ended.expires_at_ms);
    assert_true(move.next.cleaning);
    assert_int_equal(move.next.delete_at_ms, ended.expires_at_ms);
    assert_int_equal(decide(move.next, SIGHT(0), ended.expires_at_ms + 1).act, DEPLOY_START);
    struct deploy cleaning = move.next;
    move = decide(cleaning, SIGHT(RUN_IS(RUN_FAILED)), ended.expires_at_ms + 9);
    assert_true(move.warns && !move.next.cleaning && !move.next.cleaned_at_ms);
    assert_int_equal(move.next.expires_at_ms, ended.expires_at_ms + 9 + 6 * HOUR); /* tried again */
    move = decide(cleaning, SIGHT(RUN_IS(RUN_DONE)), ended.expires_at_ms + 9);
    assert_int_equal(move.next.cleaned_at_ms, ended.expires_at_ms + 9);
    assert_true(deploy_settled(&move.next));
    struct deploy_move lost = decide(cleaning, SIGHT(RUN_IS(RUN_EMPTY), .unended = true), ended.expires_at_ms + 9);
    assert_false(lost.next.cleaned_at_ms || lost.warns); /* a silent host may have made one */
    assert_int_equal(lost.next.expires_at_ms, ended.expires_at_ms + 9 + 6 * HOUR);
    assert_int_equal(decide(move.next, SIGHT(0), ended.expires_at_ms + 40LL * 24 * HOUR).act, DEPLOY_REST);
    assert_int_equal(decide(move.next, SIGHT(0), ended.expires_at_ms + 42LL * 24 * HOUR).act, DEPLOY_FORGET);
    /* The way back that failed is never taken away by itself. */
    struct deploy stuck = decide(at(DEPLOY_REVERTING), SIGHT(RUN_IS(RUN_FAILED)), BEGUN).next;
    assert_int_equal(decide(stuck, SIGHT(0), BEGUN + 30LL * 24 * HOUR).act, DEPLOY_REST);
}

static void a_word_counts_once_and_the_first_one_stands(void **state)
{
    const struct {
        enum deploy_state state;
        enum deploy_hears succeeded, failed, revert;
    } rows[] = {
        {DEPLOY_PLANNING, DEPLOY_HEARS, DEPLOY_HEARS, DEPLOY_HEARS},
        {DEPLOY_SNAPSHOTTING, DEPLOY_HEARS, DEPLOY_HEARS, DEPLOY_HEARS},
        {DEPLOY_READY, DEPLOY_HEARS, DEPLOY_HEARS, DEPLOY_HEARS},
        {DEPLOY_UNDOING, DEPLOY_REFUSES, DEPLOY_KNOWS, DEPLOY_KNOWS},
        {DEPLOY_REVERTING, DEPLOY_REFUSES, DEPLOY_KNOWS, DEPLOY_KNOWS},
        {DEPLOY_REFUSED, DEPLOY_REFUSES, DEPLOY_KNOWS, DEPLOY_KNOWS},
        {DEPLOY_UNDONE, DEPLOY_REFUSES, DEPLOY_KNOWS, DEPLOY_KNOWS},
        {DEPLOY_SUCCEEDED, DEPLOY_KNOWS, DEPLOY_REFUSES, DEPLOY_REFUSES},
        {DEPLOY_FAILED, DEPLOY_REFUSES, DEPLOY_KNOWS, DEPLOY_HEARS},
        {DEPLOY_REVERTED, DEPLOY_REFUSES, DEPLOY_KNOWS, DEPLOY_KNOWS},
        {DEPLOY_REVERT_FAILED, DEPLOY_REFUSES, DEPLOY_KNOWS, DEPLOY_HEARS},
        {DEPLOY_EXPIRED, DEPLOY_HEARS, DEPLOY_HEARS, DEPLOY_HEARS},
    };
    struct deploy gone = at(DEPLOY_FAILED), ready = at(DEPLOY_READY);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct deploy deploy = at(rows[i].state);
        assert_int_equal(deploy_hears(&deploy, NULL, &succeeded), rows[i].succeeded);
        assert_int_equal(deploy_hears(&deploy, NULL, &failed), rows[i].failed);
        assert_int_equal(deploy_hears(&deploy, NULL, &revert), rows[i].revert);
    }
    gone.cleaned_at_ms = BEGUN;
    assert_int_equal(deploy_hears(&gone, NULL, &revert), DEPLOY_REFUSES);
    assert_int_equal(deploy_hears(&ready, &failed, &succeeded), DEPLOY_REFUSES);
    assert_int_equal(deploy_hears(&ready, &succeeded, &revert), DEPLOY_REFUSES);
    assert_int_equal(deploy_hears(&ready, &succeeded, &succeeded), DEPLOY_KNOWS);
    assert_int_equal(deploy_hears(&ready, &failed, &revert), DEPLOY_HEARS);
    assert_int_equal(deploy_hears(&ready, &revert, &failed), DEPLOY_KNOWS);
}

/* ---- whole deploys ---- */

/* The ledger in small: the record, and which runs are written. A step may be lost before it is written, or repeated after it. */
struct play {
    struct deploy deploy;
    bool written[3];
    int64_t slots[3];
    enum run_outcome outcomes[3];
    const struct deploy_word *words[3];
    int starts[3];
};

static bool turn(struct play *play, int64_t now_ms, bool dies)
{
    enum deploy_run kind;
    int64_t slot_ms;
    bool runs = deploy_run_of(&play->deploy, &kind, &slot_ms);
    struct deploy_sight sight = {.word = play->words[play->deploy.words], .may_revert = true};
    struct deploy_move move;

    if (runs && play->written[kind] && play->slots[kind] == slot_ms) {
        sight.has_run = true;
        sight.run = play->outcomes[kind];
    }
    deploy_decide(&play->deploy, &sight, now_ms, &move);
    if (dies || move.act == DEPLOY_REST)
        return !dies;
    if (move.act == DEPLOY_START) {
        assert_true(runs && !sight.has_run);
        play->written[kind] = true;
        play->slots[kind] = slot_ms;
        play->starts[kind]++;
    } else if (move.act == DEPLOY_CHANGE) {
        play->deploy = move.next;
    }
    return false;
}

/* To the end, with a death instead of each step in turn; `at_most` of each run are started. */
static void play_on(const struct play *script, enum deploy_state end, const int starts[3])
{
    for (int death = -1; death < STEPS_MAX; death++) {
        struct play play = *script;
        int64_t now_ms = BEGUN;
        for (int step = 0; step < STEPS_MAX; step++)
            turn(&play, now_ms++, step == death);
        if (play.deploy.state != (int)end)
            fail_msg("a death at step %d ends in %s, not in %s", death, deploy_state_names[play.deploy.state],
                     deploy_state_names[end]);
        for (int kind = 0; kind < 3; kind++)
            if (play.starts[kind] != starts[kind])
                fail_msg("a death at step %d: %d runs of kind %s to %s", death, play.starts[kind],
                         deploy_run_names[kind], deploy_state_names[end]);
    }
}

static void a_leader_may_die_at_any_step(void **state)
{
    struct play play = {.deploy = at(DEPLOY_PLANNING), .outcomes = {RUN_DONE, RUN_DONE, RUN_DONE}};

    (void)state;
    play.deploy.ttl_ms = play.deploy.timeout_ms = 1000000;
    play_on(&play, DEPLOY_READY, (int[]){1, 0, 0});
    play.words[0] = &succeeded;
    play_on(&play, DEPLOY_SUCCEEDED, (int[]){1, 0, 0});
    play.deploy.ttl_ms = 1;
    play_on(&play, DEPLOY_SUCCEEDED, (int[]){1, 0, 1});
    play.words[0] = &revert;
    play.deploy.state = DEPLOY_READY;
    play_on(&play, DEPLOY_REVERTED, (int[]){0, 1, 1});
    play.deploy.state = DEPLOY_PLANNING;
    play.words[0] = &failed;
    play.words[1] = &revert;
    play.deploy.ttl_ms = 1000000;
    play_on(&play, DEPLOY_UNDONE, (int[]){0, 0, 0}); /* said before it began */
    play.words[0] = play.words[1] = NULL;
    play.outcomes[DEPLOY_RUN_BEGIN] = RUN_SOME_FAILED;
    play_on(&play, DEPLOY_UNDONE, (int[]){1, 0, 1});
    play.outcomes[DEPLOY_RUN_BEGIN] = RUN_DONE;
    play.outcomes[DEPLOY_RUN_REVERT] = RUN_SOME_FAILED;
    play.words[0] = &revert;
    play.deploy.state = DEPLOY_READY;
    play_on(&play, DEPLOY_REVERT_FAILED, (int[]){0, 1, 0});
    play.words[1] = &revert;
    play_on(&play, DEPLOY_REVERT_FAILED, (int[]){0, 2, 0});
}

/* ---- runs ---- */

static struct run_members members_of(const char *const names[])
{
    struct run_members members = {0};
    struct err err = {0};

    for (; *names; names++) {
        struct run_member *member = list_add(&members.members, &run_member_record, &err);
        char target[64];
        snprintf(target, sizeof target, "libvirt:%s", *names);
        assert_int_equal(string_set(&member->target, target, &err), 0);
        assert_int_equal(string_set(&member->name, *names, &err), 0);
        assert_int_equal(string_set(&member->host, "alpha", &err), 0);
        assert_int_equal(string_set(&member->snapshot, "deploy-7", &err), 0);
    }
    return members;
}

static void a_revert_keeps_its_order(void **state)
{
    struct run_members members = members_of((const char *const[]){"db", "queue", "web-1", "web-2", NULL}), back = {0};
    const bool made[] = {true, true, true, false};
    struct deploy deploy = at(DEPLOY_REVERTING);
    struct run run = {0};
    struct err err = {0};
    static const char *const expected[] = {"queue", "web-1", "db"};

    (void)state;
    assert_int_equal(strings_add(&deploy.order, "alpha/queue", &err), 0);
    deploy.revert_at_ms = 77;
    assert_int_equal(
        deploy_plan_back("7", &deploy, DEPLOY_RUN_REVERT, &members.members, made, 80, &run, &back.members, &err), 0);
    assert_int_equal(back.members.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(list_at(&back.members, struct run_member, i)->name, expected[i]);
    assert_true(run.in_order && run.stop_on_failure);
    assert_int_equal(run.at_once, 1);
    assert_int_equal(run.slot_ms, 77);
    assert_string_equal(run.operation, "snapshot.revert");
    assert_null(deploy_plan_stranger(&members.members, &deploy.order));
    assert_int_equal(strings_add(&deploy.order, "cache", &err), 0);
    assert_string_equal(deploy_plan_stranger(&members.members, &deploy.order), "cache");
    strings_clear(&deploy.order);
    run_clear(&run);
    run_members_clear(&back);
    run_members_clear(&members);
}

static void its_jobs_are_the_same_whoever_plans_them(void **state)
{
    struct run_members members = members_of((const char *const[]){"x", NULL}), back = {0};
    struct deploy deploy = at(DEPLOY_REVERTING);
    struct run run = {0};
    struct job *job = NULL;
    struct err err = {0};
    char id[37], again[37];

    (void)state;
    assert_int_equal(string_set(&list_at(&members.members, struct run_member, 0)->target,
                                "libvirt:00000000-0000-4000-8000-000000000001", &err),
                     0);
    deploy.revert_at_ms = 77;
    assert_int_equal(deploy_plan_back("7", &deploy, DEPLOY_RUN_REVERT, &members.members, (bool[]){true}, 80, &run,
                                      &back.members, &err),
                     0);
    plan_run_id(&run, id);
    deploy_run_id("7", DEPLOY_RUN_REVERT, 77, again);
    assert_string_equal(id, again);
    assert_int_equal(plan_job(&run, id, NULL, list_at(&back.members, struct run_member, 0), NULL, &job, &err), 0);
    assert_int_equal(job->op, OP_SNAPSHOT_REVERT);
    assert_string_equal(((struct params_snapshot_revert *)job->params)->name, "deploy-7");
    assert_string_equal(job->deploy_id, "7");
    assert_null(job->policy);
    job_free(job);
    run_clear(&run);
    run_members_clear(&back);
    run_members_clear(&members);
}

static void ids_are_checked(void **state)
{
    char longest[DEPLOY_ID_MAX + 2];

    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[DEPLOY_ID_MAX] = '\0';
    assert_true(deploy_id_valid("2214") && deploy_id_valid("shop-v1.2_rc+3:4") && deploy_id_valid(longest));
    longest[DEPLOY_ID_MAX] = 'x';
    longest[DEPLOY_ID_MAX + 1] = '\0';
    assert_false(deploy_id_valid(longest));
    assert_false(deploy_id_valid("") || deploy_id_valid("a/b") || deploy_id_valid("a@1") || deploy_id_valid("-x") ||
                 deploy_id_valid("a b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_each_state_does),
        cmocka_unit_test(an_overlap_is_refused_or_waited_for),
        cmocka_unit_test(a_group_waits_for_another_on_its_hosts),
        cmocka_unit_test(a_group_alone_is_kept_and_gone_back_to_as_often_as_wanted),
        cmocka_unit_test(a_group_of_backups_is_not_reverted),
        cmocka_unit_test(backups_of_a_group_that_failed_are_deleted),
        cmocka_unit_test(only_who_may_is_reverted_by_itself),
        cmocka_unit_test(snapshots_are_kept_for_their_time),
        cmocka_unit_test(a_word_counts_once_and_the_first_one_stands),
        cmocka_unit_test(a_leader_may_die_at_any_step),
        cmocka_unit_test(a_revert_keeps_its_order),
        cmocka_unit_test(its_jobs_are_the_same_whoever_plans_them),
        cmocka_unit_test(ids_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
