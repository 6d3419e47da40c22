/* Which requests on Kafka count, and what they ask for. */
#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/request_body.h"
#include "model/ledger_entry.h"
#include "model/params.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 100 * 60 * 1000 };

static struct request request_of(int op, void *params)
{
    return (struct request){.request_id = (char *)"r-1",
                            .op = op,
                            .target = (char *)"alpha/shop-1",
                            .params = params,
                            .token = (char *)"bot",
                            .at_ms = NOW};
}

static void what_may_be_asked(void **state)
{
    struct ledger_token token = {.name = (char *)"bot", .role = (char *)"operator", .classes = (char *)"AB"};
    struct request request = request_of(OP_SNAPSHOT_LIST, NULL);

    (void)state;
    assert_null(request_refused(&request, &token, NOW));
    assert_null(request_refused(&request, &token, NOW + REQUEST_SKEW_MS));
    assert_non_null(strstr(request_refused(&request, &token, NOW + REQUEST_SKEW_MS + 1), "written again"));
    assert_non_null(strstr(request_refused(&request, &token, NOW - REQUEST_SKEW_MS - 1), "clock"));
    token.expires_at_ms = NOW;
    assert_non_null(strstr(request_refused(&request, &token, NOW), "expired"));
    token.expires_at_ms = NOW + 1;
    assert_null(request_refused(&request, &token, NOW));
    request.request_id = (char *)"";
    assert_non_null(strstr(request_refused(&request, &token, NOW), "request_id"));
}

static void body_is(const struct request *request, const char *expected)
{
    CLEANUP(freep) char *text = NULL;
    struct err err = {0};

    assert_int_equal(request_body(request, &text, &err), 0);
    json_auto_t *body = json_loads(text, 0, NULL), *wanted = json_loads(expected, 0, NULL);
    assert_non_null(wanted);
    if (!json_equal(body, wanted))
        fail_msg("%s is not %s", text, expected);
}

/* A caller in another language writes every field; only what is not the default is the caller's word. */
static void what_is_as_ever_is_not_said(void **state)
{
    struct params_snapshot_create snapshot = {0};
    struct params_backup_create backup = {0};
    struct params_repository_clean clean = {0};
    struct repository_ref repository = {.id = (char *)"", .path = (char *)""};
    struct request request = request_of(OP_SNAPSHOT_CREATE, &snapshot);

    (void)state;
    record_defaults(op_info(OP_SNAPSHOT_CREATE)->params, &snapshot);
    snapshot.name = (char *)"pre";
    snapshot.quiesce = QUIESCE_REQUIRE;
    request.reason = (char *)"upgrade";
    request.deadline_ms = 1000;
    body_is(&request,
            "{\"op\": \"snapshot.create\", \"target\": \"alpha/shop-1\", \"dry_run\": false, \"reason\": \"upgrade\","
            " \"deadline\": \"1970-01-01T00:00:01.000Z\", \"params\": {\"name\": \"pre\", \"quiesce\": \"require\"}}");

    record_defaults(op_info(OP_BACKUP_CREATE)->params, &backup);
    backup.repository = &repository;
    request = request_of(OP_BACKUP_CREATE, &backup);
    request.dry_run = true;
    body_is(&request, "{\"op\": \"backup.create\", \"target\": \"alpha/shop-1\", \"dry_run\": true, \"params\": {}}");
    repository.name = (char *)"nightly";
    body_is(&request, "{\"op\": \"backup.create\", \"target\": \"alpha/shop-1\", \"dry_run\": true,"
                      " \"params\": {\"repository\": {\"name\": \"nightly\"}}}");

    record_defaults(op_info(OP_REPOSITORY_CLEAN)->params, &clean);
    clean.repository = &repository;
    repository = (struct repository_ref){.id = (char *)"7"};
    request = request_of(OP_REPOSITORY_CLEAN, &clean);
    request.target = (char *)"";
    body_is(&request,
            "{\"op\": \"repository.clean\", \"dry_run\": false, \"params\": {\"repository\": {\"id\": \"7\"}}}");
    request.params = NULL;
    body_is(&request, "{\"op\": \"repository.clean\", \"dry_run\": false, \"params\": {}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_asked),
        cmocka_unit_test(what_is_as_ever_is_not_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
