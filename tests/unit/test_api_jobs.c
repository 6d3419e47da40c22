/* What people leave open is filled in; what cannot be meant is refused with a way out. */
#include "api_world.h"
#include "base/uuid.h"

static int ask(struct world *world, const char *key, const char *method, const char *path, const char *body)
{
    return world_ask(world, ADMIN, key, method, path, body);
}

static const char *at(const json_t *json, const char *path)
{
    char name[64];

    while (strchr(path, '.')) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(path, "."), path);
        json = json_object_get(json, name);
        path = strchr(path, '.') + 1;
    }
    const char *text = json_string_value(json_object_get(json, path));
    return text ? text : "";
}

static const json_t *last_job(const struct world *world)
{
    const json_t *jobs = fake_submitted(world->fake);

    return json_array_get(jobs, json_array_size(jobs) - 1);
}

static int submit(struct world *world, const char *body)
{
    return ask(world, NULL, "POST", "/v1/jobs", body);
}

static void names_become_targets(void **state)
{
    struct world *world = *state;

    assert_int_equal(
        submit(
            world,
            "{\"op\":\"snapshot.create\",\"target\":\"shop-1\",\"params\":{\"name\":\"x\",\"quiesce\":\"require\"},\"reason\":\"deploy\"}"),
        202);
    assert_string_equal(at(last_job(world), "target.id"), "a0000000-0000-4000-8000-000000000001");
    assert_string_equal(at(last_job(world), "host"), "alpha");
    assert_string_equal(at(last_job(world), "params.quiesce"), "require");
    assert_string_equal(at(last_job(world), "reason"), "deploy");
    assert_string_equal(at(world->response.body, "class"), "B");
    assert_non_null(world->response.location);
    assert_true(uuid_valid(at(world->response.body, "job_id")));
    assert_int_equal(submit(world, "{\"op\":\"snapshot.create\",\"target\":\"beta/db\"}"), 202);
    assert_string_equal(at(last_job(world), "host"), "beta");
    assert_int_equal(submit(world, "{\"op\":\"snapshot.create\",\"target\":\"db\",\"host\":\"alpha\"}"), 202);
    assert_string_equal(at(last_job(world), "target.id"), "a0000000-0000-4000-8000-000000000003");
    assert_int_equal(
        submit(world, "{\"op\":\"noop\",\"target\":\"null:n1\",\"host\":\"alpha\",\"params\":{\"spin_us\":5}}"), 202);
}

static void ambiguous_names_list_the_candidates(void **state)
{
    struct world *world = *state;

    assert_int_equal(submit(world, "{\"op\":\"snapshot.create\",\"target\":\"db\"}"), 409);
    assert_string_equal(at(world->response.body, "kind"), "ambiguous");
    assert_string_equal(at(world->response.body, "detail"),
                        "\"db\" is ambiguous: alpha/db (libvirt:a000…), beta/db (libvirt:a000…)");
    assert_int_equal(json_array_size(json_object_get(world->response.body, "candidates")), 2);
}

static void unknown_names_say_what_is_near(void **state)
{
    struct world *world = *state;

    assert_int_equal(submit(world, "{\"op\":\"snapshot.create\",\"target\":\"shop-9\"}"), 404);
    assert_string_equal(at(world->response.body, "detail"), "no target \"shop-9\"");
    assert_string_equal(at(world->response.body, "hint"), "Did you mean shop-1 (alpha), shop-2 (beta)?");
    assert_string_equal(at(world->response.body, "type"), "urn:fleetsnap:problem:not_found");
}

