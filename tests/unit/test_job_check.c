#include "base/err.h"
#include "base/text.h"
#include "model/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID         "5d7157ac-68eb-59cc-8fd4-e29583774781"
#define ID2        "a4d72ad6-8ae0-517e-bc80-b7d50f980e50"
#define REPOSITORY "\"repository\":{\"id\":\"" ID "\",\"name\":\"main\",\"path\":\"/backup\"}"
#define TEXT100                                                                                \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
    "890123456789"
#define SOCKET "\"socket\":\"/run/a\""
#define POINT  "\"point\":\"" ID "\"," REPOSITORY

static struct err err;

/* A good job for `op` with these params and, behind them, more members that replace those of the good one. */
static void make(struct job *job, const char *op, const char *params, const char *more)
{
    struct text text = {0};
    bool init = strcmp(op, "repository.init") == 0;

    text_addf(&text,
              "{\"job_id\":\"" ID "\",\"op\":\"%s\",\"target\":{\"kind\":\"%s\",\"id\":\"" ID2
              "\"},\"host\":\"kvm-1\",\"params\":{%s},"
              "\"issued_at\":\"2026-11-20T14:00:00Z\",\"deadline\":\"2026-11-21T14:00:00Z\"%s}",
              op, init ? "repository" : "libvirt", params, more);
    *job = (struct job){0};
    if (record_from_json(&job_record, job, text_str(&text), text.len, &err) < 0)
        fail_msg("%s: %s", text_str(&text), err.text);
    text_free(&text);
}

static void good(const char *op, const char *params)
{
    struct job job;

    make(&job, op, params, "");
    if (job_check(&job, &err) < 0)
        fail_msg("%s {%s}: %s", op, params, err.text);
    job_clear(&job);
}

