/* The producer against a broker inside the process: reports, tombstones and empty values, the eventfd, and what happens when the broker does not want. */
#include "base/clock.h"
#include "base/err.h"
#include "base/facts.h"
#include "kafka/kafka.h"
#include "kafka/mock.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000, NOT_LEADER = 6, MSG_TOO_LARGE = 10, LOADING = 14 };

struct fixture {
    struct kafka_mock *mock;
    struct kafka_options options;
    struct kafka_producer *producer;
};

struct reports {
    uint64_t opaque[64];
    int64_t offset[64];
    int error[64];
    int count;
};

static void delivered(void *context, const struct kafka_delivery *delivery)
{
    struct reports *reports = context;

    assert_in_range(reports->count, 0, 63);
    reports->opaque[reports->count] = delivery->opaque;
    reports->offset[reports->count] = delivery->offset;
    reports->error[reports->count++] = delivery->error;
}

static void wait_reports(struct kafka_producer *producer, struct reports *reports, int count)
{
    int64_t end = clock_monotonic_ms() + DEADLINE_MS;

    while (reports->count < count && clock_monotonic_ms() < end)
        kafka_producer_poll(producer, 50, delivered, reports);
    assert_int_equal(reports->count, count);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct err err = {0};

    fixture = (struct fixture){0};
    if (kafka_mock_open(1, &fixture.mock, &err) < 0 || kafka_mock_topic(fixture.mock, "status", 4, &err) < 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    fixture.options = (struct kafka_options){
        .brokers = kafka_mock_brokers(fixture.mock), .client_id = "test", .linger_us = 200};
    *state = &fixture;
    return kafka_producer_open(&fixture.options, &fixture.producer, &err);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    kafka_producer_close(fixture->producer, 1000);
    kafka_mock_close(fixture->mock);
    return 0;
}

static void reports_come_in_order_with_their_opaque(void **state)
{
    struct fixture *fixture = *state;
    struct reports reports = {0};
    struct err err = {0};

    assert_int_equal(kafka_producer_warm(fixture->producer, "status", &err), 0);
    for (uint64_t i = 1; i <= 20; i++)
        assert_int_equal(kafka_produce(fixture->producer, "status", 2, "k", 1, "value", 5, NULL, 0, i << 33 | i, &err),
                         0);
    wait_reports(fixture->producer, &reports, 20);
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(reports.opaque[i], (i + 1) << 33 | (i + 1));
        assert_int_equal(reports.offset[i], i);
        assert_int_equal(reports.error[i], 0);
    }
    assert_int_equal(kafka_producer_queued(fixture->producer), 0);
    assert_false(kafka_producer_fatal(fixture->producer));
}

static void the_eventfd_speaks_when_a_report_is_there(void **state)
{
    struct fixture *fixture = *state;
    struct pollfd fd = {.fd = kafka_producer_fd(fixture->producer), .events = POLLIN};
    struct reports reports = {0};
    int64_t end = clock_monotonic_ms() + DEADLINE_MS;
    struct err err = {0};

    assert_int_equal(kafka_produce(fixture->producer, "status", 0, NULL, 0, "v", 1, NULL, 0, 7, &err), 0);
    while (reports.count == 0 && clock_monotonic_ms() < end) {
        assert_int_equal(poll(&fd, 1, DEADLINE_MS), 1);
        kafka_fd_clear(fd.fd);
        kafka_producer_poll(fixture->producer, 0, delivered, &reports);
    }
    assert_int_equal(reports.count, 1);
    kafka_fd_clear(fd.fd);
    assert_int_equal(poll(&fd, 1, 0), 0);
}

static void a_flush_does_not_linger_and_serves_all_reports(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_options patient = fixture->options;
    struct kafka_producer *producer;
    struct reports reports = {0};
    struct err err = {0};

    patient.linger_us = 60 * 1000 * 1000; /* longer than the test may last */
    assert_int_equal(kafka_producer_open(&patient, &producer, &err), 0);
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(kafka_produce(producer, "status", 1, "k", 1, "v", 1, NULL, 0, i, &err), 0);
    struct pollfd fd = {.fd = kafka_producer_fd(producer), .events = POLLIN};
    assert_int_equal(kafka_producer_flush(producer, DEADLINE_MS, delivered, &reports), 5);
    assert_int_equal(reports.count, 5);
    assert_int_equal(kafka_producer_queued(producer), 0);
    assert_int_equal(poll(&fd, 1, 0), 0); /* nothing more to wake for */
    kafka_producer_close(producer, 0);
}

