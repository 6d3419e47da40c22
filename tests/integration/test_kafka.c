/*
 * What only a real broker shows: topics with their settings, LogAppendTime, how fast a record arrives, limits of a topic, a missing topic, and a broker that is
 * stopped and comes back. Each test that writes makes a topic of its own name.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/facts.h"
#include "base/uuid.h"
#include "kafka/admin.h"
#include "kafka/kafka.h"
#include "model/topics.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 60000, PROBLEMS = 64, HUNDRED = 100, HOUR_MS = 3600 * 1000 };

struct fixture {
    struct kafka_options options;
    struct kafka_producer *producer;
    struct kafka_consumer *consumer;
    char topic[64];
};

static void make_topic(struct fixture *fixture, const struct wanted *settings, size_t count)
{
    struct admin admin = {0};
    struct topic_facts facts = {0};
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    char id[UUID_TEXT];
    struct err err = {0};

    uuid_random(id);
    snprintf(fixture->topic, sizeof fixture->topic, "test.%s", id);
    assert_int_equal(admin_open(&fixture->options, &admin, &err), 0);
    if (admin_create(&admin, fixture->topic, 2, 1, settings, count, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(admin_create(&admin, fixture->topic, 2, 1, settings, count, &err), 0); /* a repeat is a success */
    while (facts.partitions == 0) {
        assert_true(clock_monotonic_ms() < end);
        assert_int_equal(admin_topic(&admin, fixture->topic, &facts, &err), 0);
    }
    admin_close(&admin);
}

static const struct wanted append_time[] = {{"message.timestamp.type", SAME, "LogAppendTime"}};

static int set_up(void **state)
{
    static struct fixture fixture;
    struct err err = {0};

    fixture = (struct fixture){.options = {.brokers = getenv("FLEETSNAP_KAFKA"), .client_id = "test", .linger_us = 200}};
    *state = &fixture;
    if (!fixture.options.brokers)
        return 0;
    make_topic(&fixture, append_time, 1);
    if (kafka_producer_open(&fixture.options, &fixture.producer, &err) < 0)
        return -1;
    return kafka_consumer_open(&fixture.options, "fleetsnap.test", &fixture.consumer, &err);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    kafka_consumer_close(fixture->consumer);
    kafka_producer_close(fixture->producer, 1000);
    return 0;
}

static struct fixture *with_broker(void **state)
{
    struct fixture *fixture = *state;

    if (!fixture->options.brokers)
        skip();
    return fixture;
}

struct reports {
    int count, failed;
    uint64_t last;
    int64_t timestamp_ms;
    bool in_order;
};

static void delivered(void *context, const struct kafka_delivery *delivery)
{
    struct reports *reports = context;

    reports->count++;
    reports->failed += delivery->error != 0;
    reports->in_order = reports->in_order && delivery->opaque == reports->last + 1;
    reports->last = delivery->opaque;
    reports->timestamp_ms = delivery->timestamp_ms;
}

static void until_reported(struct fixture *fixture, struct reports *reports, int count)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;

    while (reports->count < count) {
        assert_true(clock_monotonic_ms() < end);
        kafka_producer_poll(fixture->producer, 20, delivered, reports);
    }
}

/* Values are the numbers first .. first+count-1. */
static void produce(struct fixture *fixture, int first, int count)
{
    const struct kafka_header header = {"fs-job", "0d9b"};
    char value[16];
    struct err err = {0};

    for (int i = first; i < first + count; i++) {
        snprintf(value, sizeof value, "%d", i);
        if (kafka_produce(fixture->producer, fixture->topic, 1, "alpha", 5, value, strlen(value), &header, 1,
                          (uint64_t)i + 1, &err) < 0)
            fail_msg("%s", err.text);
    }
}

static void expect_run(struct fixture *fixture, int first, int count)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    struct kafka_record records[64];
    char value[16];
    struct err err = {0};
    int seen = 0;

    while (seen < count) {
        assert_true(clock_monotonic_ms() < end);
        int got = kafka_consume(fixture->consumer, 50, records, 64, &err);
        if (got < 0)
            fail_msg("%s", err.text);
        for (int i = 0; i < got; i++, seen++) {
            snprintf(value, sizeof value, "%d", first + seen);
            assert_int_equal(records[i].value_len, strlen(value));
            assert_memory_equal(records[i].value, value, records[i].value_len);
            assert_string_equal(kafka_header(&records[i], "fs-job"), "0d9b");
        }
        kafka_records_free(records, (size_t)got);
    }
    assert_int_equal(seen, count);
}

