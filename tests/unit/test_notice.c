/* What was said of an alarm, as the ledger keeps it: told once, over once, forgotten. And how a webhook is signed, tried again and answered. */
#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/notice.h"
#include "coordinator/webhook.h"
#include "model/policy.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define EXPECTED_SIGNATURE "v1=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23"

enum { NOW = 1000000 };

static const struct alarm late = {
    .rule = ALARM_LATE, .subject = "target/libvirt:one", .policy = "nightly", .text = "shop-1 is late", .at_ms = 500};

static struct ledger_entry *make(struct notice *out)
{
    struct ledger_entry *entry = NULL;

    assert_int_equal(notice_new(&late, NOW, &entry, NULL), 0);
    assert_true(notice_read(entry, out));
    return entry;
}

static void it_is_what_the_alarm_says(void **state)
{
    struct notice notice;
    struct ledger_entry *entry = make(&notice);

    (void)state;
    assert_string_equal(entry->id, "late:target/libvirt:one");
    assert_int_equal(notice.rule, ALARM_LATE);
    assert_string_equal(notice.subject, late.subject);
    assert_string_equal(notice.policy, "nightly");
    assert_string_equal(notice.text, "shop-1 is late");
    assert_int_equal(notice.since_ms, 500);
    json_t *event = notice_event(&notice, "open");
    assert_string_equal(json_string_value(json_object_get(event, "id")), "late:target/libvirt:one@500/open");
    assert_true(json_is_null(json_object_get(event, "over")));
    json_decref(event);
    entry->gone = true;
    assert_false(notice_read(entry, &notice));
    ledger_entry_free(entry);
}

static void a_text_that_was_cut_can_be_written(void **state)
{
    struct alarm cut = late;
    struct ledger_entry *entry = NULL;

    (void)state;
    strcpy(cut.text, "a name that ends within \xc3");
    assert_int_equal(notice_new(&cut, NOW, &entry, NULL), 0);
    assert_true(utf8_valid(facts_get(&entry->values, "text")));
    ledger_entry_free(entry);
}

static void each_receiver_is_told_once(void **state)
{
    struct notice notice;
    struct ledger_entry *entry = make(&notice);

    (void)state;
    assert_string_equal(notice_untold(&notice, "ops"), "open");
    assert_int_equal(notice_set_told(entry, "ops", "open", false, NULL), 0);
    assert_null(notice_untold(&notice, "ops"));
    assert_string_equal(notice_untold(&notice, "db"), "open");
    assert_int_equal(notice_end(entry, NOW + 1, NULL), 0);
    assert_true(notice_read(entry, &notice));
    assert_string_equal(notice_untold(&notice, "ops"), "over");
    assert_null(notice_untold(&notice, "db")); /* of what it never heard it need not hear the end */
    assert_int_equal(notice_set_told(entry, "ops", "over", false, NULL), 0);
    assert_null(notice_untold(&notice, "ops"));
    ledger_entry_free(entry);
}

static void what_is_given_up_is_not_tried_again(void **state)
{
    struct notice notice;
    struct ledger_entry *entry = make(&notice);

    (void)state;
    assert_int_equal(notice_set_told(entry, "ops", "open", true, NULL), 0);
    assert_null(notice_untold(&notice, "ops"));
    assert_int_equal(notice_end(entry, NOW + 1, NULL), 0);
    assert_true(notice_read(entry, &notice));
    assert_null(notice_untold(&notice, "ops"));
    ledger_entry_free(entry);
}

static void it_ends_when_the_rule_was_asked_and_says_no(void **state)
{
    struct notice notice;
    struct ledger_entry *entry = make(&notice);
    struct alarms now = {0};
    struct alarm unsure = late;

    (void)state;
    assert_int_equal(notice_next(&notice, &now, true), NOTICE_STAY); /* the rule could not be asked */
    now.looked[ALARM_LATE] = true;
    unsure.unsure = true;
    assert_int_equal(alarms_add(&now, &unsure, NULL), 0);
    assert_int_equal(notice_next(&notice, &now, true), NOTICE_STAY);
    now.count = 0;
    assert_int_equal(notice_next(&notice, &now, false), NOTICE_END);
    assert_int_equal(notice_end(entry, NOW + 1, NULL), 0);
    assert_true(notice_read(entry, &notice));
    assert_int_equal(notice_next(&notice, &now, false), NOTICE_STAY); /* somebody must still hear of it */
    assert_int_equal(notice_next(&notice, &now, true), NOTICE_FORGET);
    alarms_clear(&now);
    ledger_entry_free(entry);
}

static void a_failure_has_no_end(void **state)
{
    struct alarm failed = {.rule = ALARM_FAILED, .subject = "run/5f1e", .text = "x"};
    struct ledger_entry *entry = NULL;
    struct notice notice;

    (void)state;
    assert_int_equal(notice_new(&failed, NOW, &entry, NULL), 0);
    assert_int_equal(notice_set_told(entry, "ops", "open", false, NULL), 0);
    assert_int_equal(notice_end(entry, NOW + 1, NULL), 0);
    assert_true(notice_read(entry, &notice));
    assert_int_equal(notice.since_ms, NOW);
    assert_null(notice_untold(&notice, "ops"));
    ledger_entry_free(entry);
}

