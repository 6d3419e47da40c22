#include "base/cleanup.h"
#include "base/config.h"
#include "base/err.h"
#include "base/facts.h"
#include "base/file.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct sample {
    char *host;
    char *state_directory;
    struct option_strings repositories;
    struct option_strings brokers;
    int64_t executors, min_free, linger_ms;
    bool verify;
    char *level;
    struct facts properties;
    char *password;
};

static const struct option rows[] = {
    {"host_id", OPTION_STRING, offsetof(struct sample, host), .doc = "Name of the host."},
    {"state_directory", OPTION_PATH, offsetof(struct sample, state_directory), "/var/lib/fleetsnap", .doc = "Journal."},
    {"repositories", OPTION_PATHS, offsetof(struct sample, repositories), .doc = "Folders."},
    {"kafka.brokers", OPTION_STRINGS, offsetof(struct sample, brokers), "localhost:9092", .doc = "Brokers."},
    {"executors", OPTION_INT, offsetof(struct sample, executors), "4", .min = 1, .max = 64, .doc = "Threads."},
    {"space.min_free", OPTION_SIZE, offsetof(struct sample, min_free), "1GiB", .max = 1LL << 40, .doc = "Bytes."},
    {"kafka.linger", OPTION_DURATION, offsetof(struct sample, linger_ms), "5ms", .max = 60000, .doc = "Wait."},
    {"verify", OPTION_BOOL, offsetof(struct sample, verify), "true", .doc = "Verify."},
    {"log.level", OPTION_CHOICE, offsetof(struct sample, level), "info", .choices = "error|warning|info|debug",
     .doc = "Level."},
    {"kafka.properties", OPTION_MAP, offsetof(struct sample, properties), .doc = "For librdkafka."},
    {"redis.password", OPTION_STRING, offsetof(struct sample, password), .optional = true, .secret = true,
     .doc = "Secret."},
    {0},
};

static char path[] = "/tmp/test_config.XXXXXX";
static struct err err;

static int load(const char *yaml, const char *const overrides[], struct sample *out)
{
    *out = (struct sample){0};
    err = (struct err){0};
    assert_int_equal(file_write_atomic(path, yaml, strlen(yaml), 0600, NULL), 0);
    return config_load(path, overrides, rows, out, &err);
}

