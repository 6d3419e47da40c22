/* The consumer against a broker inside the process: assignment, positions, headers, pause and resume, commits, errors of partitions. */
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

#include <cmocka.h>

enum { DEADLINE_MS = 20000, QUIET_MS = 150, MANY = 300, CUT = -195, NO_GROUP_ACL = 30 };

struct fixture {
    struct kafka_mock *mock;
    struct kafka_options options;
    struct kafka_producer *producer;
    struct kafka_consumer *consumer;
    char topic[16];
};

static struct fixture fixture_of_all;

/* One broker for all tests, because ending it takes a second; a topic of its own for each. */
static int start_broker(void **state)
{
    struct fixture *fixture = &fixture_of_all;
    struct err err = {0};

    (void)state;
    if (kafka_mock_open(1, &fixture->mock, &err) < 0)
        return -1;
    fixture->options = (struct kafka_options){
        .brokers = kafka_mock_brokers(fixture->mock), .client_id = "test", .linger_us = 200, .fetch_wait_ms = 10};
    return kafka_producer_open(&fixture->options, &fixture->producer, &err);
}

static int end_broker(void **state)
{
    (void)state;
    kafka_producer_close(fixture_of_all.producer, 1000);
    kafka_mock_close(fixture_of_all.mock);
    return 0;
}

static int set_up(void **state)
{
    static int number;
    struct fixture *fixture = &fixture_of_all;
    struct err err = {0};

    *state = fixture;
    snprintf(fixture->topic, sizeof fixture->topic, "jobs-%d", number++);
    if (kafka_mock_topic(fixture->mock, fixture->topic, 8, &err) < 0)
        return -1;
    return kafka_consumer_open(&fixture->options, "fleetsnap.alpha", &fixture->consumer, &err);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    kafka_consumer_close(fixture->consumer);
    return 0;
}

static void flush(struct fixture *fixture)
{
    int64_t end = clock_monotonic_ms() + DEADLINE_MS;

    while (kafka_producer_queued(fixture->producer) > 0 && clock_monotonic_ms() < end)
        kafka_producer_poll(fixture->producer, 20, NULL, NULL);
    assert_int_equal(kafka_producer_queued(fixture->producer), 0);
}

/* Values are their number in the partition. */
static void produce(struct fixture *fixture, int32_t partition, int first, int count)
{
    char value[16];
    struct err err = {0};

    for (int i = first; i < first + count; i++) {
        snprintf(value, sizeof value, "%d", i);
        assert_int_equal(kafka_produce(fixture->producer, fixture->topic, partition, "alpha", 5, value, strlen(value),
                                       NULL, 0, 0, &err),
                         0);
    }
    flush(fixture);
}

/* Exactly the records first .. first+count-1 of one partition, in order. */
static void expect_run(struct fixture *fixture, int first, int count)
{
    int64_t end = clock_monotonic_ms() + DEADLINE_MS;
    struct kafka_record records[64];
    char value[16];
    struct err err = {0};
    int seen = 0;

    while (seen < count && clock_monotonic_ms() < end) {
        int got = kafka_consume(fixture->consumer, 50, records, count - seen < 64 ? (size_t)(count - seen) : 64, &err);
        if (got < 0)
            fail_msg("%s", err.text);
        for (int i = 0; i < got; i++, seen++) {
            snprintf(value, sizeof value, "%d", first + seen);
            assert_int_equal(records[i].offset, first + seen);
            assert_int_equal(records[i].value_len, strlen(value));
            assert_memory_equal(records[i].value, value, records[i].value_len);
        }
        kafka_records_free(records, (size_t)got);
    }
    assert_int_equal(seen, count);
}

static void expect_silence(struct fixture *fixture)
{
    int64_t end = clock_monotonic_ms() + QUIET_MS;
    struct kafka_record record;
    struct err err = {0};

    while (clock_monotonic_ms() < end)
        assert_int_equal(kafka_consume(fixture->consumer, 20, &record, 1, &err), 0);
}

static void assign(struct fixture *fixture, int32_t partition, int64_t offset)
{
    struct err err = {0};

    if (kafka_consumer_assign(fixture->consumer, fixture->topic, partition, offset, &err) < 0)
        fail_msg("%s", err.text);
}

