#include "base/err.h"
#include "base/parse.h"
#include "coordinator/retention.h"
#include "coordinator/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 64, NAME = 12 };

static struct err err;
static struct zone *berlin;

static int open_zone(void **state)
{
    (void)state;
    return zone_open("Europe/Berlin", &berlin, &err);
}

static int close_zone(void **state)
{
    (void)state;
    zone_free(berlin);
    return 0;
}

static int64_t ms(const char *text)
{
    int64_t at;

    assert_int_equal(parse_time(text, &at, &err), 0);
    return at;
}

static void decide(const struct retention_rules *rules, const char *now, struct retention_point *points, size_t count)
{
    assert_int_equal(retention_decide(rules, berlin, ms(now), points, count, &err), 0);
}

/* "+a -b": which stay and which go, in the order of the points. */
static const char *result(const struct retention_point *points, size_t count)
{
    static char text[512];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%c%s", i ? " " : "", points[i].keep ? '+' : '-',
                                 points[i].id);
    return text;
}

static struct retention_point at(const char *id, const char *when)
{
    return (struct retention_point){.id = id, .created_ms = ms(when), .complete = true};
}

static void the_newest_of_each_local_day_stays(void **state)
{
    struct retention_point points[] = {
        at("a", "2026-11-17T22:59:00Z"), /* 17th in Berlin */
        at("b", "2026-11-17T23:01:00Z"), /* 18th */
        at("c", "2026-11-18T20:00:00Z"), at("d", "2026-11-19T01:00:00Z"), at("e", "2026-11-19T08:00:00Z"),
    };

    (void)state;
    decide(&(struct retention_rules){.daily = 3}, "2026-11-20T00:00:00Z", points, 5);
    assert_string_equal(result(points, 5), "+a -b +c -d +e");
    assert_string_equal(points[0].rule, "daily 3 of 3");
    assert_int_equal(points[1].order, 1);
    assert_int_equal(points[3].order, 2);
    decide(&(struct retention_rules){.daily = 2}, "2026-11-20T00:00:00Z", points, 5);
    assert_string_equal(result(points, 5), "-a -b +c -d +e");
}

static void rules_add_up(void **state)
{
    struct retention_point points[] = {
        at("y", "2025-12-31T22:00:00Z"), at("m", "2026-09-30T12:00:00Z"),
        at("n", "2026-10-30T12:00:00Z"), at("v", "2026-11-08T12:00:00Z"), /* a Sunday */
        at("w", "2026-11-15T12:00:00Z"), at("x", "2026-11-19T12:00:00Z"),
    };

    (void)state;
    decide(&(struct retention_rules){.last = 1, .weekly = 2, .monthly = 2, .yearly = 2}, "2026-11-20T00:00:00Z", points,
           6);
    assert_string_equal(result(points, 6), "+y -m +n -v +w +x");
    assert_string_equal(points[5].rule, "last 1 of 1");
    assert_string_equal(points[4].rule, "weekly 2 of 2");
    assert_string_equal(points[2].rule, "monthly 2 of 2");
    assert_string_equal(points[0].rule, "yearly 2 of 2");
    decide(&(struct retention_rules){.keep_within_ms = 13LL * 24 * 3600 * 1000}, "2026-11-20T00:00:00Z", points, 6);
    assert_string_equal(result(points, 6), "-y -m -n +v +w +x");
}

static void the_last_good_one_is_never_taken(void **state)
{
    struct retention_point points[] = {
        at("proven", "2026-01-01T00:00:00Z"), at("old", "2026-02-01T00:00:00Z"),  at("good", "2026-03-01T00:00:00Z"),
        at("bad", "2026-04-01T00:00:00Z"),    at("half", "2026-05-01T00:00:00Z"), at("other", "2026-06-01T00:00:00Z"),
    };

    (void)state;
    points[0].verified = true;
    points[3].bad = true;
    points[4].complete = false;
    points[5].foreign = true;
    decide(&(struct retention_rules){.keep_within_ms = 1}, "2026-11-20T00:00:00Z", points, 6);
    assert_string_equal(result(points, 6), "+proven -old +good -bad +half +other");
    assert_string_equal(points[2].rule, "the last good one");
    assert_string_equal(points[0].rule, "the last verified one");
    decide(&(struct retention_rules){.last = 1}, "2026-11-20T00:00:00Z", points, 6);
    assert_string_equal(result(points, 6), "+proven -old +good -bad +half +other"); /* a bad one is nobody's last */
}