static bool has_problem(const struct kafka_topic_problem *problems, size_t count, const char *topic, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(problems[i].topic, topic) == 0 && strcmp(problems[i].text, text) == 0)
            return true;
    }
    return false;
}

static void topics_are_made_once_and_then_right(void **state)
{
    struct fixture *fixture = with_broker(state);
    struct kafka_topic_problem problems[PROBLEMS];
    size_t count = 99;
    size_t created = 99;
    int32_t partitions = 0;
    struct err err = {0};

    if (kafka_topics_init(&fixture->options, true, false, problems, PROBLEMS, &count, &created, &err) < 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < count; i++)
        print_error("%s %s\n", problems[i].topic, problems[i].text);
    assert_int_equal(count, 0);
    assert_in_range(created, 0, TOPIC_COUNT);
    assert_int_equal(kafka_topics_init(&fixture->options, true, true, problems, PROBLEMS, &count, &created, &err), 0);
    assert_int_equal(created, 0);
    assert_int_equal(kafka_topics_check(&fixture->options, true, problems, PROBLEMS, &count, &err), 0);
    assert_int_equal(count, 0);
    for (int i = 0; i < TOPIC_COUNT; i++) {
        assert_int_equal(kafka_partition_count(&fixture->options, topic_table[i].name, WAIT_MS, &partitions, &err), 0);
        assert_int_equal(partitions, topic_table[i].partitions_dev);
    }
}

static void what_is_wrong_with_a_topic_is_named(void **state)
{
    struct fixture *fixture = with_broker(state);
    struct kafka_topic_problem problems[PROBLEMS];
    size_t count = 0;
    size_t created;
    struct err err = {0};

    assert_int_equal(kafka_topics_init(&fixture->options, true, false, problems, PROBLEMS, &count, &created, &err), 0);
    assert_int_equal(kafka_topics_check(&fixture->options, false, problems, PROBLEMS, &count, &err), 0);
    assert_true(has_problem(problems, count, "fleetsnap.jobs", "has 8 partitions, must have 512"));
    assert_true(has_problem(problems, count, "fleetsnap.jobs", "has 1 replicas, must have at least 3"));
    assert_true(has_problem(problems, count, "fleetsnap.ledger", "min.insync.replicas is 1, must be 2"));
    /* A list that is too short says so by being full. */
    assert_int_equal(kafka_topics_check(&fixture->options, false, problems, 2, &count, &err), 0);
    assert_int_equal(count, 2);
}

static void the_cluster_is_known(void **state)
{
    struct fixture *fixture = with_broker(state);
    int32_t partitions = -1;
    int brokers = 0;
    char id[64] = "";
    char again[64] = "";
    struct err err = {0};

    assert_int_equal(kafka_cluster_id(&fixture->options, WAIT_MS, id, &err), 0);
    assert_int_equal(kafka_cluster_id(&fixture->options, WAIT_MS, again, &err), 0);
    assert_string_equal(id, again);
    assert_true(strlen(id) > 10);
    assert_int_equal(kafka_broker_info(&fixture->options, WAIT_MS, &brokers, &err), 0);
    assert_int_equal(brokers, 1);
    assert_int_equal(kafka_partition_count(&fixture->options, "test.no-such-topic", WAIT_MS, &partitions, &err), 0);
    assert_int_equal(partitions, 0);
}

