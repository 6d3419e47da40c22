/* Which backup is made and why, and what a delete may take: one row per case. */
#include "base/cleanup.h"
#include "base/err.h"
#include "worker/backends/libvirt/backup_choice.h"
#include "worker/backends/libvirt/backup_look.h"
#include "worker/backends/libvirt/delete_choice.h"
#include "worker/repository.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DAY_MS = 86400000 };

static enum checkpoint_state checkpoints[128]; /* by the first letter of the point's id */

static enum checkpoint_state ask(void *context, const struct restore_point *point)
{
    (void)context;
    return checkpoints[(unsigned char)point->id[0]];
}

/* "vda:qcow2 vdb:raw" */
static void add_disks(struct list *disks, const char *spec, bool with_checkpoint)
{
    char *copy = strdup(spec), *rest = NULL;

    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        struct point_disk *disk = list_add(disks, &point_disk_record, NULL);
        char *format = strchr(word, ':');

        *format++ = '\0';
        string_set(&disk->name, word, NULL);
        string_set(&disk->source_format, format, NULL);
        string_set(&disk->mode, strcmp(format, "none") == 0 ? "excluded" : "full", NULL);
        disk->size_bytes = strcmp(format, "none") == 0 ? 0 : 1 << 20;
        if (with_checkpoint && strcmp(format, "qcow2") == 0)
            string_set(&disk->checkpoint, "fs-x", NULL);
    }
    free(copy);
}

static struct restore_point *add_point(struct list *points, const char *id, const char *parent, const char *chain,
                                       int64_t length, int64_t at, const char *disks, bool with_checkpoint)
{
    struct restore_point *point = list_add(points, &restore_point_record, NULL);

    string_set(&point->id, id, NULL);
    string_set(&point->parent, parent, NULL);
    string_set(&point->chain, chain, NULL);
    string_set(&point->target.id, "t", NULL);
    point->chain_length = length;
    point->created_at_ms = at;
    point->state = POINT_COMPLETE;
    add_disks(&point->disks, disks, with_checkpoint);
    return point;
}

/* a ← b ← c, and o alone: older, another chain */
static void usual_points(struct list *points)
{
    add_point(points, "o", NULL, "o", 1, 1 * (int64_t)DAY_MS, "vda:qcow2 vdb:raw sda:none", true);
    add_point(points, "a", NULL, "a", 1, 10 * (int64_t)DAY_MS, "vda:qcow2 vdb:raw sda:none", true);
    add_point(points, "b", "a", "a", 2, 11 * (int64_t)DAY_MS, "vda:qcow2 vdb:raw", true);
    add_point(points, "c", "b", "a", 3, 12 * (int64_t)DAY_MS, "vda:qcow2 vdb:raw", true);
}

