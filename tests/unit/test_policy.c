#include "base/err.h"
#include "base/facts.h"
#include "base/text.h"
#include "coordinator/policy.h"
#include "model/job.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err err;

static const char full[] = "# every night\n"
                           "name: nightly\n"
                           "description: the shop\n"
                           "owner: platform-team\n"
                           "select:\n"
                           "  labels: app=shop,tier!=db\n"
                           "  names: [shop-*, \"web-?\"]\n"
                           "  hosts: alpha\n"
                           "  kinds: [libvirt]\n"
                           "  exclude:\n"
                           "    names: [shop-test*]\n"
                           "operation: backup.create\n"
                           "repository: main\n"
                           "backup: {quiesce: require, rate_limit: 100MiB, max_chain: 14, max_chain_age: 2w}\n"
                           "time_zone: Europe/Berlin\n"
                           "schedules:\n"
                           "  - name: weekly\n"
                           "    cron: \"0 1 * * SUN\"\n"
                           "    kind: full\n"
                           "    spread: 2h\n"
                           "    window: 6h\n"
                           "    window_end: cancel\n"
                           "    missed: all\n"
                           "    missed_limit: 2\n"
                           "  - {name: daily, cron: 0 1 * * MON-SAT}\n"
                           "retention: {last: 3, daily: 14, keep_within: 48h, min_verified: 1}\n"
                           "limits: {jobs: 20, per_host: 2}\n"
                           "overlap: queue\n"
                           "max_age: 26h\n";

static struct policy_texts read_text(const char *text)
{
    struct policy_texts texts;

    if (policies_read("p.yaml", text, strlen(text), &texts, &err) < 0)
        fail_msg("%s", err.text);
    return texts;
}

static void a_policy_is_read(void **state)
{
    struct policy_texts texts = read_text(full);
    const struct policy *policy = texts.items[0].policy;
    const struct policy_schedule *weekly = list_at(&policy->schedules, struct policy_schedule, 0);

    (void)state;
    assert_int_equal(texts.count, 1);
    assert_string_equal(texts.items[0].source, full);
    assert_string_equal(policy->name, "nightly");
    assert_int_equal(policy->select.names.count, 2);
    assert_string_equal(policy->select.hosts.items[0], "alpha");
    assert_int_equal(policy->backup->quiesce, QUIESCE_REQUIRE);
    assert_int_equal(policy->backup->rate_limit_bytes, 100 << 20);
    assert_int_equal(policy->backup->max_chain_age_ms, 14LL * 86400000);
    assert_int_equal(policy->schedules.count, 2);
    assert_int_equal(weekly->spread_ms, 7200000);
    assert_int_equal(weekly->window_end, WINDOW_END_CANCEL);
    assert_int_equal(weekly[1].missed_limit, 3);
    assert_int_equal(policy->retention->daily, 14);
    assert_int_equal(policy->limits.per_host, 2);
    assert_int_equal(policy->overlap, OVERLAP_QUEUE);
    assert_int_equal(policy->priority, 3);
    assert_int_equal(policy->max_age_ms, 26 * 3600000);
    policy_texts_clear(&texts);
}

static void many_policies_are_in_one_file(void **state)
{
    struct policy_texts texts = read_text(
        "---\n# one\nname: a\nselect: {names: ['*']}\noperation: backup.create\ntime_zone: UTC\n"
        "---\n---\n# two\nname: b\nselect: {names: ['*']}\noperation: snapshot.create\ntime_zone: UTC\n");

    (void)state;
    assert_int_equal(texts.count, 2);
    assert_string_equal(texts.items[0].source,
                        "# one\nname: a\nselect: {names: ['*']}\noperation: backup.create\ntime_zone: UTC\n");
    assert_string_equal(texts.items[1].policy->name, "b");
    assert_non_null(strstr(texts.items[1].source, "name: b"));
    policy_texts_clear(&texts);
}

#define BASE   "name: a\nselect: {names: ['*']}\noperation: backup.create\ntime_zone: UTC\n"

#define VERIFY "name: a\nselect: {names: ['*']}\noperation: backup.verify\ntime_zone: UTC\n"