static void the_brokers_clock_is_in_record_and_report(void **state)
{
    struct fixture *fixture = with_broker(state);
    struct reports reports = {.in_order = true};
    struct kafka_record record = {0};
    int64_t low;
    int64_t high;
    bool found = false;
    struct err err = {0};

    produce(fixture, 0, 3);
    until_reported(fixture, &reports, 3);
    assert_true(reports.in_order);
    assert_true(llabs(reports.timestamp_ms - clock_real_ms()) < WAIT_MS);
    assert_int_equal(kafka_watermarks(fixture->consumer, fixture->topic, 1, &low, &high, WAIT_MS, &err), 0);
    assert_int_equal(low, 0);
    assert_int_equal(high, 3);
    assert_int_equal(kafka_record_at(fixture->consumer, fixture->topic, 1, 2, &record, &found, WAIT_MS, &err), 0);
    assert_true(found);
    assert_int_equal(record.timestamp_ms, reports.timestamp_ms);
    assert_string_equal(kafka_header(&record, "fs-job"), "0d9b");
    kafka_records_free(&record, 1);
    assert_int_equal(kafka_record_at(fixture->consumer, fixture->topic, 1, 3, &record, &found, WAIT_MS, &err), 0);
    assert_false(found);
    int64_t since[2] = {-9, -9}; /* partition 0 is empty */
    assert_int_equal(kafka_offsets_since(fixture->consumer, fixture->topic, 2, 1, since, WAIT_MS, &err), 0);
    assert_int_equal(since[0], 0);
    assert_int_equal(since[1], 0);
    assert_int_equal(
        kafka_offsets_since(fixture->consumer, fixture->topic, 2, reports.timestamp_ms + HOUR_MS, since, WAIT_MS, &err),
        0);
    assert_int_equal(since[1], 3);
}

/* A fetch may sleep for 5 s at the broker, and still a record arrives at once; nor do questions wait behind it. */
static void a_record_wakes_a_sleeping_fetch(void **state)
{
    struct fixture *fixture = with_broker(state);
    struct pollfd fd = {.fd = kafka_consumer_fd(fixture->consumer), .events = POLLIN};
    int64_t low;
    int64_t high;
    int64_t before;
    struct err err = {0};

    assert_int_equal(kafka_producer_warm(fixture->producer, fixture->topic, &err), 0);
    assert_int_equal(kafka_consumer_assign(fixture->consumer, fixture->topic, 1, KAFKA_FROM_BEGINNING, &err), 0);
    produce(fixture, 0, 1);
    expect_run(fixture, 0, 1);
    for (int i = 1; i < 4; i++) {
        kafka_fd_clear(fd.fd);
        before = clock_monotonic_ms();
        produce(fixture, i, 1);
        assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
        expect_run(fixture, i, 1);
        assert_true(clock_monotonic_ms() - before < 2500);
    }
    before = clock_monotonic_ms();
    assert_int_equal(kafka_watermarks(fixture->consumer, fixture->topic, 1, &low, &high, WAIT_MS, &err), 0);
    assert_true(clock_monotonic_ms() - before < 2500);
    assert_int_equal(kafka_commit_async(fixture->consumer, fixture->topic, 1, high, &err), 0);
    int64_t committed[2] = {-9, -9}; /* nothing of partition 0 */
    int64_t until = clock_monotonic_ms() + WAIT_MS;
    do
        assert_int_equal(kafka_committed(fixture->consumer, fixture->topic, 2, committed, WAIT_MS, &err), 0);
    while (committed[1] != high && clock_monotonic_ms() < until);
    assert_int_equal(committed[1], high);
    assert_int_equal(committed[0], KAFKA_FROM_BEGINNING);
}

static void pause_and_resume_lose_and_repeat_nothing(void **state)
{
    struct fixture *fixture = with_broker(state);
    struct kafka_record record;
    struct err err = {0};

    assert_int_equal(kafka_consumer_assign(fixture->consumer, fixture->topic, 1, 0, &err), 0);
    for (int i = 0; i < 5; i++) {
        produce(fixture, i * HUNDRED, HUNDRED);
        expect_run(fixture, i * HUNDRED, HUNDRED);
        kafka_consumer_pause(fixture->consumer, true);
        kafka_consumer_pause(fixture->consumer, true);
        assert_int_equal(kafka_consume(fixture->consumer, 100, &record, 1, &err), 0);
        kafka_consumer_pause(fixture->consumer, false);
        kafka_consumer_pause(fixture->consumer, false);
    }
    assert_int_equal(kafka_consume(fixture->consumer, 300, &record, 1, &err), 0);
}

static void a_topic_refuses_what_is_too_large_for_it(void **state)
{
    static const struct wanted small[] = {{"max.message.bytes", SAME, "2000"}};
    static char value[5000];
    struct fixture *fixture = with_broker(state);
    struct reports reports = {0};
    struct err err = {0};

    make_topic(fixture, small, 1);
    assert_int_equal(
        kafka_produce(fixture->producer, fixture->topic, 1, NULL, 0, value, sizeof value, NULL, 0, 1, &err), 0);
    until_reported(fixture, &reports, 1);
    assert_int_equal(reports.failed, 1);
    produce(fixture, 0, 1);
    until_reported(fixture, &reports, 2);
    assert_int_equal(reports.failed, 1);
    assert_false(kafka_producer_fatal(fixture->producer));
}

