/* repository.check, clean, import and remove on a temporary directory, through the runner: what they find, take away, publish, and what they leave alone. */
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "fake/runner_env.h"
#include "worker/repository.h"
#include "worker/runner.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define REPOSITORY "99999999-2222-4333-8444-555555555555"
#define MACHINE    "11111111-2222-4333-8444-555555555555"
#define FULL       "f0000000-0000-4000-8000-000000000001"
#define CHILD      "c0000000-0000-4000-8000-000000000002"
#define DEAD       "d0000000-0000-4000-8000-000000000003"
#define JOB        "a0000000-0000-4000-8000-00000000000a"

extern const struct backend_ops repository_backend_ops;

static char root[64], path[128];
static struct strings roots;
static struct backend_config config;
static struct backend *backend;

static struct outcome run(enum op op, void *params, bool dry_run)
{
    struct repository_ref *ref = *(struct repository_ref **)params; /* each has it first */
    struct job job = {.job_id = (char *)JOB, .op = (int)op, .params = params, .dry_run = dry_run};
    struct outcome out = {0};

    *ref = (struct repository_ref){(char *)REPOSITORY, (char *)"main", path};
    job.target = (struct target){(char *)"repository", (char *)REPOSITORY, (char *)"main"};
    runner_run(&fake_runner_env, backend, &job, &out);
    return out;
}

static struct outcome checked(bool checksum)
{
    struct repository_ref ref;
    struct params_repository_check params = {.repository = &ref, .checksum = checksum};
    struct outcome out = run(OP_REPOSITORY_CHECK, &params, false);

    if (out.kind != OUTCOME_ENDED || out.state != STATE_SUCCEEDED)
        fail_msg("check: %s", out.err.text);
    return out;
}

static struct outcome cleaned(const char *ended, bool deletes_ended, bool dry_run)
{
    struct repository_ref ref;
    struct params_repository_clean params = {.repository = &ref, .deletes_ended = deletes_ended};

    if (ended)
        strings_add(&params.ended, ended, NULL);
    struct outcome out = run(OP_REPOSITORY_CLEAN, &params, dry_run);
    strings_clear(&params.ended);
    return out;
}

/* ---- a repository ---- */

static void put(const char *folder, const char *name, const char *content)
{
    char file[PATH_MAX];
    struct err err = {0};

    snprintf(file, sizeof file, "%s/%s", folder, name);
    if (file_write_atomic(file, content, strlen(content), 0644, &err) < 0)
        fail_msg("%s", err.text);
}

static char *folder_of(const char *chain, const char *id)
{
    static char folder[4][PATH_MAX];
    static int turn;
    char *out = folder[turn++ % 4];

    snprintf(out, PATH_MAX, "%s/" MACHINE "/%s/%s", path, chain, id);
    return out;
}

static void add_point(const char *id, const char *parent, int state, const char *content)
{
    struct restore_point point = {.format = 1, .revision = 3, .state = state, .created_at_ms = 1000};
    struct point_disk *disk = list_add(&point.disks, &point_disk_record, NULL);
    char *folder = folder_of(FULL, id), sum[DIGEST_TEXT];
    struct err err = {0};

    digest_bytes(content, strlen(content), sum);
    string_set(&point.id, id, NULL);
    string_set(&point.kind, "backup", NULL);
    string_set(&point.host, "alpha", NULL);
    string_set(&point.chain, FULL, NULL);
    string_set(&point.parent, parent, NULL);
    string_set(&point.repository, REPOSITORY, NULL);
    string_set(&point.target.kind, "libvirt", NULL);
    string_set(&point.target.id, MACHINE, NULL);
    string_set(&point.target.name, "shop-1", NULL);
    string_set(&disk->name, "vda", NULL);
    string_set(&disk->mode, parent ? "incremental" : "full", NULL);
    string_set(&disk->file, "vda.qcow2", NULL);
    string_set(&disk->sha256, sum, NULL);
    disk->stored_bytes = point.size_bytes = (int64_t)strlen(content);
    assert_int_equal(file_make_directories(folder, 0755, &err), 0);
    put(folder, "vda.qcow2", content);
    if (manifest_write(folder, &point, &err) < 0)
        fail_msg("%s", err.text);
    restore_point_clear(&point);
}