static void one_record(struct fixture *fixture, struct kafka_record *out)
{
    int64_t end = clock_monotonic_ms() + DEADLINE_MS;
    struct err err = {0};
    int got = 0;

    while (got == 0 && clock_monotonic_ms() < end)
        got = kafka_consume(fixture->consumer, 50, out, 1, &err);
    assert_int_equal(got, 1);
}

static void reads_from_the_beginning_in_batches(void **state)
{
    produce(*state, 3, 0, MANY);
    produce(*state, 4, 0, 5);
    assign(*state, 3, KAFKA_FROM_BEGINNING);
    expect_run(*state, 0, MANY);
    expect_silence(*state);
}

static void reads_from_an_offset_and_can_be_moved(void **state)
{
    produce(*state, 3, 0, 50);
    assign(*state, 3, 20);
    expect_run(*state, 20, 30);
    assign(*state, 3, 45);
    expect_run(*state, 45, 5);
    assign(*state, 3, 0);
    expect_run(*state, 0, 50);
}

static void partitions_can_be_added_while_others_go_on(void **state)
{
    struct fixture *fixture = *state;

    produce(fixture, 1, 0, 10);
    assign(fixture, 1, 0);
    expect_run(fixture, 0, 10);
    produce(fixture, 2, 0, 10);
    assign(fixture, 2, 0);
    expect_run(fixture, 0, 10);
    expect_silence(fixture); /* partition 1 was not delivered again */
    produce(fixture, 1, 10, 3);
    expect_run(fixture, 10, 3);
}

static void the_eventfd_speaks_when_records_come(void **state)
{
    struct fixture *fixture = *state;
    struct pollfd fd = {.fd = kafka_consumer_fd(fixture->consumer), .events = POLLIN};
    int64_t end = clock_monotonic_ms() + DEADLINE_MS;
    struct kafka_record record = {0};
    struct err err = {0};
    int got = 0;

    assign(fixture, 0, 0);
    produce(fixture, 0, 0, 1);
    while (got == 0 && clock_monotonic_ms() < end) {
        assert_int_equal(poll(&fd, 1, DEADLINE_MS), 1);
        kafka_fd_clear(fd.fd);
        got = kafka_consume(fixture->consumer, 0, &record, 1, &err);
    }
    assert_int_equal(got, 1);
    kafka_records_free(&record, 1);
}

/* librdkafka 2.0.2 rewinds a partition that is resumed without being paused (its issue 4686). */
static void resuming_twice_delivers_nothing_twice(void **state)
{
    struct fixture *fixture = *state;

    produce(fixture, 3, 0, 10);
    assign(fixture, 3, 0);
    expect_run(fixture, 0, 10);
    kafka_consumer_pause(fixture->consumer, false);
    kafka_consumer_pause(fixture->consumer, true);
    kafka_consumer_pause(fixture->consumer, true);
    produce(fixture, 3, 10, 10);
    expect_silence(fixture);
    kafka_consumer_pause(fixture->consumer, false);
    kafka_consumer_pause(fixture->consumer, false);
    expect_run(fixture, 10, 10);
    expect_silence(fixture);
}

static void pausing_loses_nothing_that_was_fetched_ahead(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_record record;

    produce(fixture, 3, 0, MANY);
    assign(fixture, 3, 0);
    one_record(fixture, &record);
    assert_int_equal(record.offset, 0);
    kafka_records_free(&record, 1);
    for (int i = 1; i < 40; i += 13) {
        kafka_consumer_pause(fixture->consumer, true);
        expect_silence(fixture);
        kafka_consumer_pause(fixture->consumer, false);
        expect_run(fixture, i, 13);
    }
}

static void what_is_assigned_while_paused_stays_silent(void **state)
{
    struct fixture *fixture = *state;

    produce(fixture, 5, 0, 3);
    kafka_consumer_pause(fixture->consumer, true);
    assign(fixture, 5, 0);
    expect_silence(fixture);
    kafka_consumer_pause(fixture->consumer, false);
    expect_run(fixture, 0, 3);
}

