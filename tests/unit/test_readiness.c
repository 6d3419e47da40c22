/* What could be restored, how old it would be, when it was proven, and what failed. */
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/readiness.h"
#include "model/policy.h"
#include "model/restore_point.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HOUR (3600 * INT64_C(1000))
#define NOW  (1000 * HOUR)

static char repository[] = "b0000000-0000-4000-8000-000000000001";

static struct readiness *make(void)
{
    struct policy policy = {.name = (char *)"nightly", .operation = POLICY_BACKUP_CREATE, .max_age_ms = 26 * HOUR};
    struct readiness *readiness = NULL;
    const bool selected[] = {true}, not_selected[] = {false};

    assert_int_equal(readiness_new(NOW - 100 * HOUR, NOW, &readiness, NULL), 0);
    assert_int_equal(readiness_add_policy(readiness, &policy, false, NULL), 0);
    assert_int_equal(readiness_add_repository(readiness, repository, NULL), 0);
    assert_int_equal(readiness_add_target(readiness, "libvirt:one", "shop-1", "alpha", selected, NULL), 0);
    assert_int_equal(readiness_add_target(readiness, "libvirt:two", "shop-2", "beta", not_selected, NULL), 0);
    return readiness;
}

static struct restore_point point_of(const char *id, int64_t hours_ago, const char *parent)
{
    return (struct restore_point){.id = (char *)id,
                                  .kind = (char *)"backup",
                                  .backup_kind = (char *)(parent ? "incremental" : "full"),
                                  .state = POINT_COMPLETE,
                                  .target = {.kind = (char *)"libvirt", .id = (char *)"one"},
                                  .repository = repository,
                                  .parent = (char *)parent,
                                  .created_at_ms = NOW - hours_ago * HOUR};
}

static void add(struct readiness *readiness, const char *id, int64_t hours_ago, const char *parent)
{
    struct restore_point point = point_of(id, hours_ago, parent);

    assert_int_equal(readiness_add_point(readiness, &point, NULL), 0);
}

static json_t *finish(struct readiness *readiness)
{
    json_t *found = NULL;

    assert_int_equal(readiness_json(readiness, &found, NULL), 0);
    readiness_free(readiness);
    return found;
}

static json_int_t number(const json_t *found, const char *subject, const char *member)
{
    json_t *object = json_object_get(found, subject);

    return json_integer_value(json_object_get(json_is_array(object) ? json_array_get(object, 0) : object, member));
}

static const char *protection(const json_t *found, const char *name)
{
    const json_t *target;
    size_t index;

    json_array_foreach(json_object_get(found, "targets"), index,
                       target) if (strcmp(json_string_value(json_object_get(target, "name")), name) ==
                                   0) return json_string_value(json_object_get(target, "protection"));
    return "missing";
}

static void the_newest_whole_point_counts(void **state)
{
    struct readiness *readiness = make();

    (void)state;
    add(readiness, "full", 50, NULL);
    add(readiness, "incremental", 20, "full");
    add(readiness, "orphan", 2, "gone"); /* what it stands on is not there */
    json_t *found = finish(readiness);
    assert_int_equal(number(found, "policies", "restorable"), 1);
    assert_int_equal(number(found, "policies", "targets"), 1);
    assert_int_equal(number(found, "policies", "worst_age_ms"), 20 * HOUR);
    assert_int_equal(number(found, "policies", "worst_gap_ms"), 30 * HOUR);
    assert_int_equal(number(found, "policies", "late"), 0);
    assert_int_equal(number(found, "fleet", "targets"), 2);
    assert_int_equal(number(found, "fleet", "restorable"), 1);
    assert_int_equal(number(found, "fleet", "unprotected"), 1);
    assert_string_equal(protection(found, "shop-1"), "protected");
    assert_string_equal(protection(found, "shop-2"), "unprotected");
    json_decref(found);
}