/* "…:LINE:COLUMN: …": the problem after the file's name. */
static void refused(const char *yaml, const char *problem)
{
    struct sample sample;

    assert_int_equal(load(yaml, NULL, &sample), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_memory_equal(err.text, path, strlen(path));
    assert_string_equal(err.text + strlen(path), problem);
    assert_null(sample.host);
}

static void everything_at_once(void **state)
{
    struct sample sample;

    (void)state;
    assert_int_equal(load("host_id: kvm-1\n"
                          "state_directory: state\n"
                          "repositories: [backup, /mnt/b]\n"
                          "kafka:\n"
                          "  brokers:\n"
                          "    - a:1\n"
                          "    - b:2\n"
                          "  linger: 250ms\n"
                          "  properties:\n"
                          "    socket.keepalive.enable: true\n"
                          "    ssl.ca.location: /etc/ca.pem\n"
                          "executors: 8 # threads\n"
                          "space: {min_free: 512MiB}\n"
                          "verify: no\n"
                          "log:\n"
                          "  level: debug\n",
                          NULL, &sample),
                     0);
    assert_string_equal(sample.host, "kvm-1");
    assert_string_equal(sample.state_directory, "/tmp/state");
    assert_int_equal(sample.repositories.count, 2);
    assert_string_equal(sample.repositories.items[0], "/tmp/backup");
    assert_string_equal(sample.repositories.items[1], "/mnt/b");
    assert_int_equal(sample.brokers.count, 2);
    assert_string_equal(sample.brokers.items[1], "b:2");
    assert_int_equal(sample.linger_ms, 250);
    assert_string_equal(facts_get(&sample.properties, "socket.keepalive.enable"), "true");
    assert_int_equal(sample.executors, 8);
    assert_int_equal(sample.min_free, 512 << 20);
    assert_false(sample.verify);
    assert_string_equal(sample.level, "debug");
    assert_null(sample.password);
    config_free(rows, &sample);
    assert_null(sample.host);
}

static void what_is_not_said_has_its_default(void **state)
{
    struct sample sample;

    (void)state;
    assert_int_equal(load("host_id: a\nkafka:\nverify: ~\nrepositories: one\n", NULL, &sample), 0);
    assert_string_equal(sample.state_directory, "/var/lib/fleetsnap");
    assert_int_equal(sample.executors, 4);
    assert_int_equal(sample.brokers.count, 1);
    assert_int_equal(sample.repositories.count, 1);
    assert_true(sample.verify);
    assert_int_equal(sample.min_free, 1LL << 30);
    config_free(rows, &sample);
}

static void the_command_line_wins(void **state)
{
    static const char *const overrides[] = {"host_id=b",
                                            "executors=2",
                                            "kafka.brokers=x:1,y:2",
                                            "kafka.properties.linger.ms=3",
                                            "kafka.properties=a=b,c=d",
                                            "redis.password=",
                                            "state_directory=/s",
                                            NULL};
    struct sample sample;

    (void)state;
    assert_int_equal(load("host_id: a\nkafka: {brokers: z, properties: {k: v}}\n", overrides, &sample), 0);
    assert_string_equal(sample.host, "b");
    assert_int_equal(sample.executors, 2);
    assert_int_equal(sample.brokers.count, 2);
    assert_string_equal(sample.brokers.items[0], "x:1");
    assert_int_equal(sample.properties.count, 4);
    assert_string_equal(facts_get(&sample.properties, "linger.ms"), "3");
    assert_string_equal(sample.password, "");
    config_free(rows, &sample);
    sample = (struct sample){0};
    assert_int_equal(config_load(NULL, (const char *const[]){"host_id=only", NULL}, rows, &sample, &err), 0);
    assert_string_equal(sample.host, "only");
    config_free(rows, &sample);
}

static void errors_name_the_place(void **state)
{
    (void)state;
    refused("host_id: a\nexecutors: 400\n", ":2:12: executors: 400 is over the limit of 64");
    refused("host_id: a\nexecutors: 0\n", ":2:12: executors: 0 is under the limit of 1");
    refused("host_id: a\nexecutors: many\n", ":2:12: executors: \"many\" is not a whole number");
    refused("host_id: a\nkafka:\n  linger: 2m\n", ":3:11: kafka.linger: 2m is over the limit of 1 min");
    refused("host_id: a\nspace:\n  min_free: 2TiB\n", ":3:13: space.min_free: 2TiB is over the limit of 1 TiB");
    refused("host_id: a\nlog: {level: loud}\n", ":2:14: log.level: \"loud\" is not one of error|warning|info|debug");
    refused("host_id: a\nlog: {level: inf}\n", ":2:14: log.level: \"inf\" is not one of error|warning|info|debug");
    refused("host_id: a\nverify: maybe\n", ":2:9: verify: \"maybe\" is neither true nor false");
    refused("host_id: a\nexecutor: 4\n", ":2:1: executor: unknown option");
    assert_string_equal(err.hint, "Did you mean executors?");
    refused("host_id: a\nkafka:\n  broker: x\n", ":3:3: kafka.broker: unknown option");
    assert_string_equal(err.hint, "Did you mean kafka.brokers?");
    refused("host_id: a\nlinger: 5s\n", ":2:1: linger: unknown option");
    assert_string_equal(err.hint, "Did you mean kafka.linger?");
    refused("host_id: a\nsomething_else_entirely: 1\n", ":2:1: something_else_entirely: unknown option");
    assert_string_equal(err.hint, "");
    refused("host_id: a\nhost_id: b\n", ":2:10: host_id: given twice");
    refused("host_id: [a]\n", ":1:10: host_id: takes one value, not a list");
    refused("host_id: {a: b}\n", ":1:10: host_id: takes a value, not a mapping");
    refused("host_id: a\nkafka: x\n", ":2:8: kafka: is a section, not a value");
    refused("host_id: a\nkafka:\n  properties: x\n", ":3:15: kafka.properties: takes a mapping");
    refused("host_id: a\nkafka:\n  properties: {a: [b]}\n", ":3:19: kafka.properties: not a plain value");
    refused("host_id: a\nkafka:\n  brokers: [[b]]\n", ":3:13: kafka.brokers: not a plain value");
    refused("host_id: a\n[b]: c\n", ":2:1: not a name, or too much in this file");
    refused("- a\n", ":1:1: not a mapping of options");
    refused("executors: 4\n", ": host_id: is required");
    refused("", ": host_id: is required");
}

static void broken_yaml_has_its_place_too(void **state)
{
    struct sample sample;

    (void)state;
    assert_int_equal(load("host_id: a\n  bad: [\n", NULL, &sample), -1);
    assert_non_null(strstr(err.text, ":2:"));
    assert_int_equal(load("host_id: \"a\\0b\"\n", NULL, &sample), -1);
    assert_non_null(strstr(err.text, "not a plain value"));
    assert_int_equal(load("host_id: \xff\xfe\xfd\n", NULL, &sample), -1);
}

static void errors_of_the_command_line(void **state)
{
    struct sample sample;

    (void)state;
    assert_int_equal(load("host_id: a\n", (const char *const[]){"executors=99", NULL}, &sample), -1);
    assert_string_equal(err.text, "option --executors: executors: 99 is over the limit of 64");
    assert_int_equal(load("host_id: a\n", (const char *const[]){"executers=9", NULL}, &sample), -1);
    assert_string_equal(err.text, "option --executers: executers: unknown option");
    assert_string_equal(err.hint, "Did you mean executors?");
    assert_int_equal(load("host_id: a\n", (const char *const[]){"executors", NULL}, &sample), -1);
    assert_string_equal(err.text, "option --executors: needs a value: --name=value");
    assert_int_equal(config_load("/nonexistent", NULL, rows, &sample, &err), -1);
}

/* Each level doubles: 2^30 nodes to walk from a few lines. */
static void aliases_cannot_make_it_walk_for_ever(void **state)
{
    struct text yaml = {0};
    struct sample sample;

    (void)state;
    text_add(&yaml, "host_id: a\nkafka:\n  properties: &p0 {k: v}\n  brokers: &l0 [a,a]\n");
    for (int i = 1; i < 30; i++)
        text_addf(&yaml, "repositories%d: &l%d [*l%d, *l%d]\n", i, i, i - 1, i - 1);
    assert_int_equal(load(text_str(&yaml), NULL, &sample), -1);
    text_clear(&yaml);
    text_add(&yaml, "kafka: &k\n  kafka: *k\n");
    assert_int_equal(load(text_str(&yaml), NULL, &sample), -1);
    text_free(&yaml);
}

static void help_and_markdown_follow_the_rows(void **state)
{
    struct text markdown = {0};
    char *help = NULL;
    size_t len = 0;

    (void)state;
    config_markdown(rows, "Sample", &markdown);
    assert_non_null(strstr(text_str(&markdown), "| `executors` | number, 1 to 64 | 4 | Threads. |\n"));
    assert_non_null(strstr(text_str(&markdown), "| `log.level` | error\\|warning\\|info\\|debug | info | Level. |\n"));
    assert_non_null(strstr(text_str(&markdown), "| `host_id` | text | required | Name of the host. |\n"));
    text_free(&markdown);
    FILE *out = open_memstream(&help, &len);
    config_help(rows, out);
    fclose(out);
    assert_non_null(strstr(help, "  --kafka.linger=<duration, 0 ms to 1 min>  [5ms]\n        Wait.\n"));
    free(help);
}

static int make_file(void **state)
{
    (void)state;
    return close(mkstemp(path));
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_at_once),
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(the_command_line_wins),
        cmocka_unit_test(errors_name_the_place),
        cmocka_unit_test(broken_yaml_has_its_place_too),
        cmocka_unit_test(errors_of_the_command_line),
        cmocka_unit_test(aliases_cannot_make_it_walk_for_ever),
        cmocka_unit_test(help_and_markdown_follow_the_rows),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