static const struct choice_case {
    const char *name;
    int kind;
    const char *parent; /* asked */
    const char *disks;
    const char *states; /* "c=gone": first letters; the rest is sound */
    bool off, empty;
    const char *unable;
    int64_t max_chain, days;
    /* expected */
    int expect; /* kind, or -1: refused */
    const char *expect_parent, *reason;
} cases[] = {
    {"nothing there", BACKUP_AUTO, .disks = "vda:qcow2", .empty = true, .expect = BACKUP_FULL, .reason = "no earlier"},
    {"full asked", BACKUP_FULL, .disks = "vda:qcow2 vdb:raw", .expect = BACKUP_FULL},
    {"auto", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw", .expect = BACKUP_INCREMENTAL, .expect_parent = "c"},
    {"excluded ones do not count", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw sdb:none", .expect = BACKUP_INCREMENTAL,
     .expect_parent = "c"},
    {"incremental", BACKUP_INCREMENTAL, .disks = "vda:qcow2 vdb:raw", .expect = BACKUP_INCREMENTAL, .expect_parent = "c"},
    {"differential", BACKUP_DIFFERENTIAL, .disks = "vda:qcow2 vdb:raw", .expect = BACKUP_DIFFERENTIAL,
     .expect_parent = "a"},
    {"differential from", BACKUP_DIFFERENTIAL, "b", "vda:qcow2 vdb:raw", .expect = BACKUP_DIFFERENTIAL,
     .expect_parent = "b"},
    {"incremental from", BACKUP_INCREMENTAL, "a", "vda:qcow2 vdb:raw", .expect = BACKUP_INCREMENTAL,
     .expect_parent = "a"},
    {"unknown parent", BACKUP_INCREMENTAL, "z", "vda:qcow2", .expect = -1, .reason = "not in this repository"},
    {"another set", BACKUP_AUTO, .disks = "vda:qcow2", .expect = BACKUP_FULL, .reason = "set of disks changed"},
    {"a disk more", BACKUP_INCREMENTAL, .disks = "vda:qcow2 vdb:raw vdc:qcow2", .expect = -1, .reason = "set of disks"},
    {"another format", BACKUP_AUTO, .disks = "vda:qcow2 vdb:qcow2", .expect = BACKUP_FULL, .reason = "format"},
    {"only raw", BACKUP_AUTO, .disks = "vdb:raw", .expect = BACKUP_FULL, .reason = "only qcow2"},
    {"off", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw", .off = true, .expect = BACKUP_FULL, .reason = "guest is off"},
    {"off, asked", BACKUP_INCREMENTAL, .disks = "vda:qcow2 vdb:raw", .off = true, .expect = -1, .reason = "guest is off"},
    {"old libvirt", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw", .unable = "too old", .expect = BACKUP_FULL,
     .reason = "too old"},
    {"newest checkpoint gone", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw", .states = "c=gone",
     .expect = BACKUP_INCREMENTAL, .expect_parent = "b"},
    {"all gone but another chain's", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw", .states = "c=gone b=gone a=broken",
     .expect = BACKUP_FULL, .reason = "c is gone"},
    {"broken", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw", .states = "c=broken b=broken a=broken", .expect = BACKUP_FULL,
     .reason = "is broken"},
    {"broken, asked", BACKUP_INCREMENTAL, .disks = "vda:qcow2 vdb:raw", .states = "c=broken b=broken a=broken",
     .expect = -1, .reason = "is broken"},
    {"metadata forgotten", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw", .states = "c=forgotten",
     .expect = BACKUP_INCREMENTAL, .expect_parent = "c"},
    {"long chain", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw", .states = "b=gone", .max_chain = 3, .expect_parent = "a",
     .expect = BACKUP_INCREMENTAL},
    {"too long", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw", .max_chain = 1, .expect = BACKUP_FULL, .reason = "3 points"},
    {"long, asked", BACKUP_INCREMENTAL, .disks = "vda:qcow2 vdb:raw", .max_chain = 1, .expect = BACKUP_INCREMENTAL,
     .expect_parent = "c"},
    {"old chain", BACKUP_AUTO, .disks = "vda:qcow2 vdb:raw", .days = 5, .expect = BACKUP_FULL, .reason = "10 days old"},
};

static void set_states(const char *spec)
{
    static const char *const names[] = {"sound", "forgotten", "gone", "broken", NULL};
    char *copy = strdup(spec ? spec : ""), *rest = NULL;

    memset(checkpoints, 0, sizeof checkpoints);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        checkpoints[(unsigned char)word[0]] = (enum checkpoint_state)name_index(names, word + 2);
    free(copy);
}

static void disks_clear(struct list *disks)
{
    for (size_t i = 0; i < disks->count; i++)
        record_clear(&point_disk_record, list_at(disks, struct point_disk, i));
    free(disks->items);
}

static void check(const struct choice_case *each)
{
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(disks_clear) struct list disks = {0};
    struct backup_choice choice = {0};
    struct err err = {0};
    int result;

    if (!each->empty)
        usual_points(&points);
    add_disks(&disks, each->disks, false);
    set_states(each->states);
    result = backup_choose(&(struct backup_wish){.kind = each->kind,
                                                 .parent = each->parent,
                                                 .max_chain = each->max_chain ? each->max_chain : 30,
                                                 .max_chain_ms = (each->days ? each->days : 35) * DAY_MS,
                                                 .now_ms = 20 * (int64_t)DAY_MS,
                                                 .active = !each->off,
                                                 .unable = each->unable,
                                                 .disks = &disks,
                                                 .points = &points,
                                                 .checkpoint = ask},
                           &choice, &err);
    if (each->expect < 0) {
        assert_int_equal(result, -1);
        assert_non_null(strstr(err.text, each->reason));
        return;
    }
    if (result < 0)
        fail_msg("%s", err.text);
    assert_int_equal(choice.kind, each->expect);
    if (each->expect_parent)
        assert_string_equal(choice.parent->id, each->expect_parent);
    else
        assert_null(choice.parent);
    if (each->reason)
        assert_non_null(strstr(choice.fallback_reason, each->reason));
    else
        assert_string_equal(choice.fallback_reason, "");
    assert_int_equal(choice.redefine, each->states && strstr(each->states, "forgotten") != NULL);
}

static void test_choice(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("    %s\n", cases[i].name);
        check(&cases[i]);
    }
}

static void test_a_point_without_checkpoint_is_passed_over(void **state)
{
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(disks_clear) struct list disks = {0};
    struct backup_choice choice = {0};

    (void)state;
    usual_points(&points);
    add_point(&points, "p", NULL, "p", 1, 13 * (int64_t)DAY_MS, "vda:qcow2 vdb:raw", false); /* made while it was off */
    add_disks(&disks, "vda:qcow2 vdb:raw", false);
    set_states("");
    assert_int_equal(backup_choose(&(struct backup_wish){.kind = BACKUP_AUTO,
                                                         .now_ms = 14 * (int64_t)DAY_MS,
                                                         .active = true,
                                                         .disks = &disks,
                                                         .points = &points,
                                                         .checkpoint = ask},
                                   &choice, NULL),
                     0);
    assert_string_equal(choice.parent->id, "c");
}

static void test_a_damaged_chain_is_not_continued(void **state)
{
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(disks_clear) struct list disks = {0};
    struct backup_choice choice = {0};
    struct point_verification *verification;

    (void)state;
    usual_points(&points);
    verification = list_add(&list_at(&points, struct restore_point, 1)->verified, &point_verification_record, NULL);
    verification->ok = false;
    add_disks(&disks, "vda:qcow2 vdb:raw", false);
    set_states("");
    assert_int_equal(backup_choose(&(struct backup_wish){.kind = BACKUP_AUTO,
                                                         .now_ms = 14 * (int64_t)DAY_MS,
                                                         .active = true,
                                                         .disks = &disks,
                                                         .points = &points,
                                                         .checkpoint = ask},
                                   &choice, NULL),
                     0);
    assert_int_equal(choice.kind, BACKUP_FULL);
    assert_non_null(strstr(choice.fallback_reason, "damaged"));
}

/* ---- delete ---- */

static const struct delete_case {
    const char *point;
    int scope;
    bool merge, really_last;
    const char *set; /* "c b a" in order, or NULL: refused with … */
    const char *refused;
} deletes[] = {
    {"c", SCOPE_SELF, false, false, "c", NULL},
    {"b", SCOPE_SELF, false, false, NULL, "1 later backup builds on it"},
    {"a", SCOPE_SELF, false, false, NULL, "2 later backups build on it"},
    {"b", SCOPE_CHILDREN, false, false, "c b", NULL},
    {"a", SCOPE_CHILDREN, false, false, "c b a", NULL},
    {"o", SCOPE_SELF, false, false, "o", NULL},
    {"gone", SCOPE_SELF, false, false, "", NULL},
    {"a", SCOPE_ALL, false, false, NULL, "last good"},
    {"a", SCOPE_ALL, false, true, "c b a o", NULL},
    {"b", SCOPE_SELF, true, false, NULL, "1 later backup builds on it"}, /* not merged yet */
    {"c", SCOPE_SELF, true, false, "c", NULL},
    {"gone", SCOPE_SELF, true, false, "", NULL},
    {"b", SCOPE_CHILDREN_ONLY, false, false, NULL, "children_only"},
};

static void check_delete(const struct delete_case *each)
{
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(strings_clear) struct strings set = {0};
    struct err err = {0};
    char text[64] = "";
    int result;

    usual_points(&points);
    result = delete_choose(&points, each->point, each->scope, each->merge, &set, &err);
    if (result == 0)
        result = delete_check(&points, &set, each->really_last, &err);
    if (!each->set) {
        assert_int_equal(result, -1);
        assert_non_null(strstr(err.text, each->refused));
        return;
    }
    if (result < 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < set.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", set.items[i]);
    assert_string_equal(text, each->set);
}

static void test_delete(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof deletes / sizeof *deletes; i++)
        check_delete(&deletes[i]);
}

/* ---- merge ---- */

static void assert_heirs(const struct list *points, const char *point, const char *expected)
{
    CLEANUP(strings_clear) struct strings heirs = {0};
    struct err err = {0};
    char text[64] = "";

    if (delete_heirs(points, point, &heirs, &err) < 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < heirs.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", heirs.items[i]);
    assert_string_equal(text, expected);
}

static void assert_no_heirs(const struct list *points, const char *point, const char *why)
{
    CLEANUP(strings_clear) struct strings heirs = {0};
    struct err err = {0};

    assert_int_equal(delete_heirs(points, point, &heirs, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, why));
}

static void test_heirs(void **state)
{
    CLEANUP(points_clear) struct list points = {0};
    struct restore_point *point;
    struct point_verification *verification;

    (void)state;
    usual_points(&points);
    assert_heirs(&points, "c", "");
    assert_heirs(&points, "b", "c");
    add_point(&points, "d", "a", "a", 2, 13 * (int64_t)DAY_MS, "vda:qcow2", true);
    assert_heirs(&points, "a", "b d");
    point = add_point(&points, "e", "a", "a", 2, 14 * (int64_t)DAY_MS, "vda:qcow2", true);
    point->state = POINT_INCOMPLETE;
    assert_no_heirs(&points, "a", "e builds on it and is not complete");
    point->state = POINT_DELETED;
    assert_heirs(&points, "a", "b d");
    verification = list_add(&list_at(&points, struct restore_point, 1)->verified, &point_verification_record, NULL);
    verification->ok = false; /* of "a" */
    assert_no_heirs(&points, "a", "found damaged");
}

/* The chain keeps its name; its oldest point says how old it is. */
static void test_a_chain_whose_full_was_merged_goes_on(void **state)
{
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(disks_clear) struct list disks = {0};
    struct backup_wish wish = {.kind = BACKUP_AUTO,
                               .now_ms = 14 * (int64_t)DAY_MS,
                               .max_chain_ms = 2 * (int64_t)DAY_MS,
                               .active = true,
                               .disks = &disks,
                               .points = &points,
                               .checkpoint = ask};
    struct backup_choice choice = {0};

    (void)state;
    add_point(&points, "b", NULL, "a", 1, 12 * (int64_t)DAY_MS, "vda:qcow2", true);
    add_point(&points, "c", "b", "a", 2, 13 * (int64_t)DAY_MS, "vda:qcow2", true);
    add_disks(&disks, "vda:qcow2", false);
    set_states("");
    assert_int_equal(backup_choose(&wish, &choice, NULL), 0);
    assert_string_equal(choice.parent->id, "c");
    wish.now_ms++;
    assert_int_equal(backup_choose(&wish, &choice, NULL), 0);
    assert_int_equal(choice.kind, BACKUP_FULL);
    assert_non_null(strstr(choice.fallback_reason, "2 days old"));
}

/* An incomplete or damaged one is no reason to give up the last that is good, and may itself always go. */
static void test_last_good(void **state)
{
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(strings_clear) struct strings set = {0};
    struct err err = {0};

    (void)state;
    add_point(&points, "a", NULL, "a", 1, 1, "vda:qcow2", true);
    add_point(&points, "b", NULL, "b", 1, 2, "vda:qcow2", true)->state = POINT_INCOMPLETE;
    ((struct point_verification *)list_add(&add_point(&points, "c", NULL, "c", 1, 3, "vda:qcow2", true)->verified,
                                           &point_verification_record, NULL))
        ->ok = false;
    assert_int_equal(delete_choose(&points, "a", SCOPE_SELF, false, &set, &err), 0);
    assert_int_equal(delete_check(&points, &set, false, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    strings_clear(&set);
    assert_int_equal(delete_choose(&points, "b", SCOPE_SELF, false, &set, &err), 0);
    assert_int_equal(delete_check(&points, &set, false, &err), 0);
    strings_clear(&set);
    assert_int_equal(delete_choose(&points, "c", SCOPE_SELF, false, &set, &err), 0);
    assert_int_equal(delete_check(&points, &set, false, &err), 0);
}

/* A child that appeared after planning. */
static void test_a_new_child_refuses(void **state)
{
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(strings_clear) struct strings set = {0};
    struct err err = {0};

    (void)state;
    usual_points(&points);
    assert_int_equal(delete_choose(&points, "c", SCOPE_SELF, false, &set, &err), 0);
    add_point(&points, "d", "c", "a", 4, 15 * (int64_t)DAY_MS, "vda:qcow2", true)->state = POINT_INCOMPLETE;
    assert_int_equal(delete_check(&points, &set, false, &err), -1);
}

static void a_newer_libvirt_goes_on_while_the_guest_shuts_down(void **state)
{
    (void)state;
    assert_int_equal(backup_begin_flags(9000000, false), 1);
    assert_int_equal(backup_begin_flags(11009000, false), 1);
    assert_int_equal(backup_begin_flags(11010000, false), 3);
    assert_int_equal(backup_begin_flags(11010000, true), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_a_point_without_checkpoint_is_passed_over),
        cmocka_unit_test(test_a_damaged_chain_is_not_continued),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_last_good),
        cmocka_unit_test(test_heirs),
        cmocka_unit_test(test_a_chain_whose_full_was_merged_goes_on),
        cmocka_unit_test(test_a_new_child_refuses),
        cmocka_unit_test(a_newer_libvirt_goes_on_while_the_guest_shuts_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