static void a_chain_is_kept_whole_and_deleted_from_its_end(void **state)
{
    struct retention_point points[] = {
        at("f1", "2026-11-01T00:00:00Z"), at("i1", "2026-11-02T00:00:00Z"), at("i2", "2026-11-03T00:00:00Z"),
        at("f2", "2026-11-04T00:00:00Z"), at("j1", "2026-11-05T00:00:00Z"), at("j2", "2026-11-06T00:00:00Z"),
        at("j3", "2026-11-07T00:00:00Z"),
    };

    (void)state;
    points[1].parent = "f1";
    points[2].parent = "i1";
    points[4].parent = "f2";
    points[5].parent = "j1";
    points[6].parent = "f2"; /* differential */
    decide(&(struct retention_rules){.last = 1}, "2026-11-20T00:00:00Z", points, 7);
    assert_string_equal(result(points, 7), "-f1 -i1 -i2 +f2 -j1 -j2 +j3");
    assert_string_equal(points[3].rule, "needed by j3");
    assert_true(points[2].order < points[1].order && points[1].order < points[0].order);
    assert_true(points[5].order < points[4].order);
    points[5].pinned = true;
    decide(&(struct retention_rules){.last = 1}, "2026-11-20T00:00:00Z", points, 7);
    assert_string_equal(result(points, 7), "-f1 -i1 -i2 +f2 +j1 +j2 +j3");
    assert_string_equal(points[5].rule, "pinned");
    points[0].parent = "i2"; /* a circle, as only a broken catalog has */
    decide(&(struct retention_rules){.last = 1}, "2026-11-20T00:00:00Z", points, 7);
    assert_string_equal(result(points, 7), "-f1 -i1 -i2 +f2 +j1 +j2 +j3");
}

static void what_is_only_needed_is_merged_if_asked(void **state)
{
    struct retention_point points[] = {at("f", "2026-11-01T00:00:00Z"), at("i", "2026-11-02T00:00:00Z"),
                                       at("j", "2026-11-03T00:00:00Z"), at("k", "2026-11-04T00:00:00Z")};
    const struct retention_rules rules = {.last = 2, .merge = true};

    (void)state;
    for (size_t i = 1; i < 4; i++)
        points[i].parent = points[i - 1].id;
    decide(&rules, "2026-11-20T00:00:00Z", points, 4);
    assert_string_equal(result(points, 4), "-f -i +j +k");
    assert_true(points[0].merge && points[1].merge && !points[2].merge);
    assert_string_equal(points[0].rule, "merged into j");
    assert_true(points[1].order == 1 && points[0].order == 2); /* the small one first: the large one is written once */
    points[3].parent = "i";                                    /* two build on it: each would become as large as both */
    decide(&rules, "2026-11-20T00:00:00Z", points, 4);
    assert_string_equal(result(points, 4), "-f +i +j +k"); /* but what that one needs goes into it */
    assert_string_equal(points[0].rule, "merged into i");
    points[3].parent = "j";
    points[1].bad = true; /* a merge would hide it */
    decide(&rules, "2026-11-20T00:00:00Z", points, 4);
    assert_string_equal(result(points, 4), "+f +i +j +k");
    points[1].bad = false;
    points[0].pinned = true;
    decide(&rules, "2026-11-20T00:00:00Z", points, 4);
    assert_string_equal(result(points, 4), "+f -i +j +k");
    decide(&(struct retention_rules){.last = 2}, "2026-11-20T00:00:00Z", points, 4);
    assert_string_equal(result(points, 4), "+f +i +j +k");
}