static int set_up(void **state)
{
    struct err err = {0};

    (void)state;
    snprintf(root, sizeof root, "/tmp/fs-verbs-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(path, sizeof path, "%s/main", root);
    strings_add(&roots, root, NULL);
    config = (struct backend_config){.host = "alpha", .repositories = &roots};
    if (repository_backend_ops.open(&config, &backend, &err) < 0 ||
        repository_init(path, REPOSITORY, "main", 10, &err) < 0)
        return -1;
    add_point(FULL, NULL, POINT_COMPLETE, "full");
    add_point(CHILD, FULL, POINT_COMPLETE, "child");
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    clock_fake(0, 0);
    repository_backend_ops.close(backend);
    strings_clear(&roots);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static const struct job_finding *only(const struct outcome *out, const char *kind)
{
    const struct list *findings = &out->report.result->findings;

    if (findings->count != 1)
        fail_msg("%zu findings instead of one: %s", findings->count,
                 findings->count ? list_at(findings, struct job_finding, 0)->text : "");
    assert_string_equal(list_at(findings, struct job_finding, 0)->kind, kind);
    return list_at(findings, struct job_finding, 0);
}

/* What one change makes check say. */
static void finds(const char *kind, const char *text, const char *hint, bool checksum)
{
    struct outcome out = checked(checksum);
    const struct job_finding *finding = only(&out, kind);

    if (!strstr(finding->text, text))
        fail_msg("\"%s\" does not say \"%s\"", finding->text, text);
    if (!finding->hint || !strstr(finding->hint, hint))
        fail_msg("\"%s\" does not say \"%s\"", finding->hint ? finding->hint : "", hint);
    assert_int_equal(facts_get_int(&out.report.result->facts, "damaged", -1), strcmp(kind, "damaged") == 0);
    outcome_clear(&out);
}

/* ---- check ---- */

static void a_sound_repository_has_no_findings(void **state)
{
    struct outcome out = checked(true);

    (void)state;
    assert_int_equal(out.report.result->findings.count, 0);
    assert_int_equal(facts_get_int(&out.report.result->facts, "points", 0), 2);
    assert_int_equal(facts_get_int(&out.report.result->facts, "hashed_bytes", 0), 9);
    assert_int_equal(facts_get_int(&out.report.result->facts, "targets", 0), 1);
    outcome_clear(&out);
}

static void a_wrong_size_is_found(void **state)
{
    (void)state;
    put(folder_of(FULL, CHILD), "vda.qcow2", "children");
    finds("damaged", "has 8 B, the manifest says 5 B", "backup delete " CHILD " --children", false);
}

static void a_changed_byte_needs_checksums(void **state)
{
    struct outcome out;

    (void)state;
    put(folder_of(FULL, CHILD), "vda.qcow2", "chilD");
    out = checked(false);
    assert_int_equal(out.report.result->findings.count, 0);
    outcome_clear(&out);
    finds("damaged", "checksum", "--kind full", true);
}

static void a_missing_file_is_found(void **state)
{
    char file[PATH_MAX + 16];

    (void)state;
    snprintf(file, sizeof file, "%s/vda.qcow2", folder_of(FULL, CHILD));
    assert_int_equal(unlink(file), 0);
    finds("damaged", "is missing", "backup create shop-1 --kind full", false);
}

static void a_missing_parent_is_found(void **state)
{
    char command[PATH_MAX + 16];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder_of(FULL, FULL));
    assert_int_equal(system(command), 0);
    finds("damaged", "stands on " FULL, "--children", false);
}

static void a_manifest_that_is_none_is_found(void **state)
{
    (void)state;
    put(folder_of(FULL, CHILD), "manifest.json", "{\"id\":");
    finds("damaged", "its manifest cannot be read", "copy of the repository", false);
}

static void a_manifest_of_another_place_is_found(void **state)
{
    char command[2 * PATH_MAX + 32];

    (void)state;
    snprintf(command, sizeof command, "cp %s/manifest.json %s/manifest.json", folder_of(FULL, FULL),
             folder_of(FULL, CHILD));
    assert_int_equal(system(command), 0);
    put(folder_of(FULL, CHILD), "vda.qcow2", "full");
    finds("damaged", "another place", "", false);
}

static void orphans_are_found(void **state)
{
    (void)state;
    put(folder_of(FULL, CHILD), "notes.txt", "mine");
    finds("orphan", "does not name it", "look at it", false);
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%s/notes.txt", folder_of(FULL, CHILD));
    unlink(file);
    put(path, "notes.txt", "mine");
    finds("orphan", "neither the marker", "look at it", false);
}

static void what_a_killed_job_left_is_found(void **state)
{
    char chain[PATH_MAX];
    struct outcome out;

    (void)state;
    add_point(DEAD, FULL, POINT_INCOMPLETE, "half");
    finds("left", "did not complete it", "repository clean main", false);
    snprintf(chain, sizeof chain, "%s/" MACHINE "/" FULL, path);
    assert_int_equal(lease_take(chain, DEAD, "beta", NULL), 0); /* it is still at it */
    out = checked(false);
    assert_int_equal(out.report.result->findings.count, 0);
    assert_int_equal(facts_get_int(&out.report.result->facts, "busy", 0), 1);
    outcome_clear(&out);
}

/* ---- clean ---- */

static void clean_takes_only_what_ended_jobs_left(void **state)
{
    struct outcome out;

    (void)state;
    add_point(DEAD, FULL, POINT_INCOMPLETE, "half");
    out = cleaned(NULL, true, false); /* the ledger does not know it as ended */
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_true(file_exists(folder_of(FULL, DEAD)));
    assert_int_equal(facts_get_int(&out.report.result->facts, "left", 0), 1);
    outcome_clear(&out);
    out = cleaned(DEAD, true, true);
    assert_true(file_exists(folder_of(FULL, DEAD)));
    assert_int_equal(out.report.result->steps.count, 2);
    assert_non_null(strstr(list_at(&out.report.result->steps, struct plan_step, 1)->command, DEAD));
    assert_non_null(strstr(list_at(&out.report.result->steps, struct plan_step, 1)->lost, "B"));
    outcome_clear(&out);
    out = cleaned(DEAD, true, false);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_false(file_exists(folder_of(FULL, DEAD)));
    assert_true(file_exists(folder_of(FULL, CHILD)));
    assert_int_equal(facts_get_int(&out.report.result->facts, "removed", 0), 1);
    assert_int_equal(facts_get_int(&out.report.result->facts, "freed_bytes", 0), 4);
    assert_string_equal(only(&out, "left")->point, DEAD);
    outcome_clear(&out);
}

static void clean_takes_marked_ones_while_no_delete_is_open(void **state)
{
    struct outcome out;

    (void)state;
    assert_int_equal(manifest_mark_deleted(folder_of(FULL, CHILD), NULL), 0);
    out = cleaned(CHILD, false, false);
    assert_true(file_exists(folder_of(FULL, CHILD)));
    outcome_clear(&out);
    out = cleaned(NULL, true, false);
    assert_false(file_exists(folder_of(FULL, CHILD)));
    assert_int_equal(out.report.change_count, 1); /* its tombstone, above the revision of the manifest */
    assert_null(out.report.changes[0].point);
    assert_string_equal(out.report.changes[0].id, CHILD);
    assert_int_equal(out.report.changes[0].revision, 4);
    outcome_clear(&out);
}

static void clean_refuses_while_a_lease_is_live(void **state)
{
    char chain[PATH_MAX];
    struct outcome out;

    (void)state;
    add_point(DEAD, FULL, POINT_INCOMPLETE, "half");
    snprintf(chain, sizeof chain, "%s/" MACHINE "/" FULL, path);
    assert_int_equal(lease_take(chain, "b0000000-0000-4000-8000-00000000000b", "beta", NULL), 0);
    out = cleaned(DEAD, true, false);
    assert_true(file_exists(folder_of(FULL, DEAD)));
    outcome_clear(&out);
    clock_fake(clock_real_ms() + 11 * 60 * 1000,
               0); /* stale: of a job that the ledger does not know as ended, so it stays */
    out = cleaned(DEAD, true, false);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_false(file_exists(folder_of(FULL, DEAD)));
    outcome_clear(&out);
}

static void clean_takes_empty_folders_and_stale_leases(void **state)
{
    char chain[PATH_MAX], lease[PATH_MAX + 64];
    struct outcome out;

    (void)state;
    snprintf(chain, sizeof chain, "%s/" MACHINE "/" DEAD, path);
    assert_int_equal(mkdir(chain, 0755), 0);
    out = cleaned(DEAD, true, false);
    assert_false(file_exists(chain));
    outcome_clear(&out);
    snprintf(chain, sizeof chain, "%s/" MACHINE "/" FULL, path);
    snprintf(lease, sizeof lease, "%s/leases", chain);
    assert_int_equal(lease_take(chain, DEAD, "beta", NULL), 0);
    clock_fake(clock_real_ms() + 11 * 60 * 1000, 0);
    out = cleaned(DEAD, true, false);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_false(file_exists(lease));
    assert_true(file_exists(chain));
    outcome_clear(&out);
}

/* ---- import, remove ---- */

static struct outcome imported(void)
{
    struct repository_ref ref;
    struct params_repository_import params = {.repository = &ref};

    return run(OP_REPOSITORY_IMPORT, &params, false);
}

static struct outcome removed(bool delete_backups)
{
    struct repository_ref ref;
    struct params_repository_remove params = {.repository = &ref, .delete_backups = delete_backups};

    return run(OP_REPOSITORY_REMOVE, &params, false);
}

static void import_publishes_what_is_complete(void **state)
{
    struct outcome out;

    (void)state;
    add_point(DEAD, FULL, POINT_INCOMPLETE, "half");
    out = imported();
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_int_equal(out.report.change_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(out.report.changes[i].point->state, POINT_COMPLETE);
        assert_int_equal(out.report.changes[i].point->revision,
                         3); /* as the manifest says: a catalogue that knows it changes nothing */
        assert_string_equal(out.report.changes[i].point->repository, REPOSITORY);
    }
    outcome_clear(&out);
}

static void remove_keeps_the_data_and_import_brings_it_back(void **state)
{
    struct repository repository = {0};
    struct err err = {0};
    struct outcome out = removed(false);

    (void)state;
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_int_equal(out.report.change_count, 2);
    assert_true(out.report.changes[0].point->removed_at_ms > 0);
    assert_int_equal(out.report.changes[0].point->revision, 4);
    outcome_clear(&out);
    assert_int_equal(repository_open(path, NULL, &repository, &err), -1);
    assert_non_null(strstr(err.text, "taken out of the fleet"));
    assert_true(file_exists(folder_of(FULL, CHILD)));
    assert_int_equal(repository_reinstate(path, &err), 0); /* as the hint says */
    out = imported();
    assert_int_equal(out.report.change_count, 2);
    assert_int_equal(out.report.changes[0].point->removed_at_ms, 0);
    assert_int_equal(out.report.changes[0].point->revision, 5);
    outcome_clear(&out);
}

static void remove_refuses_while_somebody_is_at_it(void **state)
{
    struct repository repository = {0};
    char chain[PATH_MAX];
    struct outcome out;

    (void)state;
    snprintf(chain, sizeof chain, "%s/" MACHINE "/" FULL, path);
    assert_int_equal(lease_take(chain, DEAD, "beta", NULL), 0);
    out = removed(true);
    assert_int_equal(out.kind, OUTCOME_RETRY);
    assert_non_null(strstr(out.err.text, "in use by job " DEAD " on beta"));
    outcome_clear(&out);
    assert_int_equal(repository_open(path, REPOSITORY, &repository, NULL), 0);
    repository_clear(&repository);
}

static void remove_deletes_when_asked(void **state)
{
    struct outcome out = removed(true);
    char folder[PATH_MAX];

    (void)state;
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_int_equal(out.report.change_count, 2);
    assert_null(out.report.changes[0].point);
    assert_int_equal(out.report.changes[0].revision, 4);
    outcome_clear(&out);
    snprintf(folder, sizeof folder, "%s/" MACHINE, path);
    assert_false(file_exists(folder));
    assert_int_equal(repository_init(path, "other", "again", 10, NULL), 0); /* the directory may serve again */
}

static void another_path_or_id_is_refused(void **state)
{
    struct repository_ref ref;
    struct params_repository_check params = {.repository = &ref};
    char saved[sizeof path];

    (void)state;
    memcpy(saved, path, sizeof path);
    snprintf(path, sizeof path, "/etc");
    struct outcome out = run(OP_REPOSITORY_CHECK, &params, false);
    memcpy(path, saved, sizeof path);
    assert_int_equal(out.state, STATE_FAILED);
    assert_non_null(strstr(out.err.text, "not in a folder that this worker may use"));
    outcome_clear(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sound_repository_has_no_findings),
        TEST(a_wrong_size_is_found),
        TEST(a_changed_byte_needs_checksums),
        TEST(a_missing_file_is_found),
        TEST(a_missing_parent_is_found),
        TEST(a_manifest_that_is_none_is_found),
        TEST(a_manifest_of_another_place_is_found),
        TEST(orphans_are_found),
        TEST(what_a_killed_job_left_is_found),
        TEST(clean_takes_only_what_ended_jobs_left),
        TEST(clean_takes_marked_ones_while_no_delete_is_open),
        TEST(clean_refuses_while_a_lease_is_live),
        TEST(clean_takes_empty_folders_and_stale_leases),
        TEST(import_publishes_what_is_complete),
        TEST(remove_keeps_the_data_and_import_brings_it_back),
        TEST(remove_refuses_while_somebody_is_at_it),
        TEST(remove_deletes_when_asked),
        TEST(another_path_or_id_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