static void what_is_late_is_said(void **state)
{
    struct readiness *readiness = make();

    (void)state;
    add(readiness, "full", 27, NULL);
    json_t *found = finish(readiness);
    assert_int_equal(number(found, "policies", "late"), 1);
    assert_int_equal(number(found, "policies", "worst_gap_ms"), 27 * HOUR); /* it goes on */
    assert_string_equal(protection(found, "shop-1"), "late");
    json_decref(found);
    found = finish(make()); /* none at all */
    assert_int_equal(number(found, "policies", "late"), 1);
    assert_int_equal(number(found, "policies", "restorable"), 0);
    assert_true(json_is_null(json_object_get(json_array_get(json_object_get(found, "policies"), 0), "worst_age_ms")));
    json_decref(found);
}

/* Each of them cannot be restored, nor what stands on it. */
static void what_cannot_be_read_does_not_count(void **state)
{
    struct point_verification bad = {.at_ms = NOW - HOUR, .ok = false};

    (void)state;
    for (int i = 0; i < 5; i++) {
        struct readiness *readiness = make();
        struct restore_point point = point_of("full", 5, NULL);
        if (i == 0)
            point.state = POINT_INCOMPLETE;
        if (i == 1)
            point.removed_at_ms = NOW - HOUR;
        if (i == 2)
            point.repository = (char *)"elsewhere";
        if (i == 3)
            point.verified = (struct list){&bad, 1};
        if (i == 4)
            point.kind = (char *)"snapshot";
        assert_int_equal(readiness_add_point(readiness, &point, NULL), 0);
        add(readiness, "incremental", 2, "full");
        json_t *found = finish(readiness);
        assert_int_equal(number(found, "fleet", "restorable"), 0);
        json_decref(found);
    }
}

static void the_last_proof_is_named(void **state)
{
    struct readiness *readiness = make();
    struct point_verification checks[] = {{.at_ms = NOW - 30 * HOUR, .ok = false},
                                          {.at_ms = NOW - 29 * HOUR, .ok = true}};
    struct restore_point point = point_of("full", 40, NULL);

    (void)state;
    point.verified = (struct list){checks, 2};
    assert_int_equal(readiness_add_point(readiness, &point, NULL), 0);
    add(readiness, "incremental", 3, "full");
    json_t *found = finish(readiness);
    int64_t at_ms = 0;
    assert_int_equal(parse_time(json_string_value(json_object_get(json_object_get(found, "fleet"), "last_verified_at")),
                                &at_ms, NULL),
                     0);
    assert_int_equal(at_ms, NOW - 29 * HOUR);
    assert_int_equal(number(found, "policies", "unverified"), 0);
    assert_int_equal(number(found, "fleet", "unverified"), 1);
    json_decref(found);
}

static void failures_are_counted_by_cause(void **state)
{
    struct readiness *readiness = make();
    const struct readiness_failure failures[] = {
        {"nightly", "backup.create", "FAILED", "backup shop-1: 408 MiB are needed, 12 MiB are free"},
        {"nightly", "backup.create", "FAILED", "backup shop-2: 1500 MiB are needed, 3 MiB are free"},
        {NULL, "snapshot.revert", "PARKED", NULL},
    };

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(readiness_add_failure(readiness, &failures[i], NULL), 0);
    json_t *found = finish(readiness);
    assert_int_equal(number(found, "policies", "failures"), 2);
    assert_int_equal(number(found, "fleet", "failures"), 3);
    const json_t *first = json_array_get(json_object_get(json_object_get(found, "fleet"), "causes"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "cause")),
                        "backup.create FAILED: N MiB are needed, N MiB are free");
    assert_int_equal(json_integer_value(json_object_get(first, "count")), 2);
    json_decref(found);
}

static void a_cause_is_cut_between_characters(void **state)
{
    char out[6];

    (void)state;
    readiness_cause("subject: abcdé and more", out, sizeof out);
    assert_string_equal(out, "abcd");
    readiness_cause("subject: abcé", out, sizeof out);
    assert_string_equal(out, "abcé");
    readiness_cause("", out, sizeof out);
    assert_string_equal(out, "");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_whole_point_counts),      cmocka_unit_test(what_is_late_is_said),
        cmocka_unit_test(what_cannot_be_read_does_not_count), cmocka_unit_test(the_last_proof_is_named),
        cmocka_unit_test(failures_are_counted_by_cause),      cmocka_unit_test(a_cause_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