static void absent_and_empty_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_record record;
    struct err err = {0};

    assert_int_equal(kafka_produce(fixture->producer, fixture->topic, 0, "key", 3, NULL, 0, NULL, 0, 0, &err), 0);
    assert_int_equal(kafka_produce(fixture->producer, fixture->topic, 0, NULL, 0, "", 0, NULL, 0, 0, &err), 0);
    flush(fixture);
    assign(fixture, 0, 0);
    one_record(fixture, &record);
    assert_null(record.value);
    assert_int_equal(record.key_len, 3);
    kafka_records_free(&record, 1);
    one_record(fixture, &record);
    assert_null(record.key);
    assert_non_null(record.value);
    assert_int_equal(record.value_len, 0);
    kafka_records_free(&record, 1);
}

static void headers_are_given_only_as_text(void **state)
{
    struct fixture *fixture = *state;
    char longest[1025];
    char longer[1026];
    struct kafka_header headers[] = {{"fs-host", "alpha"}, {"fs-host", "beta"}, {"bell", "a\ab"},
                                     {"longest", longest}, {"longer", longer},  {"empty", ""}};
    struct kafka_record record;
    struct facts all = {0};
    struct err err = {0};

    memset(longest, 'x', sizeof longest);
    memset(longer, 'x', sizeof longer);
    longest[1024] = longer[1025] = '\0';
    assert_int_equal(kafka_produce(fixture->producer, fixture->topic, 0, "k", 1, "v", 1, headers, 6, 0, &err), 0);
    flush(fixture);
    assign(fixture, 0, 0);
    one_record(fixture, &record);
    assert_string_equal(kafka_header(&record, "fs-host"), "beta");
    assert_string_equal(kafka_header(&record, "empty"), "");
    assert_int_equal(strlen(kafka_header(&record, "longest")), 1024);
    assert_null(kafka_header(&record, "longer"));
    assert_null(kafka_header(&record, "bell"));
    assert_null(kafka_header(&record, "absent"));

    static const char *const names[] = {"absent", "fs-host", "bell", "longer", "empty", "longest"};
    const char *picked[6];
    kafka_headers_pick(&record, names, 6, picked);
    for (size_t i = 0; i < 6; i++)
        assert_ptr_equal(picked[i], kafka_header(&record, names[i]));

    assert_int_equal(kafka_headers(&record, &all, &err), 0);
    assert_string_equal(facts_get(&all, "bell;base64"), "YQdi");
    assert_string_equal(facts_get(&all, "fs-host"), "beta");
    assert_int_equal(strlen(facts_get(&all, "longer")), 1025);
    facts_clear(&all);
    kafka_records_free(&record, 1);
}

static void a_position_out_of_range_is_a_conflict_and_can_be_mended(void **state)
{
    struct fixture *fixture = *state;
    int64_t end = clock_monotonic_ms() + DEADLINE_MS;
    struct kafka_record record;
    struct err err = {0};
    int got = 0;

    produce(fixture, 3, 0, 5);
    assign(fixture, 3, 1000);
    while (got == 0 && clock_monotonic_ms() < end)
        got = kafka_consume(fixture->consumer, 50, &record, 1, &err);
    assert_int_equal(got, -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, fixture->topic));
    assign(fixture, 3, KAFKA_FROM_BEGINNING);
    expect_run(fixture, 0, 5);
}

static void a_broken_connection_is_no_error(void **state)
{
    struct fixture *fixture = *state;

    produce(fixture, 3, 0, 5);
    assign(fixture, 3, 0);
    expect_run(fixture, 0, 5);
    kafka_mock_fail(fixture->mock, KAFKA_MOCK_FETCH, CUT, 3);
    expect_silence(fixture);
    kafka_mock_down(fixture->mock, 1);
    expect_silence(fixture);
    kafka_mock_up(fixture->mock, 1);
    produce(fixture, 3, 5, 5);
    expect_run(fixture, 5, 5);
}

static void commits_neither_wait_nor_fail(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};

    produce(fixture, 3, 0, 5);
    assign(fixture, 3, 0);
    expect_run(fixture, 0, 5);
    assert_int_equal(kafka_commit_async(fixture->consumer, fixture->topic, 3, 3, &err), 0);
    expect_silence(fixture);
    kafka_mock_fail(fixture->mock, KAFKA_MOCK_OFFSET_COMMIT, NO_GROUP_ACL, 1);
    assert_int_equal(kafka_commit_async(fixture->consumer, fixture->topic, 3, 5, &err), 0);
    expect_silence(fixture);
    produce(fixture, 3, 5, 1);
    expect_run(fixture, 5, 1);
}