static void bad(const char *op, const char *params, const char *beginning)
{
    struct job job;

    make(&job, op, params, "");
    assert_int_equal(job_check(&job, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    err.text[strlen(beginning)] = '\0';
    assert_string_equal(err.text, beginning);
    job_clear(&job);
}

static void bad_job(const char *more, const char *text)
{
    struct job job;

    make(&job, "snapshot.create", "", more);
    assert_int_equal(job_check(&job, &err), -1);
    assert_string_equal(err.text, text);
    job_clear(&job);
}

static void contradictions_of_a_snapshot(void **state)
{
    static const struct {
        const char *params, *problem;
    } cases[] = {
        {"\"disk_only\":true,\"memory\":\"yes\"", "params: disk_only and memory=yes exclude each other"},
        {"\"disk_only\":true,\"memory\":\"file\"", "params: disk_only and memory=file exclude each other"},
        {"\"halt\":true,\"live\":true,\"memory\":\"file\"", "params: halt and live exclude each other"},
        {"\"live\":true", "params: live and no memory=file exclude each other"},
        {"\"live\":true,\"disk_only\":true", "params: live and no memory=file exclude each other"},
        {"\"live\":true,\"memory\":\"yes\"", "params: live and no memory=file exclude each other"},
        {"\"current\":true", "params: current and no redefine exclude each other"},
        {"\"validate\":true", "params: validate and no redefine exclude each other"},
        {"\"redefine\":\"<x/>\",\"disk_only\":true", "params: redefine and disk_only exclude each other"},
        {"\"redefine\":\"<x/>\",\"no_metadata\":true", "params: redefine and no_metadata exclude each other"},
        {"\"redefine\":\"<x/>\",\"halt\":true", "params: redefine and halt exclude each other"},
        {"\"redefine\":\"<x/>\",\"live\":true", "params: redefine and live exclude each other"},
        {"\"redefine\":\"<x/>\",\"reuse_external\":true", "params: redefine and reuse_external exclude each other"},
        {"\"redefine\":\"<x/>\",\"memory\":\"yes\"", "params: redefine and memory or disks exclude each other"},
        {"\"redefine\":\"<x/>\",\"disks\":[{\"name\":\"vda\"}]",
         "params: redefine and memory or disks exclude each other"},
        {"\"redefine\":\"<x/>\",\"quiesce\":\"require\"", "params: redefine and quiesce=require exclude each other"},
        {"\"quiesce\":\"require\",\"memory\":\"yes\"", "params: quiesce=require and memory exclude each other"},
        {"\"quiesce\":\"require\",\"kind\":\"internal\"", "params: quiesce=require and kind=internal exclude each other"},
        {"\"kind\":\"external\",\"memory\":\"yes\"", "params: kind=external and memory=yes exclude each other"},
        {"\"kind\":\"internal\",\"memory\":\"file\"", "params: kind=internal and memory=file exclude each other"},
        {"\"memory_file\":\"/x\"", "params.memory_file: belongs to memory=file"},
        {"\"memory\":\"file\",\"memory_file\":\"x\"", "params.memory_file: must be an absolute path"},
        {"\"memory\":\"file\",\"memory_file\":\"/a/../x\"", "params.memory_file: must not have \"..\" in it"},
        {"\"reuse_external\":true", "params.reuse_external: needs a disk with the file"},
        {"\"reuse_external\":true,\"kind\":\"internal\"", "params: reuse_external and kind=internal exclude each other"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bad("snapshot.create", cases[i].params, cases[i].problem);
}

static void disks_of_a_snapshot(void **state)
{
    static const struct {
        const char *params, *problem;
    } cases[] = {
        {"\"disks\":[{\"name\":\"../vda\"}]", "params.disks[0]: name cannot be"},
        {"\"disks\":[{\"name\":\"vda\"},{\"name\":\"vda\"}]", "params.disks[1]: vda is named twice"},
        {"\"disks\":[{\"name\":\"vda\",\"mode\":\"manual\"}]", "params.disks[0]: mode must be"},
        {"\"disks\":[{\"name\":\"vda\",\"mode\":\"no\",\"file\":\"/x\"}]", "params.disks[0]: file and driver belong"},
        {"\"disks\":[{\"name\":\"vda\",\"mode\":\"external\",\"file\":\"x\"}]",
         "params.disks[0]: must be an absolute path"},
        {"\"disks\":[{\"name\":\"vda\",\"mode\":\"external\",\"file\":\"/a/..\"}]", "params.disks[0]: must not have"},
        {"\"disks\":[{\"name\":\"vda\",\"driver\":\"raw\"}]", "params.disks[0]: driver must be qcow2"},
        {"\"kind\":\"internal\",\"disks\":[{\"name\":\"vda\",\"mode\":\"external\"}]",
         "params.disks[0]: mode external in"},
        {"\"kind\":\"external\",\"disks\":[{\"name\":\"vda\",\"mode\":\"internal\"}]",
         "params.disks[0]: mode internal in"},
        {"\"disk_only\":true,\"disks\":[{\"name\":\"vda\",\"mode\":\"internal\"}]",
         "params.disks[0]: mode internal with disk_only"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bad("snapshot.create", cases[i].params, cases[i].problem);
}

static void what_goes_together(void **state)
{
    (void)state;
    good("snapshot.create", "");
    good("snapshot.create",
         "\"name\":\"pre-deploy 42\",\"description\":\"two\\nlines\",\"disk_only\":true,\"quiesce\":\"require\",\"halt\":true,\"atomic\":false,\"no_metadata\":true");
    good("snapshot.create",
         "\"memory\":\"file\",\"memory_file\":\"/var/lib/m..em\",\"live\":true,\"kind\":\"external\"");
    good("snapshot.create", "\"memory\":\"yes\",\"kind\":\"internal\",\"quiesce\":\"prefer\"");
    good("snapshot.create", "\"redefine\":\"<domainsnapshot/>\",\"current\":true,\"validate\":true,\"atomic\":true");
    good("snapshot.create",
         "\"reuse_external\":true,\"disk_only\":true,\"disks\":[{\"name\":\"vda\",\"mode\":\"external\",\"file\":\"/x/vda\",\"driver\":\"qcow2\"},{\"name\":\"vdb\",\"mode\":\"no\"}]");
    good("snapshot.list", "\"refresh\":true");
    good("snapshot.show", "\"name\":\"a\"");
    good("snapshot.show", "\"current\":true");
    good("snapshot.revert", "\"name\":\"a\",\"after\":\"running\",\"force\":\"if_needed\",\"drop_checkpoint\":[\"c1\"]");
    good("snapshot.delete", "\"name\":\"a\",\"scope\":\"children_only\",\"metadata_only\":true");
    good("backup.create",
         REPOSITORY ",\"include\":[\"vda\"],\"exclude\":[\"vdb\"],\"kind\":\"incremental\",\"parent\":\"" ID "\"");
    good("backup.restore", POINT
         ",\"source\":\"" ID "\",\"new_name\":\"web-2\",\"directory\":\"/d\",\"map_network\":{\"default\":\"lab\"}");
    good("backup.restore",
         POINT ",\"source\":\"" ID "\",\"new_name\":\"web-2\",\"disk_files\":{\"vda\":\"/d/a.img\"},"
               "\"map_pool\":{\"fast\":\"/ssd\",\"/old\":\"slow\"},\"map_machine\":{\"pc-q35-8.0\":\"pc-q35-7.2\"},"
               "\"xml\":\"<domain/>\\n\"");
    good("backup.restore", POINT ",\"source\":\"" ID2 "\",\"in_place\":true,\"drop_snapshots\":true");
    good("backup.restore", POINT ",\"source\":\"" ID2 "\",\"new_name\":\"same again\",\"new_identity\":false");
    good("backup.verify", POINT ",\"depth\":\"boot\"");
    good("target.export", SOCKET);
    good("target.export", "\"address\":\"127.0.0.1:10809\"");
    good("target.export", "\"address\":\"[::1]:10809\",\"kind\":\"incremental\",\"parent\":\"" ID "\"");
    good("target.export", "\"address\":\"0.0.0.0:10809\",\"tls\":true,\"scratch\":\"/pool\",\"scratch_limit\":4096");
    good("target.export_finish", "");
    good("target.export_finish", "\"how\":\"cancel\",\"job\":\"" ID "\"");
    good("backup.delete", POINT ",\"scope\":\"all\",\"really_last\":true");
    good("backup.delete", POINT ",\"merge\":true");
    good("repository.init", "\"name\":\"main\",\"path\":\"/backup\",\"min_free_percent\":0");
}

static void other_operations(void **state)
{
    static const struct {
        const char *op, *params, *problem;
    } cases[] = {
        {"snapshot.create", "\"name\":\"a/b\"", "params.name: cannot be"},
        {"snapshot.create", "\"description\":\"\\u001b[2J\"", "params.description: has control"},
        {"snapshot.create", "\"ttl_ms\":-1", "params.ttl_ms: must be"},
        {"snapshot.create", "\"ttl_ms\":60000,\"no_metadata\":true", "params: ttl_ms and no_metadata exclude"},
        {"snapshot.delete", "\"name\":\"a\",\"point\":\"x\"", "params.point: must be a UUID"},
        {"snapshot.show", "", "params.name: is missing"},
        {"snapshot.show", "\"name\":\"a\",\"current\":true", "params: name and current exclude"},
        {"snapshot.revert", "\"name\":\".a\"", "params.name: cannot be"},
        {"snapshot.revert", "\"name\":\"a\",\"drop_checkpoint\":[\"a/b\"]", "params.drop_checkpoint: [0] cannot be"},
        {"snapshot.revert", "\"name\":\"a\",\"keep_old_for_ms\":-1", "params.keep_old_for_ms: must be"},
        {"snapshot.delete", "\"name\":\"a\",\"scope\":\"all\"", "params.scope: must be"},
        {"backup.create", "\"repository\":{\"id\":\"x\",\"name\":\"a\",\"path\":\"/a\"}",
         "params.repository.id: must be a UUID"},
        {"backup.create", "\"repository\":{\"id\":\"" ID "\",\"name\":\"../a\",\"path\":\"/a\"}",
         "params.repository.name: cannot be"},
        {"backup.create", "\"repository\":{\"id\":\"" ID "\",\"name\":\"a\",\"path\":\"a\"}",
         "params.repository.path: must be an absolute"},
        {"backup.create", "\"repository\":{\"id\":\"" ID "\",\"name\":\"a\",\"path\":\"/a/..\"}",
         "params.repository.path: must not have"},
        {"backup.create", REPOSITORY ",\"kind\":\"full\",\"parent\":\"" ID "\"", "params: kind=full and parent exclude"},
        {"backup.create", REPOSITORY ",\"parent\":\"x\"", "params.parent: must be a UUID"},
        {"backup.create", REPOSITORY ",\"include\":[\"vda\"],\"exclude\":[\"vda\"]",
         "params.exclude: vda is also included"},
        {"backup.create", REPOSITORY ",\"include\":[\"a/b\"]", "params.include: \"a/b\" cannot"},
        {"backup.create", REPOSITORY ",\"rate_limit\":-1", "params.rate_limit: must be"},
        {"backup.create", REPOSITORY ",\"max_chain\":0", "params.max_chain: must be"},
        {"backup.restore", POINT ",\"source\":\"" ID "\"", "params: say where to"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"in_place\":true",
         "params: new_name and in_place exclude"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"in_place\":true", "params.source: in_place takes only"},
        {"backup.restore", POINT ",\"source\":\"" ID2 "\",\"new_name\":\"a\"",
         "params: new_identity and the UUID of the source exclude"},
        {"backup.restore", POINT ",\"source\":\"web-1\",\"new_name\":\"a\"",
         "params.source: is not the id of a libvirt target"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a/b\"", "params.new_name: cannot be"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"directory\":\"d\"",
         "params.directory: must be"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"drop_snapshots\":true",
         "params: new_name and drop_snapshots exclude"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"keep_old_for_ms\":1",
         "params: new_name and keep_old_for exclude"},
        {"backup.restore", POINT ",\"source\":\"" ID2 "\",\"in_place\":true,\"directory\":\"/d\"",
         "params: in_place and directory exclude"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"map_network\":{\"a/b\":\"c\"}",
         "params.map_network: \"a/b\" cannot"},
        {"backup.restore", POINT ",\"source\":\"" ID2 "\",\"in_place\":true,\"map_network\":{\"a\":\"b\"}",
         "params: in_place and map_network exclude"},
        {"backup.restore", POINT ",\"source\":\"" ID2 "\",\"in_place\":true,\"xml\":\"<domain/>\"",
         "params: in_place and xml exclude"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"map_machine\":{\"a/b\":\"c\"}",
         "params.map_machine: \"a/b\" cannot"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"map_pool\":{\"a/b\":\"c\"}",
         "params.map_pool: \"a/b\" is no name"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"map_pool\":{\"a\":\"/b/..\"}",
         "params.map_pool: must not have"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"disk_files\":{\"a/b\":\"/c\"}",
         "params.disk_files: \"a/b\" cannot"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"disk_files\":{\"vda\":\"c\"}",
         "params.disk_files: must be an absolute"},
        {"backup.restore", POINT ",\"source\":\"" ID "\",\"new_name\":\"a\",\"disk_files\":{\"vda\":\"/c/\"}",
         "params.disk_files: /c/ is no name of a file"},
        {"backup.verify", "\"point\":\"x\"," REPOSITORY, "params.point: must be a UUID"},
        {"backup.verify", POINT ",\"console\":\"login:\"", "params: console and depth exclude"},
        {"backup.verify", POINT ",\"depth\":\"boot\",\"console\":\"\"", "params.console: is empty"},
        {"backup.verify", POINT ",\"depth\":\"boot\",\"timeout_ms\":999", "params.timeout_ms: must be"},
        {"target.retire", "\"backups\":\"delete\"", "params.repository: is missing"},
        {"target.retire", REPOSITORY, "params: backups=keep and repository exclude"},
        {"target.retire", "\"really_last\":true", "params: backups=keep and really_last exclude"},
        {"backup.delete", POINT ",\"scope\":\"children_only\"", "params.scope: must be"},
        {"target.export", "", "params: say where: socket or address"},
        {"target.export", "\"socket\":\"/run/a\",\"address\":\"127.0.0.1:1\"", "params: socket and address exclude"},
        {"target.export", "\"socket\":\"run/a\"", "params.socket: must be an absolute path"},
        {"target.export", "\"socket\":\"/run/../a\"", "params.socket: must not have"},
        {"target.export", "\"socket\":\"/run/" TEXT100 "xxx\"", "params.socket: is longer than the 102 bytes"},
        {"target.export", "\"address\":\"127.0.0.1\"", "params.address: \"127.0.0.1\": must be ADDRESS:PORT"},
        {"target.export", "\"address\":\"127.0.0.1:70000\"", "params.address: \"127.0.0.1:70000\": must be ADDRESS:PORT"},
        {"target.export", "\"address\":\"::1:10809\"", "params.address: \"::1:10809\": must be ADDRESS:PORT, or"},
        {"target.export", "\"address\":\"db-1:10809\"", "params.address: \"db-1\" is not an IP address"},
        {"target.export", "\"address\":\"0.0.0.0:10809\"", "params.address: others than this host reach 0.0.0.0"},
        {"target.export", SOCKET ",\"parent\":\"" ID "\"", "params: kind=full and parent exclude"},
        {"target.export", SOCKET ",\"kind\":\"incremental\",\"parent\":\"x\"", "params.parent: must be a UUID"},
        {"target.export", SOCKET ",\"idle_timeout_ms\":999", "params.idle_timeout_ms: must be between"},
        {"target.export", SOCKET ",\"scratch\":\"tmp\"", "params.scratch: must be an absolute path"},
        {"target.export", SOCKET ",\"include\":[\"vda\"],\"exclude\":[\"vda\"]", "params.exclude: vda is also"},
        {"target.export_finish", "\"job\":\"x\"", "params.job: must be a UUID"},
        {"backup.delete", POINT ",\"scope\":\"children\",\"merge\":true",
         "params: merge and scope=children or all exclude"},
        {"repository.init", "\"name\":\"a b\",\"path\":\"/a\"", "params.name: cannot be"},
        {"repository.init", "\"name\":\"a\",\"path\":\"a\"", "params.path: must be an absolute"},
        {"repository.init", "\"name\":\"a\",\"path\":\"/a\",\"min_free_percent\":91", "params.min_free_percent: must be"},
        {"noop", "", "op: noop cannot be asked of a libvirt target"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bad(cases[i].op, cases[i].params, cases[i].problem);
}

static void the_job_itself(void **state)
{
    (void)state;
    bad_job(",\"priority\":10", "priority: must be between 0 and 9");
    bad_job(",\"max_attempts\":0", "max_attempts: must be between 1 and 100");
    bad_job(",\"backoff_ms\":-1", "backoff_ms: must be between 0 and 86400000");
    bad_job(",\"not_before\":\"2026-11-21T14:00:00Z\"", "not_before: must be before the deadline");
    bad_job(",\"start_by\":\"2026-11-21T14:00:01Z\"", "start_by: must not be after the deadline");
    bad_job(",\"start_by\":\"2026-11-20T13:59:00Z\"", "start_by: must not be before issued_at and not_before");
    bad_job(",\"plan_digest\":\"abc\"", "plan_digest: must be 64 hex digits");
    bad_job(",\"expect\":{\"definition\":\"X\"}", "expect.definition: must be 64 hex digits");
    bad_job(",\"replaces\":\"x\"", "replaces: must be a UUID in lower case");
    bad_job(",\"policy\":\"a\\nb\"", "policy: has control characters or is not UTF-8");
    bad_job(",\"reason\":\"\\u0007\"", "reason: has control characters or is not UTF-8");
}

static void changed(void (*change)(struct job *job), const char *beginning)
{
    struct job job;

    make(&job, "snapshot.create", "", "");
    change(&job);
    assert_int_equal(job_check(&job, &err), -1);
    err.text[strlen(beginning)] = '\0';
    assert_string_equal(err.text, beginning);
    job_clear(&job);
}

static void no_id(struct job *job)
{
    string_set(&job->job_id, NULL, NULL);
}
static void bad_host(struct job *job)
{
    string_set(&job->host, "KVM", NULL);
}
static void bad_target(struct job *job)
{
    string_set(&job->target.id, "web-1", NULL);
}
static void bad_target_name(struct job *job)
{
    string_set(&job->target.name, "a\x1b", NULL);
}
static void late_deadline(struct job *job)
{
    job->deadline_ms = job->issued_at_ms + 14 * 86400000LL + 1;
}
static void no_deadline(struct job *job)
{
    job->deadline_ms = 0;
}
static void not_issued(struct job *job)
{
    job->issued_at_ms = 0;
}
static void not_utf8(struct job *job)
{
    string_set(&job->reason, "\xff", NULL);
}
static void for_a_repository(struct job *job)
{
    string_set(&job->target.kind, "repository", NULL);
}

static void no_params(struct job *job)
{
    record_free(op_info(OP_SNAPSHOT_CREATE)->params, job->params);
    job->params = NULL;
}

static void what_json_cannot_say(void **state)
{
    (void)state;
    changed(no_id, "job_id: must be a UUID");
    changed(bad_host, "host: is not the name");
    changed(bad_target, "target: is none");
    changed(bad_target_name, "target: is none");
    changed(late_deadline, "deadline: must be within 14 days");
    changed(no_deadline, "deadline: must be after");
    changed(not_issued, "issued_at: is missing");
    changed(not_utf8, "reason: has control");
    changed(no_params, "params: are missing");
    changed(for_a_repository, "op: snapshot.create cannot be asked of a repository");
}

static void a_group_is_whole_and_of_points(void **state)
{
    struct job job;

    (void)state;
    make(&job, "snapshot.create", "", ",\"group\":\"g\",\"group_members\":2,\"group_limit_ms\":10000");
    assert_int_equal(job_check(&job, &err), 0);
    job_clear(&job);
    make(&job, "backup.create", REPOSITORY, ",\"group\":\"g\",\"group_members\":2,\"group_limit_ms\":10000");
    assert_int_equal(job_check(&job, &err), 0);
    job_clear(&job);
    make(&job, "snapshot.revert", "\"name\":\"s\"", ",\"group\":\"g\",\"group_members\":2,\"group_limit_ms\":10000");
    assert_int_equal(job_check(&job, &err), -1);
    assert_string_equal(err.text, "group: only snapshot.create and backup.create can be done in a consistency group");
    job_clear(&job);
    bad_job(",\"group_members\":2", "group: is missing, but it has members or a limit");
    bad_job(",\"group\":\"g\",\"group_members\":0", "group_members: must be between 1 and 1000");
    bad_job(",\"group\":\"g\",\"group_members\":2,\"group_limit_ms\":999",
            "group_limit_ms: must be between 1000 and 60000");
}

static void the_null_backend_takes_everything(void **state)
{
    struct job job;

    (void)state;
    make(&job, "noop", "\"spin_us\":5,\"fail\":\"retry\"", "");
    string_set(&job.target.kind, "null", NULL);
    string_set(&job.target.id, "bench-1", NULL);
    assert_int_equal(job_check(&job, &err), 0);
    string_set(&((struct params_noop *)job.params)->fail, "sometimes", NULL);
    assert_int_equal(job_check(&job, &err), -1);
    job_clear(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contradictions_of_a_snapshot),
        cmocka_unit_test(disks_of_a_snapshot),
        cmocka_unit_test(what_goes_together),
        cmocka_unit_test(other_operations),
        cmocka_unit_test(the_job_itself),
        cmocka_unit_test(what_json_cannot_say),
        cmocka_unit_test(a_group_is_whole_and_of_points),
        cmocka_unit_test(the_null_backend_takes_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
