/* Which snapshots a list shows. */
#include "base/err.h"
#include "coordinator/cli/cli.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/snapshots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* b stands on a, c and e on b; d is alone. In the order in which a host may well list them. */
static const char tree[] =
    "[{\"name\":\"c\",\"parent\":\"b\",\"state\":\"shutoff\",\"location\":\"internal\",\"children\":0,\"has_metadata\":true},"
    "{\"name\":\"e\",\"parent\":\"b\",\"state\":\"running\",\"location\":\"external\",\"children\":0,\"has_metadata\":true,\"current\":true},"
    "{\"name\":\"b\",\"parent\":\"a\",\"state\":\"disk-only\",\"location\":\"external\",\"children\":2,\"has_metadata\":true},"
    "{\"name\":\"a\",\"state\":\"disk-only\",\"location\":\"external\",\"children\":1,\"has_metadata\":true},"
    "{\"name\":\"d\",\"state\":\"paused\",\"location\":\"internal\",\"children\":0,\"has_metadata\":false}]";

/* The names that `snapshot list shop-1 OPTIONS` selects, with blanks between; or "! " and the error with its hint. */
static const char *select_by(const char *options)
{
    static char out[512];
    struct invocation *invocation = calloc(1, sizeof *invocation);
    json_t *all = json_loads(tree, 0, NULL), *chosen = NULL;
    const char *argv[32] = {"fleetsnap", "snapshot", "list", "shop-1"};
    char words[256], *save = NULL;
    struct err err = {0};
    size_t index;
    json_t *item;
    int argc = 4;

    snprintf(words, sizeof words, "%s", options);
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    out[0] = '\0';
    assert_int_equal(invocation_parse(argc, argv, invocation, &err), 0);
    if (snapshots_select(all, invocation, &chosen, &err) < 0)
        snprintf(out, sizeof out, "! %.200s%s%.200s", err.text, *err.hint ? ". " : "", err.hint);
    json_array_foreach(chosen, index, item)
    {
        if (*out)
            strcat(out, " ");
        strcat(out, member_text(item, "name"));
    }
    json_decref(chosen);
    json_decref(all);
    free(invocation);
    return out;
}

static void each_filter_alone(void **state)
{
    (void)state;
    assert_string_equal(select_by(""), "c e b a d");
    assert_string_equal(select_by("--roots"), "a d");
    assert_string_equal(select_by("--parent b"), "c e");
    assert_string_equal(select_by("--from b"), "c e");
    assert_string_equal(select_by("--parent a --descendants"), "c e b");
    assert_string_equal(select_by("--leaves"), "c e d");
    assert_string_equal(select_by("--no-leaves"), "b a");
    assert_string_equal(select_by("--metadata"), "c e b a");
    assert_string_equal(select_by("--no-metadata"), "d");
    assert_string_equal(select_by("--active"), "e d");
    assert_string_equal(select_by("--inactive"), "c");
    assert_string_equal(select_by("--disk-only"), "b a");
    assert_string_equal(select_by("--internal"), "c d");
    assert_string_equal(select_by("--external"), "e b a");
}

static void a_group_adds_up_and_groups_narrow(void **state)
{
    (void)state;
    assert_string_equal(select_by("--leaves --no-leaves"), "c e b a d");
    assert_string_equal(select_by("--active --inactive"), "c e d");
    assert_string_equal(select_by("--internal --external --disk-only"), "b a");
    assert_string_equal(select_by("--leaves --external"), "e");
    assert_string_equal(select_by("--parent a --descendants --leaves --internal"), "c");
    assert_string_equal(select_by("--roots --no-metadata --active"), "d");
    assert_string_equal(select_by("--roots --disk-only --internal"), "");
}

static void topological_puts_parents_first(void **state)
{
    (void)state;
    assert_string_equal(select_by("--topological"), "a d b c e");
    assert_string_equal(select_by("--topological --external"), "a b e");
    assert_string_equal(select_by("--topological --no-leaves --leaves --metadata"), "a b c e");
}

/* Depth is that of the whole tree: between the two that are chosen one is missing. */
static void topological_holds_across_a_gap(void **state)
{
    (void)state;
    assert_string_equal(select_by("--topological --disk-only --inactive"), "a b c");
}

static void what_cannot_be_meant_is_refused(void **state)
{
    (void)state;
    assert_string_equal(select_by("--descendants"), "! --descendants: of which one? --parent NAME");
    assert_string_equal(select_by("--roots --parent a"), "! --roots and --parent exclude each other: a root has none");
    assert_string_equal(select_by("--parent before-deploy"), "! no snapshot \"before-deploy\"");
    assert_string_equal(select_by("--parent aa"), "! no snapshot \"aa\". Did you mean a?");
}

static void relatives_are_named(void **state)
{
    json_t *all = json_loads(tree, 0, NULL);
    json_t *children = snapshot_names_below(all, "a", false), *descendants = snapshot_names_below(all, "a", true),
           *none = snapshot_names_below(all, "d", true);

    (void)state;
    assert_int_equal(json_array_size(children), 1);
    assert_string_equal(json_string_value(json_array_get(children, 0)), "b");
    assert_int_equal(json_array_size(descendants), 3);
    assert_int_equal(json_array_size(none), 0);
    assert_string_equal(member_text(snapshot_row_find(all, NULL), "name"), "e");
    json_decref(children);
    json_decref(descendants);
    json_decref(none);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_filter_alone),
        cmocka_unit_test(a_group_adds_up_and_groups_narrow),
        cmocka_unit_test(topological_puts_parents_first),
        cmocka_unit_test(topological_holds_across_a_gap),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
        cmocka_unit_test(relatives_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