static void malformed_requests_are_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "[]",
        "{",
        "{\"op\":\"snapshot.create\",\"op\":\"noop\"}",
        "{\"op\":7}",
        "{\"op\":\"snapshot.burn\",\"target\":\"shop-1\"}",
        "{\"op\":\"none\",\"target\":\"shop-1\"}",
        "{\"op\":\"snapshot.create\"}",
        "{\"op\":\"snapshot.create\",\"target\":\"shop-1\",\"colour\":\"red\"}",
        "{\"op\":\"snapshot.create\",\"target\":\"shop-1\",\"params\":[]}",
        "{\"op\":\"snapshot.create\",\"target\":\"shop-1\",\"params\":{\"quiesce\":\"maybe\"}}",
        "{\"op\":\"snapshot.create\",\"target\":\"shop-1\",\"params\":{\"burn\":true}}",
        "{\"op\":\"snapshot.create\",\"target\":\"shop-1\",\"priority\":10}",
        "{\"op\":\"snapshot.create\",\"target\":\"shop-1\",\"priority\":\"5\"}",
        "{\"op\":\"snapshot.create\",\"target\":\"shop-1\",\"deadline\":\"soon\"}",
        "{\"op\":\"snapshot.create\",\"target\":\"shop-1\",\"dry_run\":\"yes\"}",
        "{\"op\":\"repository.init\",\"target\":\"shop-1\"}",
        "{\"op\":\"backup.restore\",\"params\":{\"point\":\"c000\"}}",
        "{\"op\":\"backup.verify\"}",
        "{\"op\":\"noop\",\"target\":\"null:x\"}"};

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        if (submit(*state, bodies[i]) != 400)
            fail_msg("%s: %d", bodies[i], ((struct world *)*state)->response.status);
    assert_int_equal(json_array_size(fake_submitted(((struct world *)*state)->fake)), 0);
}

static void a_backup_finds_its_repository(void **state)
{
    struct world *world = *state;

    assert_int_equal(submit(world, "{\"op\":\"backup.create\",\"target\":\"shop-1\"}"), 202);
    assert_string_equal(at(last_job(world), "params.repository.path"), "/backup/main");
    assert_int_equal(
        submit(
            world,
            "{\"op\":\"backup.create\",\"target\":\"shop-1\",\"params\":{\"repository\":\"main\",\"parent\":\"c100\"}}"),
        202);
    assert_string_equal(at(last_job(world), "params.repository.id"), "b0000000-0000-4000-8000-000000000001");
    assert_string_equal(at(last_job(world), "params.parent"), "c1000000-0000-4000-8000-000000000001");
    assert_int_equal(
        submit(world, "{\"op\":\"backup.create\",\"target\":\"shop-1\",\"params\":{\"repository\":\"attic\"}}"), 404);
    assert_int_equal(submit(world, "{\"op\":\"backup.create\",\"target\":\"shop-2\"}"), 422);
    assert_non_null(strstr(at(world->response.body, "detail"), "host beta has no repository"));
    assert_int_equal(
        submit(world, "{\"op\":\"backup.create\",\"target\":\"shop-2\",\"params\":{\"repository\":\"main\"}}"), 422);
    assert_non_null(strstr(at(world->response.body, "detail"), "is not on host beta; it is on alpha"));
}

static void several_repositories_must_be_told_apart(void **state)
{
    struct world *world = *state;

    fake_load(
        world->fake, "repositories",
        "[{\"id\":\"b0000000-0000-4000-8000-000000000001\",\"name\":\"main\",\"hosts\":[{\"host\":\"alpha\",\"path\":\"/a\",\"ok\":true}]},"
        "{\"id\":\"b1000000-0000-4000-8000-000000000001\",\"name\":\"attic\",\"hosts\":[{\"host\":\"alpha\",\"path\":\"/b\",\"ok\":true}]}]");
    assert_int_equal(submit(world, "{\"op\":\"backup.create\",\"target\":\"shop-1\"}"), 409);
    assert_string_equal(at(world->response.body, "detail"), "alpha has several repositories: main, attic");
    assert_int_equal(
        submit(world, "{\"op\":\"backup.create\",\"target\":\"shop-1\",\"params\":{\"repository\":\"b100\"}}"), 202);
    assert_string_equal(at(last_job(world), "params.repository.path"), "/b");
}

