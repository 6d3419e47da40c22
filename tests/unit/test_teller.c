/* What cannot be encoded would stop the worker, and again at each start: others' words are cut rather than not said. */
#include "base/err.h"
#include "crypto/keys.h"
#include "kafka/kafka.h"
#include "model/inventory.h"
#include "model/status.h"
#include "model/topics.h"
#include "wire/wire.h"
#include "worker/journal.h"
#include "worker/outbox.h"
#include "worker/teller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static struct journal *journal;
static struct outbox *outbox;
static struct wire *wire;
static struct teller teller;
static struct key_ring keys = {.count = 1, .items = {{.generation = 1}}};

static int set_up(void **state)
{
    struct err err;

    (void)state;
    snprintf(directory, sizeof directory, "/tmp/fleetsnap-teller.XXXXXX");
    if (!mkdtemp(directory) || journal_open(directory, &journal, &err) < 0 || wire_new(&wire, &err) < 0 ||
        outbox_open(&(struct outbox_setup){journal, "shop-1", &keys}, &outbox, &err) < 0)
        return -1;
    teller = (struct teller){wire, outbox, "shop-1", journal_id(journal)};
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
    char path[128];

    (void)state;
    outbox_close(outbox);
    wire_free(wire);
    journal_close(journal);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

static void an_error_that_is_no_text_is_said_all_the_same(void **state)
{
    struct job job = {.job_id = (char *)"0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11",
                      .op = OP_NOOP,
                      .host = (char *)"shop-1",
                      .target = {(char *)"null", (char *)"a", NULL}};
    struct work work = {.job = &job, .state = STATE_FAILED, .seq = 1};
    struct err why = {.kind = ERR_PERMANENT, .text = "the agent says \xff\xfe"}, err = {0};
    struct telling telling = {.error = &why};
    struct status *back = calloc(1, sizeof *back);
    const unsigned char *value;
    size_t len;

    (void)state;
    assert_int_equal(tell_status(&teller, &work, &telling, &value, &len, &err), 0);
    assert_int_equal(wire_decode(wire, &status_record, value, len, topic_table[TOPIC_STATUS].max_bytes, back, &err), 0);
    assert_string_equal(back->error->text, "the agent says ??");
    assert_string_equal(why.text, "the agent says \xff\xfe");
    status_free(back);
}

static void a_dead_letter_of_any_size_is_kept(void **state)
{
    static char huge[2 * 1024 * 1024];
    struct kafka_record record = {
        .topic = "fleetsnap.jobs", .key = huge, .key_len = 100 * 1024, .value = huge, .value_len = sizeof huge};
    struct err err = {0};

    (void)state;
    assert_int_equal(tell_dead_letter(&teller, &record, "not \xff text", &err), 0);
    assert_int_equal(outbox_count(outbox), 1);
}

/* A machine's owner chooses what stands in its inventory. */
static void an_inventory_that_is_no_text_is_said_all_the_same(void **state)
{
    static char long_name[100 * 1024];
    struct inventory_target target = {
        .target = {(char *)"libvirt", (char *)"0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11", long_name},
        .host = (char *)"shop-1",
        .state = (char *)"running \xff"};
    struct inventory inventory = {.target = &target};
    const unsigned char *value;
    struct err err = {0};
    size_t len;

    (void)state;
    memset(long_name, 'x', sizeof long_name - 1);
    assert_int_equal(tell_encode(wire, &inventory_record, &inventory, &value, &len, &err), 0);
}

#define TELLER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TELLER_TEST(an_error_that_is_no_text_is_said_all_the_same),
        TELLER_TEST(a_dead_letter_of_any_size_is_kept),
        TELLER_TEST(an_inventory_that_is_no_text_is_said_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