static void a_retriable_refusal_is_retried_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct reports reports = {0};
    struct err err = {0};

    kafka_mock_fail(fixture->mock, KAFKA_MOCK_PRODUCE, NOT_LEADER, 2);
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(kafka_produce(fixture->producer, "status", 1, "k", 1, "v", 1, NULL, 0, i, &err), 0);
    wait_reports(fixture->producer, &reports, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(reports.opaque[i], i + 1);
        assert_int_equal(reports.error[i], 0);
    }
}

/* What the library tries again by itself, as with a broker that has just started, is no news. */
static void what_is_tried_again_is_not_told(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_producer *producer;
    struct reports reports = {0};
    char said[4096] = "";
    int fds[2], old = dup(STDERR_FILENO);

    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    kafka_mock_fail(fixture->mock, KAFKA_MOCK_INIT_PRODUCER_ID, LOADING, 1);
    int opened = kafka_producer_open(&fixture->options, &producer, NULL);
    int sent = opened < 0 ? -1 : kafka_produce(producer, "status", 0, NULL, 0, "v", 1, NULL, 0, 1, NULL);
    for (int64_t end = clock_monotonic_ms() + DEADLINE_MS; !sent && !reports.count && clock_monotonic_ms() < end;)
        kafka_producer_poll(producer, 50, delivered, &reports);
    kafka_producer_close(opened < 0 ? NULL : producer, 1000);
    dup2(old, STDERR_FILENO);
    close(old);
    assert_true(read(fds[0], said, sizeof said - 1) >= 0);
    close(fds[0]);
    assert_int_equal(reports.count, 1);
    assert_string_equal(said, "");
}

static void a_refusal_for_good_is_reported(void **state)
{
    struct fixture *fixture = *state;
    struct reports reports = {0};
    struct err err = {0};

    kafka_mock_fail(fixture->mock, KAFKA_MOCK_PRODUCE, MSG_TOO_LARGE, 1);
    assert_int_equal(kafka_produce(fixture->producer, "status", 1, "k", 1, "v", 1, NULL, 0, 9, &err), 0);
    wait_reports(fixture->producer, &reports, 1);
    assert_int_equal(reports.opaque[0], 9);
    assert_int_equal(reports.offset[0], -1);
    assert_int_not_equal(reports.error[0], 0);
}

static void too_large_is_refused_at_once(void **state)
{
    static char huge[3 * 1024 * 1024];
    struct fixture *fixture = *state;
    struct kafka_header header = {"fs-host", "alpha"};
    struct err err = {0};

    assert_int_equal(kafka_produce(fixture->producer, "status", 0, NULL, 0, huge, sizeof huge, &header, 1, 1, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_int_equal(kafka_producer_queued(fixture->producer), 0);
}

static void closing_drops_what_was_not_acknowledged(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};

    assert_int_equal(kafka_producer_warm(fixture->producer, "status", &err), 0);
    kafka_mock_down(fixture->mock, 1);
    assert_int_equal(kafka_produce(fixture->producer, "status", 0, NULL, 0, "v", 1, NULL, 0, 1, &err), 0);
    kafka_producer_close(fixture->producer, 100);
    fixture->producer = NULL;
    kafka_mock_up(fixture->mock, 1);
}

static void an_unknown_setting_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_options options = fixture->options;
    struct kafka_producer *producer;
    struct facts extra = {0};
    struct err err = {0};

    facts_set(&extra, "no.such.setting", "1", &err);
    options.extra = &extra;
    assert_int_equal(kafka_producer_open(&options, &producer, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.text, "no.such.setting"));
    facts_clear(&extra);

    facts_set(&extra, "transactional.id", "t", &err);
    facts_set(&extra, "enable.idempotence", "false", &err);
    assert_int_equal(kafka_producer_open(&options, &producer, &err), -1);
    facts_clear(&extra);

    options.brokers = "";
    assert_int_equal(kafka_producer_open(&options, &producer, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reports_come_in_order_with_their_opaque, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_eventfd_speaks_when_a_report_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flush_does_not_linger_and_serves_all_reports, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_retriable_refusal_is_retried_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_tried_again_is_not_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_for_good_is_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_large_is_refused_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closing_drops_what_was_not_acknowledged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_setting_is_named, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