static void a_point_is_found_by_its_beginning(void **state)
{
    struct world *world = *state;

    assert_int_equal(submit(world, "{\"op\":\"backup.verify\",\"params\":{\"point\":\"c100\",\"depth\":\"image\"}}"),
                     202);
    assert_string_equal(at(last_job(world), "params.point"), "c1000000-0000-4000-8000-000000000001");
    assert_string_equal(at(last_job(world), "host"), "alpha");
    assert_string_equal(at(last_job(world), "target.name"), "shop-1");
    assert_int_equal(submit(world, "{\"op\":\"backup.verify\",\"params\":{\"point\":\"ffff\"}}"), 404);
    assert_int_equal(submit(world, "{\"op\":\"backup.verify\",\"params\":{\"point\":\"c1\"}}"), 404);
    assert_int_equal(submit(world, "{\"op\":\"backup.delete\",\"params\":{\"point\":\"d000\"}}"), 422); /* a snapshot */
    assert_int_equal(submit(world, "{\"op\":\"backup.verify\",\"target\":\"shop-1\",\"params\":{\"at\":\"latest\"}}"),
                     202);
    assert_string_equal(at(last_job(world), "params.point"), "c0000000-0000-4000-8000-000000000002");
    assert_int_equal(
        submit(world, "{\"op\":\"backup.verify\",\"target\":\"shop-1\",\"params\":{\"at\":\"2026-11-20T00:00:00Z\"}}"),
        202);
    assert_string_equal(at(last_job(world), "params.point"), "c1000000-0000-4000-8000-000000000001");
    assert_int_equal(
        submit(world, "{\"op\":\"backup.verify\",\"target\":\"shop-1\",\"params\":{\"at\":\"2025-11-20T00:00:00Z\"}}"),
        404);
}

static void a_restore_gets_a_new_identity_that_a_repeat_has_too(void **state)
{
    struct world *world = *state;
    const char *body =
        "{\"op\":\"backup.restore\",\"params\":{\"point\":\"c000\",\"new_name\":\"shop-1-copy\",\"start\":\"running\"}}";
    char id[UUID_TEXT];

    assert_int_equal(ask(world, "restore-1", "POST", "/v1/jobs", body), 202);
    snprintf(id, sizeof id, "%s", at(last_job(world), "target.id"));
    assert_true(uuid_valid(id));
    assert_string_equal(at(last_job(world), "target.name"), "shop-1-copy");
    assert_string_equal(at(last_job(world), "params.source"), "a0000000-0000-4000-8000-000000000001");
    assert_string_equal(at(last_job(world), "params.repository.name"), "main");
    assert_string_equal(at(last_job(world), "host"), "alpha");
    assert_string_equal(at(world->response.body, "class"), "B");
    assert_int_equal(ask(world, "restore-2", "POST", "/v1/jobs", body), 202);
    assert_string_not_equal(id, at(last_job(world), "target.id"));
    assert_int_equal(
        submit(world, "{\"op\":\"backup.restore\",\"params\":{\"point\":\"c000\",\"new_name\":\"shop-1\"}}"), 409);
    assert_int_equal(submit(world, "{\"op\":\"backup.restore\",\"params\":{\"point\":\"c000\",\"new_name\":\"a/b\"}}"),
                     400);
    assert_int_equal(
        submit(world, "{\"op\":\"backup.restore\",\"params\":{\"point\":\"c000\",\"new_name\":\"x\",\"in_place\":true}}"),
        400);
    assert_int_equal(submit(world, "{\"op\":\"backup.restore\",\"params\":{\"point\":\"c000\",\"in_place\":true}}"),
                     202);
    assert_string_equal(at(last_job(world), "target.id"), "a0000000-0000-4000-8000-000000000001");
    assert_string_equal(at(world->response.body, "class"), "C");
    assert_int_equal(
        submit(world, "{\"op\":\"backup.restore\",\"host\":\"beta\",\"params\":{\"point\":\"c000\",\"new_name\":\"x\"}}"),
        422);
}

static void who_retires_a_machine_says_whose_backups_go(void **state)
{
    struct world *world = *state;

    assert_int_equal(submit(world, "{\"op\":\"target.retire\",\"target\":\"shop-1\"}"), 202);
    assert_string_equal(at(world->response.body, "class"), "C");
    assert_string_equal(at(last_job(world), "params.backups"), "keep");
    assert_int_equal(
        submit(world, "{\"op\":\"target.retire\",\"target\":\"shop-1\",\"params\":{\"backups\":\"delete\"}}"), 202);
    assert_string_equal(at(last_job(world), "params.repository.name"), "main"); /* the only one that has some */
    assert_int_equal(
        submit(
            world,
            "{\"op\":\"target.retire\",\"target\":\"shop-1\",\"params\":{\"backups\":\"delete\",\"repository\":\"none\"}}"),
        404);
    assert_int_equal(
        submit(world, "{\"op\":\"target.retire\",\"target\":\"shop-1\",\"params\":{\"repository\":\"main\"}}"), 400);
    assert_int_equal(
        submit(world, "{\"op\":\"target.retire\",\"target\":\"shop-1\",\"params\":{\"backups\":\"some\"}}"), 400);
}