static void unverified_ones_wait_if_asked(void **state)
{
    struct retention_point points[] = {at("a", "2026-11-01T00:00:00Z"), at("b", "2026-11-02T00:00:00Z"),
                                       at("c", "2026-11-03T00:00:00Z"), at("d", "2026-11-04T00:00:00Z")};

    (void)state;
    points[0].verified = points[1].verified = true;
    decide(&(struct retention_rules){.last = 1, .verified_only = true}, "2026-11-20T00:00:00Z", points, 4);
    assert_string_equal(result(points, 4), "-a +b +c +d");
    decide(&(struct retention_rules){.last = 1, .min_verified = 2}, "2026-11-20T00:00:00Z", points, 4);
    assert_string_equal(result(points, 4), "+a +b -c +d");
    assert_string_equal(points[0].rule, "verified 2 of 2");
}

static void without_rules_nothing_goes(void **state)
{
    struct retention_point points[] = {at("a", "2026-11-01T00:00:00Z"), at("b", "2026-11-02T00:00:00Z")};

    (void)state;
    decide(&(struct retention_rules){.min_verified = 1}, "2026-11-20T00:00:00Z", points, 2);
    assert_string_equal(result(points, 2), "+a +b");
}

/* ---- properties, on histories drawn at random ---- */

struct history {
    struct retention_point points[MOST];
    char ids[MOST][NAME];
    size_t count;
};

static void draw(struct history *history, unsigned seed)
{
    int64_t when = ms("2025-06-01T00:00:00Z");

    *history = (struct history){0};
    srand(seed);
    history->count = 1 + (size_t)rand() % MOST;
    for (size_t i = 0; i < history->count; i++) {
        struct retention_point *point = &history->points[i];
        snprintf(history->ids[i], NAME, "p%zu", i);
        when += (rand() % 10 ? 1 + rand() % 90000 : 1 + rand() % 4000000) * 1000LL;
        *point = (struct retention_point){.id = history->ids[i], .created_ms = when, .complete = rand() % 12 != 0};
        point->verified = rand() % 3 == 0;
        point->bad = !point->verified && rand() % 15 == 0;
        point->pinned = rand() % 20 == 0;
        point->foreign = rand() % 20 == 0;
        if (i && rand() % 3)
            point->parent = history->ids[rand() % 4 ? i - 1 : (size_t)rand() % i];
    }
}

static struct retention_rules draw_rules(void)
{
    struct retention_rules rules = {.last = rand() % 4,
                                    .hourly = rand() % 5,
                                    .daily = rand() % 8,
                                    .weekly = rand() % 4,
                                    .monthly = rand() % 4,
                                    .yearly = rand() % 2,
                                    .min_verified = rand() % 3,
                                    .verified_only = rand() % 4 == 0,
                                    .merge = rand() % 2};

    rules.keep_within_ms = rand() % 3 ? 0 : rand() % 100 * 3600000LL;
    return rules;
}

/* It may have no child left; if it is merged one, which stays and takes its place. */
static void take_away(struct history *history, size_t index)
{
    const struct retention_point gone = history->points[index];
    size_t children = 0;

    memmove(&history->points[index], &history->points[index + 1], (--history->count - index) * sizeof *history->points);
    for (size_t i = 0; i < history->count; i++)
        if (history->points[i].parent && strcmp(history->points[i].parent, gone.id) == 0) {
            assert_true(gone.merge && (history->points[i].keep || history->points[i].merge));
            history->points[i].parent = gone.parent;
            children++;
        }
    assert_int_equal(children, gone.merge);
}

/* Removes what goes, one by one in order. Returns how many went. */
static size_t apply(struct history *history)
{
    size_t gone = 0;

    for (size_t order = 1, i = 0; i < history->count; order++) {
        for (i = 0; i < history->count && history->points[i].order != order; i++)
            ;
        if (i < history->count) {
            assert_false(history->points[i].keep);
            take_away(history, i);
            gone++;
            i = 0;
        }
    }
    for (size_t i = 0; i < history->count; i++)
        assert_true(history->points[i].keep);
    return gone;
}

static void same_kept(const struct history *a, const struct history *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const char *parent = a->points[i].parent, *other = b->points[i].parent;
        assert_string_equal(a->points[i].id, b->points[i].id);
        assert_string_equal(parent ? parent : "", other ? other : "");
    }
}