/* Even where the broker would make topics by itself, no client of ours asks it to. */
static void a_missing_topic_is_neither_made_nor_waited_for(void **state)
{
    struct fixture *fixture = with_broker(state);
    struct kafka_options options = fixture->options;
    struct reports reports = {0};
    int32_t partitions = -1;
    struct err err = {0};

    kafka_producer_close(fixture->producer, 0);
    fixture->producer = NULL;
    options.message_timeout_ms = 2000;
    assert_int_equal(kafka_producer_open(&options, &fixture->producer, &err), 0);
    assert_int_equal(kafka_producer_warm(fixture->producer, "test.missing", &err), -1);
    if (kafka_produce(fixture->producer, "test.missing", 0, NULL, 0, "v", 1, NULL, 0, 1, &err) == 0) {
        until_reported(fixture, &reports, 1);
        assert_int_equal(reports.failed, 1);
    }
    assert_int_equal(kafka_partition_count(&fixture->options, "test.missing", WAIT_MS, &partitions, &err), 0);
    assert_int_equal(partitions, 0);
}

static void a_position_beyond_the_end_is_a_conflict(void **state)
{
    struct fixture *fixture = with_broker(state);
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    struct reports reports = {0};
    struct kafka_record record;
    struct err err = {0};
    int got = 0;

    produce(fixture, 0, 2);
    until_reported(fixture, &reports, 2);
    assert_int_equal(kafka_consumer_assign(fixture->consumer, fixture->topic, 1, 500, &err), 0);
    while (got == 0 && clock_monotonic_ms() < end)
        got = kafka_consume(fixture->consumer, 50, &record, 1, &err);
    assert_int_equal(got, -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(kafka_consumer_assign(fixture->consumer, fixture->topic, 1, KAFKA_FROM_BEGINNING, &err), 0);
    expect_run(fixture, 0, 2);
}

static void stack(const char *what)
{
    char command[512];

    snprintf(command, sizeof command, "'%s/tests/stack/stack' kafka %s '%s' >/dev/null 2>&1", SOURCE_DIR, what,
             getenv("FLEETSNAP_STACK"));
    assert_int_equal(system(command), 0);
}

/* The records wait in the producer, in order and without duplicates; consumer and producer find the broker again by themselves. */
static void a_broker_that_comes_back_finds_everything_waiting(void **state)
{
    struct fixture *fixture = with_broker(state);
    struct reports reports = {.in_order = true};
    struct err err = {0};

    if (!getenv("FLEETSNAP_STACK"))
        skip();
    assert_int_equal(kafka_consumer_assign(fixture->consumer, fixture->topic, 1, KAFKA_FROM_BEGINNING, &err), 0);
    produce(fixture, 0, HUNDRED);
    expect_run(fixture, 0, HUNDRED);
    stack("kill");
    produce(fixture, HUNDRED, HUNDRED);
    kafka_producer_poll(fixture->producer, 200, delivered, &reports);
    stack("start");
    int64_t up = clock_monotonic_ms();
    expect_run(fixture, HUNDRED, HUNDRED);
    print_message("first hundred after the restart: %lld ms\n", (long long)(clock_monotonic_ms() - up));
    until_reported(fixture, &reports, 2 * HUNDRED);
    assert_true(reports.in_order);
    assert_int_equal(reports.failed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(topics_are_made_once_and_then_right),
        TEST(what_is_wrong_with_a_topic_is_named),
        TEST(the_cluster_is_known),
        TEST(the_brokers_clock_is_in_record_and_report),
        TEST(a_record_wakes_a_sleeping_fetch),
        TEST(pause_and_resume_lose_and_repeat_nothing),
        TEST(a_topic_refuses_what_is_too_large_for_it),
        TEST(a_missing_topic_is_neither_made_nor_waited_for),
        TEST(a_position_beyond_the_end_is_a_conflict),
        TEST(a_broker_that_comes_back_finds_everything_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