static void errors_of_the_coordinator_keep_their_kind(void **state)
{
    static const struct {
        enum err_kind kind;
        int status;
    } cases[] = {{ERR_RETRY, 503}, {ERR_PERMANENT, 422}, {ERR_CONFLICT, 409}, {ERR_UNKNOWN, 504}};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_fail_next(world->fake, cases[i].kind, "because", "do this");
        assert_int_equal(submit(world, "{\"op\":\"snapshot.create\",\"target\":\"shop-1\"}"), cases[i].status);
        assert_string_equal(at(world->response.body, "detail"), "because");
        assert_string_equal(at(world->response.body, "hint"), "do this");
    }
}

static void the_rate_of_a_running_backup_is_told(void **state)
{
    struct world *world = *state;
    char id[UUID_TEXT], path[96];

    assert_int_equal(submit(world, "{\"op\":\"backup.create\",\"target\":\"shop-1\"}"), 202);
    snprintf(id, sizeof id, "%s", at(world->response.body, "job_id"));
    fake_event(world->fake, id, "{\"state\":\"RUNNING\",\"phase\":\"push\"}");
    snprintf(path, sizeof path, "/v1/jobs/%.8s/rate", id);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"rate_limit\":1048576,\"reason\":\"the backbone is full\"}"),
                     202);
    assert_int_equal(json_integer_value(json_object_get(world->response.body, "rate_limit")), 1048576);
    assert_int_equal(fake_told_rate(world->fake), 1048576);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"rate_limit\":0}"), 202);
    assert_int_equal(fake_told_rate(world->fake), 0);
    assert_int_equal(ask(world, NULL, "POST", path, "{}"), 400);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"rate_limit\":-1}"), 400);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"rate_limit\":\"fast\"}"), 400);
    fake_fail_next(world->fake, ERR_CONFLICT, "job is SUCCEEDED, not RUNNING", NULL);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"rate_limit\":1}"), 409);
    fake_event(world->fake, id, "{\"state\":\"RUNNING\",\"phase\":\"convert\"}");
    assert_int_equal(ask(world, NULL, "POST", path, "{\"rate_limit\":1}"), 409);
    assert_non_null(strstr(at(world->response.body, "detail"), "qemu-img"));
}

static void a_share_is_shown_with_its_reason(void **state)
{
    static const struct coordinator_rate told = {.rate_limit = 50 << 20,
                                                 .shared = true,
                                                 .repository = "main",
                                                 .of = {.limit = 100 << 20, .each = 50 << 20, .running = 2}};
    struct world *world = *state;
    char id[UUID_TEXT], path[96];

    assert_int_equal(submit(world, "{\"op\":\"backup.create\",\"target\":\"shop-1\"}"), 202);
    snprintf(id, sizeof id, "%s", at(world->response.body, "job_id"));
    fake_share(world->fake, &told);
    snprintf(path, sizeof path, "/v1/jobs/%.8s", id);
    assert_int_equal(ask(world, NULL, "GET", path, NULL), 200);
    assert_null(json_object_get(world->response.body, "rate_limit")); /* it does not run */
    fake_event(world->fake, id, "{\"state\":\"RUNNING\",\"phase\":\"push\"}");
    assert_int_equal(ask(world, NULL, "GET", path, NULL), 200);
    assert_int_equal(json_integer_value(json_object_get(world->response.body, "rate_limit")), 50 << 20);
    const json_t *share = json_object_get(world->response.body, "rate_share");
    assert_string_equal(json_string_value(json_object_get(share, "repository")), "main");
    assert_int_equal(json_integer_value(json_object_get(share, "limit")), 100 << 20);
    assert_int_equal(json_integer_value(json_object_get(share, "running")), 2);
}

