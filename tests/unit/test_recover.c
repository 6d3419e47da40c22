/* Where the machines of a dead host go: what holds for any fleet, and what is said of those that go nowhere. */
#include "coordinator/recover.h"

#include "base/err.h"
#include "model/restore_point.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GIB = 1 << 30 };

static struct recover_place *place(struct recover *recover, const char *host, int64_t room, const char *repository)
{
    struct recover_place *made = recover_add_place(recover, host, NULL);

    made->ready = true;
    made->room_bytes = room;
    if (repository)
        assert_int_equal(strings_add(&made->repositories, repository, NULL), 0);
    return made;
}

static struct restore_point point_of(const char *id, const char *machine, int64_t at_ms)
{
    return (struct restore_point){.id = (char *)id,
                                  .kind = (char *)"backup",
                                  .state = POINT_COMPLETE,
                                  .target = {(char *)"libvirt", (char *)machine, (char *)machine},
                                  .repository = (char *)"main",
                                  .backup_kind = (char *)"full",
                                  .created_at_ms = at_ms,
                                  .size_bytes = 10};
}

static struct recover_item *machine(struct recover *recover, const char *name, int64_t priority, int64_t size)
{
    char target[64];
    struct restore_point point = point_of(name, name, 5);

    snprintf(target, sizeof target, "libvirt:%s", name);
    recover_add_item(recover, target, name, NULL)->priority = priority;
    point.size_bytes = size;
    if (size)
        assert_int_equal(recover_add_point(recover, &point, NULL), 0);
    return recover_add_item(recover, target, name, NULL);
}

static const struct recover_item *item_of(const struct recover *recover, const char *name)
{
    for (size_t i = 0; i < recover->item_count; i++)
        if (strcmp(recover->items[i].name, name) == 0)
            return &recover->items[i];
    return NULL;
}

static void onto(const struct recover *recover, const char *name, const char *host)
{
    const struct recover_item *item = item_of(recover, name);

    assert_non_null(item);
    if (!item->onto)
        fail_msg("%s goes nowhere: %s", name, item->why);
    assert_string_equal(item->onto->host, host);
}

static void nowhere(const struct recover *recover, const char *name, const char *why)
{
    const struct recover_item *item = item_of(recover, name);

    assert_null(item->onto);
    if (!strstr(item->why, why))
        fail_msg("%s: \"%s\" does not say \"%s\"", name, item->why, why);
}

static void the_most_room_first_and_by_priority(void **state)
{
    struct recover recover = {0};

    (void)state;
    place(&recover, "delta", 100, "main");
    place(&recover, "gamma", 150, "main");
    machine(&recover, "a", 3, 90);
    machine(&recover, "b", 8, 90);
    machine(&recover, "c", 1, 90);
    recover_decide(&recover);
    assert_string_equal(recover.items[0].name, "b");
    onto(&recover, "b", "gamma");
    onto(&recover, "a", "delta");
    nowhere(&recover, "c", "does not fit: needs 90 bytes, the most that is free is 60");
    recover_clear(&recover);
}

static void what_keeps_a_machine_away_is_said(void **state)
{
    struct recover recover = {0};

    (void)state;
    machine(&recover, "bare", 3, 0);
    machine(&recover, "other", 3, 10);
    recover_decide(&recover);
    nowhere(&recover, "bare", "no good backup");
    nowhere(&recover, "other", "none of these hosts takes work");
    place(&recover, "gamma", GIB, "elsewhere");
    recover_decide(&recover);
    nowhere(&recover, "other", "no host that takes work can read its repository");
    strings_add(&place(&recover, "delta", GIB, "main")->machines, "other", NULL);
    recover_decide(&recover);
    nowhere(&recover, "other", "of that name");
    recover.places[1].ready = false;
    recover_decide(&recover);
    nowhere(&recover, "other", "can read its repository");
    recover_clear(&recover);
}

static void the_newest_good_backup_counts(void **state)
{
    struct recover recover = {0};
    struct restore_point full = point_of("full", "a", 10), good = point_of("good", "a", 20),
                         orphan = point_of("orphan", "a", 30), damaged = point_of("damaged", "a", 40),
                         half = point_of("half", "a", 50), after = point_of("after", "a", 60);

    (void)state;
    place(&recover, "gamma", GIB, "main");
    recover_add_item(&recover, "libvirt:a", "a", NULL);
    good.parent = (char *)"full";
    orphan.parent = (char *)"lost";
    struct point_verification *check = list_add(&damaged.verified, &point_verification_record, NULL);
    check->ok = false;
    half.state = POINT_INCOMPLETE;
    after.parent = (char *)"damaged";
    struct restore_point *all[] = {&full, &good, &orphan, &damaged, &half, &after};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(recover_add_point(&recover, all[i], NULL), 0);
    recover_decide(&recover);
    assert_string_equal(item_of(&recover, "a")->point, "good");
    onto(&recover, "a", "gamma");
    struct restore_point stranger = point_of("x", "nobody", 99);
    assert_int_equal(recover_add_point(&recover, &stranger, NULL), 0);
    assert_int_equal(recover.item_count, 1);
    list_clear(&damaged.verified, &point_verification_record);
    recover_clear(&recover);
}

/* A small generator of its own: the same fleets on every machine. */
static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void check_fleet(const struct recover *recover, const int64_t *room_before)
{
    for (size_t i = 0; i < recover->place_count; i++) {
        const struct recover_place *its = &recover->places[i];
        int64_t taken = 0;
        for (size_t j = 0; j < recover->item_count; j++)
            taken += recover->items[j].onto == its ? recover->items[j].size_bytes : 0;
        assert_true(its->room_bytes >= 0); /* nothing is promised twice */
        assert_int_equal(its->room_bytes, room_before[i] - taken);
    }
    for (size_t i = 0; i < recover->item_count; i++) {
        const struct recover_item *item = &recover->items[i];
        assert_true(i == 0 || recover->items[i - 1].priority >= item->priority);
        assert_true(!item->onto == (*item->why != '\0'));
        if (item->onto) {
            assert_true(item->onto->ready && item->onto->repositories.count);
            continue;
        }
        for (size_t j = 0; j < recover->place_count && item->created_at_ms; j++) /* nobody is left out who would fit */
            assert_true(!recover->places[j].ready || !recover->places[j].repositories.count ||
                        recover->places[j].room_bytes < item->size_bytes);
    }
}

static void in_any_fleet_nothing_is_promised_twice_and_nobody_left_out(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= 500; round++) {
        struct recover recover = {0};
        uint32_t seed = round;
        int64_t room[8];
        char name[32];
        size_t places = next(&seed) % 6, machines = next(&seed) % 30;

        for (size_t i = 0; i < places; i++) {
            snprintf(name, sizeof name, "host%zu", i);
            room[i] = next(&seed) % 1000;
            place(&recover, name, room[i], next(&seed) % 4 ? "main" : NULL)->ready = next(&seed) % 5 != 0;
        }
        for (size_t i = 0; i < machines; i++) {
            snprintf(name, sizeof name, "vm%zu", i);
            machine(&recover, name, next(&seed) % 10, next(&seed) % 8 ? 1 + next(&seed) % 300 : 0);
        }
        recover_decide(&recover);
        check_fleet(&recover, room);
        recover_clear(&recover);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_room_first_and_by_priority),
        cmocka_unit_test(what_keeps_a_machine_away_is_said),
        cmocka_unit_test(the_newest_good_backup_counts),
        cmocka_unit_test(in_any_fleet_nothing_is_promised_twice_and_nobody_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