static void errors_name_line_and_column(void **state)
{
    static const char *const bad[][2] = {
        {"", "p.yaml: holds no policy"},
        {"name: [", "p.yaml:2:1: "},
        {"- a\n", "p.yaml:1:1: takes names with values"},
        {"name: a\n", "p.yaml:1:1: select is missing"},
        {BASE "colour: red\n", "p.yaml:5:1: colour: unknown name; known here: name, description"},
        {BASE "name: b\n", "p.yaml:5:1: name: given twice, first in line 1"},
        {BASE "max_age: soon\n", "p.yaml:5:10: max_age: \"soon\" is not a duration"},
        {BASE "priority: 10\n", "p.yaml:5:11: priority: must be within 0 to 9"},
        {BASE "priority: -1\n", "p.yaml:5:11: priority: "},
        {BASE "overlap: maybe\n", "p.yaml:5:10: overlap: must be one of skip, queue"},
        {BASE "backup: {compress: 'yes'}\n", "p.yaml:5:20: backup.compress: must be true or false"},
        {BASE "verify: {depth: image}\n", "p.yaml:5:9: verify: is for operation backup.verify only"},
        {VERIFY "limits: {fulls: 1}\n", "p.yaml:5:17: limits.fulls: is for operation backup.create only"},
        {VERIFY "verify: {newest: 0}\n", "p.yaml:5:18: verify.newest: must be within 1 to 100"},
        {VERIFY "verify: {sample: 5%}\n", "p.yaml:5:18: verify.sample: "},
        {VERIFY "verify: {sample_percent: 101}\n", "p.yaml:5:26: verify.sample_percent: must be within"},
        {VERIFY "verify: {sample: 1, sample_percent: 1}\n", "p.yaml:5:37: verify.sample_percent: is said twice"},
        {VERIFY "verify: {newest: 2, sample: 1}\n", "p.yaml:5:18: verify.newest: a sample is of all points"},
        {BASE "schedules: daily\n", "p.yaml:5:12: schedules: takes a list"},
        {BASE "schedules:\n  - {name: a}\n", "p.yaml:6:5: schedules[0]: cron is missing"},
        {BASE "schedules:\n  - {name: a, cron: 61 * * * *}\n",
         "p.yaml:6:21: schedules[0].cron: \"61 * * * *\": minute: 61"},
        {BASE "schedules:\n  - {name: a, cron: '@daily'}\n  - name: a\n    cron: '@daily'\n",
         "p.yaml:7:11: schedules[1].name: is the name"},
        {BASE "schedules:\n  - {name: a, cron: '@daily', spread: 2h, window: 1h}\n",
         "p.yaml:6:39: schedules[0].spread: "},
        {BASE "schedules:\n  - {name: manual, cron: '@daily'}\n", "p.yaml:6:12: schedules[0].name: "},
        {BASE "retention: {}\n", "p.yaml:5:12: retention: keeps nothing"},
        {BASE "repository: ../x\n", "p.yaml:5:13: repository: "},
        {BASE "x: &a 1\ny: *a\n", "p.yaml:6:4: aliases (*name) are not allowed"},
        {"name: a\nselect: {labels: 'app in'}\noperation: backup.create\ntime_zone: UTC\n",
         "p.yaml:2:18: select.labels: selector"},
        {"name: a\nselect: {}\noperation: backup.create\ntime_zone: UTC\n", "p.yaml:2:9: select: selects nothing"},
        {"name: a\nselect: {names: '*', exclude: {}}\noperation: backup.create\ntime_zone: UTC\n",
         "p.yaml:2:31: select.exclude: "},
        {"name: a b\nselect: {names: '*'}\noperation: backup.create\ntime_zone: UTC\n",
         "p.yaml:1:7: name: must be letters"},
        {"name: a\nselect: {names: '*'}\noperation: backup.delete\ntime_zone: UTC\n",
         "p.yaml:3:12: operation: must be one of"},
        {"name: a\nselect: {names: '*'}\noperation: backup.create\ntime_zone: Mars/Base\n",
         "p.yaml:4:12: time_zone: time zone \"Mars/Base\" is not known"},
        {BASE "---\n" BASE, "p.yaml:6:1: name: policy a is in this file already"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct policy_texts texts = {0};
        err = (struct err){0};
        if (policies_read("p.yaml", bad[i][0], strlen(bad[i][0]), &texts, &err) == 0)
            fail_msg("%s was accepted", bad[i][0]);
        assert_null(texts.items);
        if (strncmp(err.text, bad[i][1], strlen(bad[i][1])) != 0)
            fail_msg("\"%s\" does not begin with \"%s\"", err.text, bad[i][1]);
    }
}

static bool selects(const struct policy_matcher *matcher, const char *name, const char *host, const char *app)
{
    struct facts labels = {0};

    facts_set(&labels, "app", app, NULL);
    bool result = policy_selects(matcher, &(struct policy_target){"libvirt", name, host, &labels});
    facts_clear(&labels);
    return result;
}

static void the_selector_means_what_it_says(void **state)
{
    struct policy_texts texts = read_text(full);
    struct policy_matcher *matcher;

    (void)state;
    assert_int_equal(policy_matcher_new(texts.items[0].policy, &matcher, &err), 0);
    assert_true(selects(matcher, "shop-1", "alpha", "shop"));
    assert_true(selects(matcher, "web-2", "alpha", "shop"));
    assert_false(selects(matcher, "web-22", "alpha", "shop"));
    assert_false(selects(matcher, "shop-1", "beta", "shop"));
    assert_false(selects(matcher, "shop-1", "alpha", "mail"));
    assert_false(selects(matcher, "shop-test-1", "alpha", "shop"));
    policy_matcher_free(matcher);
    policy_texts_clear(&texts);
}

static void the_schema_is_json_and_knows_every_row(void **state)
{
    struct text text = {0};

    (void)state;
    policy_schema(&text);
    json_t *schema = json_loads(text_str(&text), 0, NULL);
    assert_non_null(schema);
    json_t *properties = json_object_get(schema, "properties");
    for (const struct field *field = policy_record.fields; field->name; field++) {
        bool age = strcmp(field->name, "max_age_ms") == 0;
        json_t *property = json_object_get(properties, age ? "max_age" : field->name);
        assert_non_null(property);
        assert_non_null(json_object_get(property, "description"));
    }
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    json_decref(schema);
    text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_is_read),
        cmocka_unit_test(many_policies_are_in_one_file),
        cmocka_unit_test(errors_name_line_and_column),
        cmocka_unit_test(the_selector_means_what_it_says),
        cmocka_unit_test(the_schema_is_json_and_knows_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