static void an_export_that_runs_is_told_to_end(void **state)
{
    struct world *world = *state;
    char id[UUID_TEXT], path[96];

    assert_int_equal(
        submit(world, "{\"op\":\"target.export\",\"target\":\"shop-1\",\"params\":{\"socket\":\"/run/a\"}}"), 202);
    snprintf(id, sizeof id, "%s", at(world->response.body, "job_id"));
    fake_event(world->fake, id, "{\"state\":\"RUNNING\",\"phase\":\"export\"}");
    assert_int_equal(
        submit(world, "{\"op\":\"target.export_finish\",\"target\":\"shop-1\",\"params\":{\"how\":\"done\"}}"), 409);
    assert_non_null(strstr(at(world->response.body, "hint"), "/finish"));
    assert_int_equal(submit(world, "{\"op\":\"target.export_finish\",\"target\":\"shop-1\"}"), 202);
    snprintf(path, sizeof path, "/v1/jobs/%.8s/finish", id);
    assert_int_equal(ask(world, NULL, "POST", path, "{}"), 400);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"how\":\"check\"}"), 400);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"how\":\"done\",\"reason\":\"copied\"}"), 202);
    assert_int_equal(fake_told_finish(world->fake), 1);
    fake_fail_next(world->fake, ERR_CONFLICT, "job is WAITING, not RUNNING", NULL);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"how\":\"done\"}"), 409);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"how\":\"cancel\"}"), 202);
    assert_int_equal(fake_told_finish(world->fake), 1);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"how\":\"done\"}"), 409);
    assert_int_equal(submit(world, "{\"op\":\"backup.create\",\"target\":\"shop-1\"}"), 202);
    snprintf(path, sizeof path, "/v1/jobs/%.8s/finish", at(world->response.body, "job_id"));
    assert_int_equal(ask(world, NULL, "POST", path, "{\"how\":\"done\"}"), 409);
}

static void jobs_are_cancelled_retried_resolved(void **state)
{
    struct world *world = *state;
    char id[UUID_TEXT], path[96];

    assert_int_equal(submit(world, "{\"op\":\"snapshot.create\",\"target\":\"shop-1\"}"), 202);
    snprintf(id, sizeof id, "%s", at(world->response.body, "job_id"));
    snprintf(path, sizeof path, "/v1/jobs/%.8s/cancel", id);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"reason\":\"no\"}"), 202);
    assert_int_equal(ask(world, NULL, "POST", path, "{}"), 409); /* has ended */
    snprintf(path, sizeof path, "/v1/jobs/%s/retry", id);
    assert_int_equal(ask(world, NULL, "POST", path, NULL), 202);
    assert_string_equal(at(world->response.body, "replaces"), id);
    snprintf(path, sizeof path, "/v1/jobs/%s/resolve", id);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"as\":\"done\",\"reason\":\"looked\"}"), 409); /* not parked */
    assert_int_equal(ask(world, NULL, "POST", path, "{\"as\":\"perhaps\",\"reason\":\"looked\"}"), 400);
    assert_int_equal(ask(world, NULL, "POST", path, "{\"as\":\"done\"}"), 400);
    fake_event(world->fake, id, "{\"state\":\"PARKED\"}");
    assert_int_equal(ask(world, NULL, "POST", path, "{\"as\":\"done\",\"reason\":\"looked\"}"), 202);
    assert_int_equal(ask(world, NULL, "GET", "/v1/jobs/00000000-0000-4000-8000-000000000000", NULL), 404);
}

/* What becomes of the request {"op": "job.undo"} of a job of this op that ends so. */
static int undo_of(struct world *world, const char *op, const char *request, const char *end)
{
    char id[UUID_TEXT], body[160], script[256];

    snprintf(script, sizeof script, "[%s]", end);
    fake_script(world->fake, op, script);
    assert_int_equal(submit(world, request), 202);
    snprintf(id, sizeof id, "%s", at(world->response.body, "job_id"));
    snprintf(body, sizeof body, "{\"op\":\"job.undo\",\"params\":{\"job\":\"%.8s\",\"force\":true}}", id);
    int status = submit(world, body);
    if (status == 202)
        assert_string_equal(at(last_job(world), "params.job"), id);
    return status;
}

