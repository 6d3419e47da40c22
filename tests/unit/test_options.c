#include "base/err.h"
#include "worker/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int parse(struct command_line *line, struct err *err, const char *const words[])
{
    char *argv[16] = {(char *)"fleetsnap-worker"};
    int argc = 1;

    for (; *words; words++)
        argv[argc++] = (char *)*words;
    return command_line_parse(argc, argv, line, err);
}

#define PARSE(line, err, ...) parse(line, err, (const char *const[]){__VA_ARGS__, NULL})

static void words_become_a_mode_and_overrides(void **state)
{
    struct command_line line;

    (void)state;
    assert_int_equal(PARSE(&line, NULL, "--config", "a.yaml", "--inspect", "--json", "--executors=8"), 0);
    assert_int_equal(line.mode, MODE_INSPECT);
    assert_true(line.json);
    assert_string_equal(line.config, "a.yaml");
    assert_string_equal(line.overrides[0], "executors=8");
    assert_null(line.overrides[1]);
}

static void what_is_not_understood_is_named(void **state)
{
    struct command_line line;
    struct err err = {0};

    (void)state;
    assert_int_equal(PARSE(&line, &err, "--executors"), -1);
    assert_non_null(strstr(err.text, "--executors"));
    assert_int_equal(PARSE(&line, &err, "start"), -1);
    assert_int_equal(PARSE(&line, &err, "--config"), -1);
    assert_int_equal(PARSE(&line, &err, "--help", "--version"), -1);
}

static int load(struct worker_options *options, struct err *err, const char *more)
{
    struct command_line line = {.overrides = {"host=shop-1", "kafka.brokers=k:9092", more}};

    *options = (struct worker_options){0};
    return worker_options_load(&line, options, err);
}

static void defaults_are_what_the_manual_says(void **state)
{
    struct worker_options options;
    struct err err = {0};

    (void)state;
    if (load(&options, &err, NULL) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(options.executors, 4);
    assert_int_equal(options.backends.count, 2);
    assert_string_equal(options.backends.items[0], "libvirt");
    assert_string_equal(options.libvirt_uri, "qemu:///system");
    assert_int_equal(options.heartbeat_ms, 30000);
    worker_options_free(&options);
}

static void what_rows_cannot_say_is_checked(void **state)
{
    static const char *const wrong[] = {"host=Shop 1",      "executors=400",  "backends=qemu", "backends=null",
                                        "agent_timeout=0s", "log_level=loud", "unknown=1"};
    struct worker_options options;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err err = {0};
        if (load(&options, &err, wrong[i]) == 0)
            fail_msg("%s was accepted", wrong[i]);
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_true(strlen(err.text) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_a_mode_and_overrides),
        cmocka_unit_test(what_is_not_understood_is_named),
        cmocka_unit_test(defaults_are_what_the_manual_says),
        cmocka_unit_test(what_rows_cannot_say_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