static void looks_at_one_record_without_disturbing(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_header header = {"fs-job", "0d9b"};
    struct kafka_record record = {0};
    int64_t low = -9;
    int64_t high = -9;
    bool found;
    struct err err = {0};

    produce(fixture, 3, 0, 5);
    assert_int_equal(kafka_produce(fixture->producer, fixture->topic, 3, "key", 3, NULL, 0, &header, 1, 0, &err), 0);
    flush(fixture);
    assign(fixture, 3, 0);
    expect_run(fixture, 0, 5);
    assert_int_equal(kafka_watermarks(fixture->consumer, fixture->topic, 3, &low, &high, DEADLINE_MS, &err), 0);
    assert_int_equal(low, 0);
    assert_int_equal(high, 6);
    assert_int_equal(kafka_record_at(fixture->consumer, fixture->topic, 3, 5, &record, &found, DEADLINE_MS, &err), 0);
    assert_true(found);
    assert_int_equal(record.offset, 5);
    assert_string_equal(record.topic, fixture->topic);
    assert_null(record.value);
    assert_memory_equal(record.key, "key", 3);
    assert_string_equal(kafka_header(&record, "fs-job"), "0d9b");
    kafka_records_free(&record, 1);
    assert_int_equal(kafka_record_at(fixture->consumer, fixture->topic, 3, 2, &record, &found, DEADLINE_MS, &err), 0);
    assert_true(found);
    assert_memory_equal(record.value, "2", 1);
    kafka_records_free(&record, 1);
    assert_int_equal(kafka_record_at(fixture->consumer, fixture->topic, 3, 6, &record, &found, DEADLINE_MS, &err), 0);
    assert_false(found);
    assert_int_equal(kafka_record_at(fixture->consumer, fixture->topic, 3, 1000, &record, &found, DEADLINE_MS, &err), 0);
    assert_false(found);
    one_record(fixture, &record);
    assert_int_equal(record.offset, 5);
    kafka_records_free(&record, 1);
}

static void a_question_has_its_time_limit(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_options options = fixture->options;
    struct kafka_record record;
    struct kafka_consumer *consumer;
    int64_t low;
    int64_t high;
    char id[64];
    bool found;
    struct err err = {0};

    options.brokers = "127.0.0.1:1";
    assert_int_equal(kafka_consumer_open(&options, NULL, &consumer, &err), 0);
    assert_int_equal(kafka_watermarks(consumer, fixture->topic, 0, &low, &high, 200, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_int_equal(kafka_record_at(consumer, fixture->topic, 0, 0, &record, &found, 200, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_int_equal(kafka_cluster_id(&options, 200, id, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    kafka_consumer_close(consumer);
}

static void knows_the_number_of_partitions(void **state)
{
    struct fixture *fixture = *state;
    int32_t partitions = -1;
    int brokers = 0;
    char id[64] = "";
    struct err err = {0};

    assert_int_equal(kafka_partition_count(&fixture->options, fixture->topic, DEADLINE_MS, &partitions, &err), 0);
    assert_int_equal(partitions, 8);
    assert_int_equal(kafka_broker_info(&fixture->options, DEADLINE_MS, &brokers, &err), 0);
    assert_int_equal(brokers, 1);
    assert_int_equal(kafka_cluster_id(&fixture->options, DEADLINE_MS, id, &err), 0);
    assert_true(id[0] != '\0');
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_from_the_beginning_in_batches),
        TEST(reads_from_an_offset_and_can_be_moved),
        TEST(partitions_can_be_added_while_others_go_on),
        TEST(the_eventfd_speaks_when_records_come),
        TEST(resuming_twice_delivers_nothing_twice),
        TEST(pausing_loses_nothing_that_was_fetched_ahead),
        TEST(what_is_assigned_while_paused_stays_silent),
        TEST(absent_and_empty_are_told_apart),
        TEST(headers_are_given_only_as_text),
        TEST(a_position_out_of_range_is_a_conflict_and_can_be_mended),
        TEST(a_broken_connection_is_no_error),
        TEST(commits_neither_wait_nor_fail),
        TEST(looks_at_one_record_without_disturbing),
        TEST(a_question_has_its_time_limit),
        TEST(knows_the_number_of_partitions),
    };
    return cmocka_run_group_tests(tests, start_broker, end_broker);
}
