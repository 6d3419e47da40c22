/* The outbox over a journal on disk and a broker inside the process. */
#include "base/clock.h"
#include "base/err.h"
#include "crypto/keys.h"
#include "kafka/kafka.h"
#include "kafka/mock.h"
#include "worker/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000 };

static char directory[64];
static struct journal *journal;
static struct outbox *outbox;
static struct kafka_mock *mock;
static struct kafka_producer *producer;
static struct key_ring keys = {.count = 1, .items = {{.generation = 1}}};

#define must(call) assert_int_equal(call, 0)

static void open_outbox(void)
{
    must(journal_open(directory, &journal, NULL));
    must(outbox_open(&(struct outbox_setup){journal, "shop-1", &keys}, &outbox, NULL));
}

static void open_producer(void)
{
    struct kafka_options options = {.brokers = kafka_mock_brokers(mock), .client_id = "test", .linger_us = 200};

    must(kafka_producer_open(&options, &producer, NULL));
    outbox_use(outbox, producer, 1);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/fleetsnap-outbox.XXXXXX");
    if (!mkdtemp(directory) || kafka_mock_open(1, &mock, NULL) < 0)
        return -1;
    kafka_mock_topic(mock, topic_table[TOPIC_STATUS].name, 4, NULL);
    kafka_mock_topic(mock, topic_table[TOPIC_CATALOG].name, 1, NULL);
    open_outbox();
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
    char path[128];

    (void)state;
    kafka_producer_close(producer, 0);
    producer = NULL;
    outbox_close(outbox);
    journal_close(journal);
    kafka_mock_close(mock);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

static int64_t add(enum topic topic, const char *key, int64_t after)
{
    struct outbox_row row = {
        .topic = topic, .key = key, .key_len = strlen(key), .value = "value", .value_len = 5, .job = key, .after = after};

    must(outbox_add(outbox, &row, NULL));
    return row.seq;
}

/* One turn: commit, produce, hear, forget. */
static void turn(void)
{
    must(journal_commit(journal, NULL));
    outbox_produce(outbox);
    if (producer)
        kafka_producer_poll(producer, 20, outbox_delivered, outbox);
    outbox_forget(outbox);
    must(journal_write_notes(journal, NULL));
    must(journal_commit(journal, NULL));
}

static void until_left(size_t count)
{
    int64_t until = clock_monotonic_ms() + DEADLINE_MS;

    while (outbox_count(outbox) != count) {
        assert_true(clock_monotonic_ms() < until);
        turn();
    }
}

static int count_row(void *context, const struct outbox_row *row, struct err *err)
{
    (void)row;
    (void)err;
    ++*(int *)context;
    return 0;
}

static int rows(void)
{
    int count = 0;

    must(outbox_rows(journal, count_row, &count, NULL));
    return count;
}

static void what_is_acknowledged_is_deleted(void **state)
{
    (void)state;
    open_producer();
    for (int i = 0; i < 100; i++)
        add(TOPIC_STATUS, "job", 0);
    assert_int_equal(rows(), 100);
    until_left(0);
    assert_int_equal(rows(), 0);
}

/* How many of them the producer has got by that; librdkafka counts a word about the connection, too. */
static size_t add_and_produce(int count)
{
    for (int i = 0; i < count; i++)
        add(TOPIC_STATUS, "job", 0);
    must(journal_commit(journal, NULL));
    size_t before = kafka_producer_queued(producer);
    outbox_produce(outbox);
    return kafka_producer_queued(producer) - before;
}

static void others_gather_while_many_are_on_their_way(void **state)
{
    (void)state;
    open_producer();
    assert_in_range(add_and_produce(10), 10, 19);
    assert_in_range(add_and_produce(10), 10, 19); /* few: nobody waits */
    assert_in_range(add_and_produce(100), 100, 109);
    assert_in_range(add_and_produce(10), 0, 9);
    assert_int_equal(outbox_count(outbox), 130);
    until_left(0);
    assert_int_equal(rows(), 0);
}

static void without_kafka_it_waits_and_survives_a_restart(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        add(TOPIC_STATUS, "job", 0);
    turn();
    assert_int_equal(outbox_count(outbox), 10);
    outbox_close(outbox);
    journal_close(journal);
    open_outbox();
    assert_int_equal(outbox_count(outbox), 10);
    open_producer();
    until_left(0);
    assert_int_equal(rows(), 0);
}

static void a_new_producer_sends_again_what_the_old_one_did_not_deliver(void **state)
{
    (void)state;
    kafka_mock_down(mock, 1);
    open_producer();
    for (int i = 0; i < 10; i++)
        add(TOPIC_STATUS, "job", 0);
    turn();
    kafka_producer_close(producer, 0);
    kafka_mock_up(mock, 1);
    open_producer();
    until_left(0);
}

/* The records of a topic that a consumer sees, within a moment. */
static int on_topic(enum topic topic, int partition)
{
    struct kafka_options options = {.brokers = kafka_mock_brokers(mock), .client_id = "reader", .fetch_wait_ms = 10};
    struct kafka_consumer *consumer;
    int64_t low = 0, high = 0;

    must(kafka_consumer_open(&options, NULL, &consumer, NULL));
    must(kafka_watermarks(consumer, topic_table[topic].name, partition, &low, &high, 10000, NULL));
    kafka_consumer_close(consumer);
    return (int)high;
}

static void the_catalog_is_acknowledged_before_a_terminal_status_is_sent(void **state)
{
    (void)state;
    open_producer();
    add(TOPIC_STATUS, "first", 0);
    until_left(0);
    int64_t point = add(TOPIC_CATALOG, "point", 0);
    add(TOPIC_STATUS, "job", point);
    add(TOPIC_STATUS, "another", 0);
    must(journal_commit(journal, NULL));
    outbox_produce(outbox);
    int64_t until = clock_monotonic_ms() + DEADLINE_MS;
    while (on_topic(TOPIC_STATUS, 1) < 2 && clock_monotonic_ms() < until) /* nobody polls: no acknowledgement is heard */
        ;
    outbox_produce(outbox);
    assert_int_equal(on_topic(TOPIC_STATUS, 1), 2); /* first and another, not job */
    until_left(0);
    assert_int_equal(on_topic(TOPIC_STATUS, 1), 3);
    assert_int_equal(on_topic(TOPIC_CATALOG, 0), 1);
}

/* As the loop does: records under way, a fatal error, more records, and then a producer that is opened anew. */
static void a_producer_that_cannot_go_on_is_replaced_and_nothing_is_lost(void **state)
{
    int64_t until = clock_monotonic_ms() + 5000;

    (void)state;
    open_producer();
    add(TOPIC_STATUS, "job-1", 0);
    must(journal_commit(journal, NULL));
    kafka_mock_down(mock, 1); /* so it is not acknowledged */
    outbox_produce(outbox);
    kafka_mock_fatal(producer);
    assert_true(kafka_producer_fatal(producer));
    add(TOPIC_STATUS, "job-2", 0);
    must(journal_commit(journal, NULL));
    outbox_produce(outbox);
    kafka_producer_poll(producer, 200, outbox_delivered, outbox);
    assert_int_equal(outbox_count(outbox), 2);
    kafka_mock_up(mock, 1);
    kafka_producer_close(producer, 0);
    open_producer();
    while (outbox_count(outbox) && clock_monotonic_ms() < until) {
        outbox_produce(outbox);
        kafka_producer_poll(producer, 20, outbox_delivered, outbox);
        outbox_forget(outbox);
        must(journal_write_notes(journal, NULL));
        must(journal_commit(journal, NULL));
    }
    assert_int_equal(outbox_count(outbox), 0);
}

#define OUTBOX_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Larger than any broker takes: it waits alone, and does not keep the others. */
static void a_record_that_cannot_be_sent_keeps_no_others(void **state)
{
    static char huge[2 * 1024 * 1024];
    struct outbox_row row = {
        .topic = TOPIC_STATUS, .key = "j1", .key_len = 2, .value = huge, .value_len = sizeof huge, .job = "j1"};

    (void)state;
    must(outbox_add(outbox, &row, NULL));
    add(TOPIC_CATALOG, "p1", 0);
    add(TOPIC_CATALOG, "p2", 0);
    open_producer();
    until_left(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OUTBOX_TEST(a_producer_that_cannot_go_on_is_replaced_and_nothing_is_lost),
        OUTBOX_TEST(what_is_acknowledged_is_deleted),
        OUTBOX_TEST(others_gather_while_many_are_on_their_way),
        OUTBOX_TEST(without_kafka_it_waits_and_survives_a_restart),
        OUTBOX_TEST(a_new_producer_sends_again_what_the_old_one_did_not_deliver),
        OUTBOX_TEST(the_catalog_is_acknowledged_before_a_terminal_status_is_sent),
        OUTBOX_TEST(a_record_that_cannot_be_sent_keeps_no_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