#define KEPT   "{\"state\":\"SUCCEEDED\",\"result\":{\"facts\":{\"kept.vda\":\"/vm/old.qcow2\"}}}"
#define REVERT "{\"op\":\"snapshot.revert\",\"target\":\"shop-1\",\"params\":{\"name\":\"x\"}}"

static void an_undo_follows_from_its_job(void **state)
{
    static const char in_place[] = "{\"op\":\"backup.restore\",\"params\":{\"point\":\"c000\",\"in_place\":true}}";
    struct world *world = *state;

    assert_int_equal(undo_of(world, "snapshot.revert", REVERT, KEPT), 202);
    assert_string_equal(at(last_job(world), "op"), "job.undo");
    assert_string_equal(at(last_job(world), "target.id"), "a0000000-0000-4000-8000-000000000001");
    assert_string_equal(at(last_job(world), "host"), "alpha");
    assert_string_equal(at(world->response.body, "class"), "C");
    assert_true(json_is_true(json_object_get(json_object_get(last_job(world), "params"), "force")));
    assert_int_equal(undo_of(world, "backup.restore", in_place, KEPT), 202);
    assert_int_equal(submit(world, "{\"op\":\"job.undo\"}"), 400);
    assert_int_equal(submit(world, "{\"op\":\"job.undo\",\"params\":{\"job\":\"ffff\"}}"), 404);
    assert_int_equal(submit(world, "{\"op\":\"job.undo\",\"target\":\"shop-1\",\"params\":{\"job\":\"ffff\"}}"), 400);
}