static void a_policy_says_who_hears_what(void **state)
{
    char *ops = (char *)"ops", *rule = (char *)"late";
    struct policy_notification wanted = {0};
    struct notice notice;
    struct ledger_entry *entry = make(&notice);

    (void)state;
    assert_true(notice_concerns(&notice, "ops", NULL));
    assert_true(notice_concerns(&notice, "ops", &wanted));
    wanted.to = (struct strings){&ops, 1};
    assert_true(notice_concerns(&notice, "ops", &wanted));
    assert_false(notice_concerns(&notice, "db", &wanted));
    wanted.rules = (struct strings){&rule, 1};
    assert_true(notice_concerns(&notice, "ops", &wanted));
    rule = (char *)"failed";
    assert_false(notice_concerns(&notice, "ops", &wanted));
    ledger_entry_free(entry);
}

/* ---- the webhook ---- */

static void the_signature_is_hmac_over_time_and_body(void **state)
{
    char signature[WEBHOOK_SIGNATURE];

    (void)state; /* printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef */
    webhook_sign("0123456789abcdef", 1700000000, "{\"a\":1}", signature);
    assert_string_equal(signature, EXPECTED_SIGNATURE);
}

static void pauses_grow_to_ten_minutes_and_vary(void **state)
{
    (void)state;
    assert_int_equal(webhook_pause_ms(1, 0), 3750);
    assert_int_equal(webhook_pause_ms(1, 1023), 6250);
    assert_int_equal(webhook_pause_ms(2, 0), 7500);
    assert_int_equal(webhook_pause_ms(1000, 0), 450000);
    assert_int_equal(webhook_pause_ms(1000, 1023), 750000);
}

struct receiver {
    int socket, port;
    const char *answer; /* NULL: none, for ever */
    pthread_t thread;
    char heard[4096];
};

static void *serve(void *argument)
{
    struct receiver *receiver = argument;
    int connection = accept(receiver->socket, NULL, NULL);
    size_t len = 0;
    ssize_t got = 1;

    while (got > 0 && !strstr(receiver->heard, "{\"a\":1}")) {
        got = read(connection, receiver->heard + len, sizeof receiver->heard - 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    if (receiver->answer)
        (void)!write(connection, receiver->answer, strlen(receiver->answer));
    else
        while (read(connection, receiver->heard, 1) > 0) /* until the other side hangs up */
            ;
    close(connection);
    return NULL;
}

static void start(struct receiver *receiver, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    *receiver = (struct receiver){.socket = socket(AF_INET, SOCK_STREAM, 0), .answer = answer};
    assert_int_equal(bind(receiver->socket, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(receiver->socket, 1), 0);
    assert_int_equal(getsockname(receiver->socket, (struct sockaddr *)&address, &len), 0);
    receiver->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&receiver->thread, NULL, serve, receiver), 0);
}

static int post(struct receiver *receiver, int64_t timeout_ms, struct err *err)
{
    static const _Atomic bool going_on;
    struct webhook *webhook = NULL;
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%d/hook", receiver->port);
    assert_int_equal(webhook_open(timeout_ms, &going_on, &webhook, NULL), 0);
    int result = webhook_post(webhook, url, "0123456789abcdef", "{\"a\":1}", 1700000000123, err);
    webhook_close(webhook);
    pthread_join(receiver->thread, NULL);
    close(receiver->socket);
    return result;
}

static void a_post_carries_time_and_signature(void **state)
{
    struct receiver receiver;
    struct err err = {0};

    (void)state;
    start(&receiver, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    assert_int_equal(post(&receiver, 30000, &err), 0);
    assert_non_null(strstr(receiver.heard, "POST /hook HTTP/1.1\r\n"));
    assert_non_null(strstr(receiver.heard, "Fleetsnap-Timestamp: 1700000000\r\n"));
    assert_non_null(strstr(receiver.heard, "Fleetsnap-Signature: " EXPECTED_SIGNATURE "\r\n"));
    assert_non_null(strstr(receiver.heard, "Content-Type: application/json\r\n"));
}

static void what_is_not_taken_is_an_error(void **state)
{
    struct receiver receiver;
    struct err err = {0};

    (void)state;
    start(&receiver, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_int_equal(post(&receiver, 30000, &err), -1);
    assert_string_equal(err.text, "it answers 503");
    start(&receiver, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(post(&receiver, 30000, &err), -1);
    assert_string_equal(err.text, "it answers 302");
    start(&receiver, NULL);
    assert_int_equal(post(&receiver, 300, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_the_alarm_says),
        cmocka_unit_test(a_text_that_was_cut_can_be_written),
        cmocka_unit_test(each_receiver_is_told_once),
        cmocka_unit_test(what_is_given_up_is_not_tried_again),
        cmocka_unit_test(it_ends_when_the_rule_was_asked_and_says_no),
        cmocka_unit_test(a_failure_has_no_end),
        cmocka_unit_test(a_policy_says_who_hears_what),
        cmocka_unit_test(the_signature_is_hmac_over_time_and_body),
        cmocka_unit_test(pauses_grow_to_ten_minutes_and_vary),
        cmocka_unit_test(a_post_carries_time_and_signature),
        cmocka_unit_test(what_is_not_taken_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