static void asking_again_changes_nothing(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 3000; seed++) {
        struct history history;
        draw(&history, seed);
        struct retention_rules rules = draw_rules();
        int64_t now = history.points[history.count - 1].created_ms + 1000;
        bool any_good = false;
        for (size_t i = 0; i < history.count; i++)
            any_good |= history.points[i].complete && !history.points[i].foreign && !history.points[i].bad;
        assert_int_equal(retention_decide(&rules, berlin, now, history.points, history.count, &err), 0);
        for (size_t i = 0; i < history.count; i++) {
            const struct retention_point *point = &history.points[i];
            assert_true((point->keep || point->merge) == (point->rule[0] != '\0') && point->keep == !point->order);
            assert_true(!point->merge || (rules.merge && !point->keep));
            if (point->pinned || point->foreign || !point->complete)
                assert_true(point->keep);
        }
        apply(&history);
        assert_true(!any_good || history.count > 0);
        assert_int_equal(retention_decide(&rules, berlin, now, history.points, history.count, &err), 0);
        assert_int_equal(apply(&history), 0);
    }
}

/* One history without chains, thinned out after every point or once at the end: the same points are left. */
static void how_often_it_is_asked_changes_nothing(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 1000; seed++) {
        struct history once, often = {0};
        draw(&once, seed);
        struct retention_rules rules = draw_rules();
        rules.verified_only = false;
        for (size_t i = 0; i < once.count; i++)
            once.points[i].parent = NULL;
        int64_t now = once.points[once.count - 1].created_ms + 1000;
        for (size_t i = 0; i < once.count; i++) {
            often.points[often.count++] = once.points[i];
            assert_int_equal(
                retention_decide(&rules, berlin, once.points[i].created_ms + 1000, often.points, often.count, &err), 0);
            apply(&often);
        }
        assert_int_equal(retention_decide(&rules, berlin, now, once.points, once.count, &err), 0);
        assert_int_equal(retention_decide(&rules, berlin, now, often.points, often.count, &err), 0);
        apply(&once);
        apply(&often);
        same_kept(&once, &often);
    }
}

/* Chains in which each stands on the one before, with merges: the same points are left, and stand on the same. */
static void how_often_it_is_merged_changes_nothing(void **state)
{
    size_t merges = 0;

    (void)state;
    for (unsigned seed = 1; seed <= 1000; seed++) {
        struct history once, often = {0};
        draw(&once, seed);
        struct retention_rules rules = draw_rules();
        rules.verified_only = false;
        rules.merge = true;
        for (size_t i = 0; i < once.count; i++) {
            once.points[i].parent = i && rand() % 8 ? once.points[i - 1].id : NULL;
            once.points[i].bad = false; /* it would be gone before the next one stands on it */
        }
        int64_t now = once.points[once.count - 1].created_ms + 1000;
        for (size_t i = 0; i < once.count; i++) {
            often.points[often.count++] = once.points[i];
            assert_int_equal(
                retention_decide(&rules, berlin, once.points[i].created_ms + 1000, often.points, often.count, &err), 0);
            apply(&often);
        }
        assert_int_equal(retention_decide(&rules, berlin, now, once.points, once.count, &err), 0);
        for (size_t i = 0; i < once.count; i++)
            merges += once.points[i].merge;
        apply(&once);
        same_kept(&once, &often);
    }
    assert_true(merges > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_of_each_local_day_stays),
        cmocka_unit_test(rules_add_up),
        cmocka_unit_test(the_last_good_one_is_never_taken),
        cmocka_unit_test(a_chain_is_kept_whole_and_deleted_from_its_end),
        cmocka_unit_test(what_is_only_needed_is_merged_if_asked),
        cmocka_unit_test(unverified_ones_wait_if_asked),
        cmocka_unit_test(without_rules_nothing_goes),
        cmocka_unit_test(asking_again_changes_nothing),
        cmocka_unit_test(how_often_it_is_asked_changes_nothing),
        cmocka_unit_test(how_often_it_is_merged_changes_nothing),
    };
    return cmocka_run_group_tests(tests, open_zone, close_zone);
}