static void what_cannot_be_undone_is_said(void **state)
{
    static const struct {
        const char *op, *request, *end, *detail;
    } cases[] = {
        {"snapshot.create", "{\"op\":\"snapshot.create\",\"target\":\"shop-1\"}", KEPT,
         "only a revert, a restore in place and an undo can be"},
        {"backup.restore", "{\"op\":\"backup.restore\",\"params\":{\"point\":\"c000\",\"new_name\":\"other\"}}", KEPT,
         "it made a new machine, and took nothing out of use"},
        {"snapshot.revert", REVERT, "{\"state\":\"FAILED\"}", "it has not succeeded: it is FAILED"},
        {"snapshot.revert", REVERT, "{\"state\":\"RUNNING\"}", "it has not succeeded: it is RUNNING"},
        {"snapshot.revert", REVERT, "{\"state\":\"SUCCEEDED\",\"result\":{\"facts\":{\"name\":\"x\"}}}",
         "it kept nothing: libvirt reverted by itself"},
        {"snapshot.revert?dry",
         "{\"op\":\"snapshot.revert\",\"target\":\"shop-1\",\"dry_run\":true,\"params\":{\"name\":\"x\"}}", KEPT,
         "it was a dry run, and changed nothing"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(undo_of(world, cases[i].op, cases[i].request, cases[i].end), 422);
        if (!strstr(at(world->response.body, "detail"), cases[i].detail))
            fail_msg("%s", at(world->response.body, "detail"));
    }
}

static void an_undo_is_for_the_host_that_keeps_the_disks(void **state)
{
    struct world *world = *state;
    char body[160];

    assert_int_equal(undo_of(world, "snapshot.revert", REVERT, KEPT), 202);
    snprintf(body, sizeof body, "{\"op\":\"job.undo\",\"host\":\"beta\",\"params\":{\"job\":\"%s\"}}",
             at(last_job(world), "params.job"));
    assert_int_equal(submit(world, body), 409);
    fake_load(world->fake, "targets",
              "[{\"host\":\"beta\",\"target\":{\"kind\":\"libvirt\",\"id\":\"a0000000-0000-4000-8000-000000000001\","
              "\"name\":\"shop-1\"},\"state\":\"running\",\"host_alive\":true}]");
    snprintf(body, sizeof body, "{\"op\":\"job.undo\",\"params\":{\"job\":\"%s\"}}", at(last_job(world), "params.job"));
    assert_int_equal(submit(world, body), 409);
    assert_non_null(strstr(at(world->response.body, "detail"), "shop-1 is on host beta now"));
}

static void nothing_is_planned_on_a_silent_host(void **state)
{
    struct world *world = *state;

    assert_int_equal(submit(world, "{\"op\":\"snapshot.create\",\"target\":\"shop-2\",\"dry_run\":true}"), 422);
    assert_string_equal(at(world->response.body, "detail"),
                        "host beta has no heartbeat, so nothing can be planned there");
    assert_int_equal(submit(world, "{\"op\":\"snapshot.create\",\"target\":\"shop-2\"}"), 202); /* waits for it */
}

static void repositories_are_made_by_a_job(void **state)
{
    struct world *world = *state;

    assert_int_equal(ask(world, "r1", "POST", "/v1/repositories",
                         "{\"name\":\"attic\",\"host\":\"alpha\",\"path\":\"/backup/attic\",\"min_free_percent\":5}"),
                     202);
    assert_string_equal(at(last_job(world), "target.kind"), "repository");
    assert_string_equal(at(last_job(world), "params.path"), "/backup/attic");
    assert_int_equal(
        ask(world, NULL, "POST", "/v1/repositories", "{\"name\":\"attic\",\"host\":\"gamma\",\"path\":\"/x\"}"), 404);
    assert_int_equal(
        ask(world, NULL, "POST", "/v1/repositories", "{\"name\":\"attic\",\"host\":\"alpha\",\"path\":\"x\"}"), 400);
    assert_int_equal(
        ask(world, NULL, "POST", "/v1/repositories", "{\"name\":\"../x\",\"host\":\"alpha\",\"path\":\"/x\"}"), 400);
}

/* What clean may take away is the ledger's word alone. */
static void jobs_on_a_repository_name_it(void **state)
{
    struct world *world = *state;

    assert_int_equal(submit(world, "{\"op\":\"repository.check\",\"params\":{\"repository\":\"main\"}}"), 202);
    assert_string_equal(at(last_job(world), "target.kind"), "repository");
    assert_string_equal(at(last_job(world), "params.repository.path"), "/backup/main");
    assert_int_equal(submit(world, "{\"op\":\"repository.check\",\"params\":{}}"), 400);
    assert_int_equal(submit(world, "{\"op\":\"repository.check\",\"params\":{\"repository\":\"attic\"}}"), 404);
    assert_int_equal(submit(world, "{\"op\":\"repository.clean\",\"params\":{\"repository\":\"main\"}}"), 202);
    const json_t *params = json_object_get(last_job(world), "params");
    assert_int_equal(json_array_size(json_object_get(params, "ended")), 1);
    assert_true(json_is_true(json_object_get(params, "deletes_ended")));
    assert_int_equal(submit(world, "{\"op\":\"repository.clean\",\"params\":{\"repository\":\"main\","
                                   "\"ended\":[\"e0000000-0000-4000-8000-000000000009\"]}}"),
                     400);
}

static void a_default_is_for_one_for_some_or_for_all(void **state)
{
    struct world *world = *state;

    assert_int_equal(ask(world, NULL, "POST", "/v1/defaults", "{\"target\":\"shop-1\",\"repository\":\"main\"}"), 200);
    assert_int_equal(strncmp(at(world->response.body, "for"), "libvirt:", 8), 0);
    assert_int_equal(ask(world, NULL, "POST", "/v1/defaults", "{\"selector\":\"app=shop\",\"repository\":\"main\"}"),
                     200);
    assert_string_equal(at(world->response.body, "for"), "selector:app=shop");
    assert_int_equal(ask(world, NULL, "POST", "/v1/defaults", "{\"all\":true,\"repository\":\"attic\"}"), 404);
    assert_int_equal(ask(world, NULL, "POST", "/v1/defaults", "{\"all\":true,\"repository\":\"main\"}"), 200);
    assert_int_equal(ask(world, NULL, "POST", "/v1/defaults", "{\"repository\":\"main\"}"), 400);
    assert_int_equal(ask(world, NULL, "POST", "/v1/defaults", "{\"all\":true}"), 400);
    assert_int_equal(ask(world, NULL, "POST", "/v1/defaults", "{\"selector\":\"=\",\"repository\":\"main\"}"), 400);
    assert_int_equal(ask(world, NULL, "GET", "/v1/defaults", NULL), 200);
    json_t *items = json_object_get(world->response.body, "items"), *item;
    size_t index, named = 0;
    assert_int_equal(json_array_size(items), 3);
    json_array_foreach(items, index, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        assert_true(!name == (strncmp(at(item, "for"), "libvirt:", 8) != 0)); /* what people call the machine */
        named += name && strcmp(name, "shop-1") == 0;
    }
    assert_int_equal(named, 1);
    assert_int_equal(ask(world, NULL, "POST", "/v1/defaults", "{\"all\":true,\"clear\":true}"), 200);
    assert_int_equal(ask(world, NULL, "GET", "/v1/defaults", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(world->response.body, "items")), 2);
}

static void hosts_are_enrolled_drained_removed(void **state)
{
    struct world *world = *state;

    assert_int_equal(ask(world, NULL, "POST", "/v1/hosts/gamma/enroll", "{\"rotate\":true}"), 201);
    assert_string_equal(at(world->response.body, "key_file"), "2 key-of-gamma\n");
    assert_int_equal(ask(world, NULL, "POST", "/v1/hosts/Bad_Host!/enroll", "{}"), 400);
    assert_int_equal(ask(world, NULL, "POST", "/v1/hosts/alpha/drain", "{\"reason\":\"kernel\"}"), 200);
    assert_string_equal(at(world->response.body, "state"), "draining");
    assert_int_equal(ask(world, NULL, "POST", "/v1/hosts/nobody/drain", "{}"), 404);
    assert_int_equal(ask(world, NULL, "DELETE", "/v1/hosts/alpha", NULL), 409);       /* alive */
    assert_int_equal(ask(world, NULL, "POST", "/v1/hosts/alpha/replace", "{}"), 409); /* likewise */
    assert_int_equal(ask(world, NULL, "POST", "/v1/hosts/nobody/replace", "{}"), 404);
    assert_int_equal(ask(world, NULL, "POST", "/v1/hosts/beta/replace", "{\"reason\":\"burnt\"}"), 201);
    assert_string_equal(at(world->response.body, "key_file"), "3 key-of-beta\n");
    const json_t *before = json_object_get(world->response.body, "before");
    assert_string_equal(json_string_value(json_array_get(json_object_get(before, "pools"), 0)), "/vm");
    assert_string_equal(at(before, "libvirt_uri"), "qemu:///session");
    assert_int_equal(ask(world, NULL, "POST", "/v1/hosts/alpha/replace", "{\"force\":true}"), 201);
    assert_int_equal(ask(world, NULL, "DELETE", "/v1/hosts/beta", NULL), 200);
}

static void other_methods_and_routes_are_refused(void **state)
{
    struct world *world = *state;

    assert_int_equal(ask(world, NULL, "PUT", "/v1/jobs", "{}"), 405);
    assert_string_equal(world->response.allow, "POST, GET");
    assert_int_equal(ask(world, NULL, "GET", "/v2/jobs", NULL), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_become_targets, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(ambiguous_names_list_the_candidates, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(unknown_names_say_what_is_near, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(malformed_requests_are_refused, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(a_backup_finds_its_repository, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(several_repositories_must_be_told_apart, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(a_point_is_found_by_its_beginning, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(a_restore_gets_a_new_identity_that_a_repeat_has_too, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(who_retires_a_machine_says_whose_backups_go, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(errors_of_the_coordinator_keep_their_kind, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(an_export_that_runs_is_told_to_end, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(the_rate_of_a_running_backup_is_told, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(a_share_is_shown_with_its_reason, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(jobs_are_cancelled_retried_resolved, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(an_undo_is_for_the_host_that_keeps_the_disks, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(what_cannot_be_undone_is_said, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(an_undo_follows_from_its_job, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(nothing_is_planned_on_a_silent_host, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(repositories_are_made_by_a_job, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(jobs_on_a_repository_name_it, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(a_default_is_for_one_for_some_or_for_all, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(hosts_are_enrolled_drained_removed, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(other_methods_and_routes_are_refused, world_make, world_destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
