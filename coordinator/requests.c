/*
 * Requests on Kafka. The position is committed to Kafka once a request is answered for good: a new leader goes on from there. What is read twice is the same job, for its id comes
 * from the token and the request's own id. A request that cannot be taken now is read again, and what lies behind it in its partition waits.
 */
#include "coordinator/requests.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/internal.h"
#include "coordinator/request_body.h"
#include "coordinator/topic_key.h"
#include "crypto/mac.h"
#include "model/audit.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    BATCH = 64,
    METADATA_MS = 5000,
    ROUND_MS = 1000,
    REQUEST_MAX = 256 * 1024,
    WHY_TEXT = 1200,
    PARTITIONS_MAX = 1024
};

struct requests {
    struct coordinator *coordinator;
    requests_ask *ask;
    void *context;
    pthread_t thread;
    int stop_fd;
    /* of the thread */
    struct kafka_consumer *consumer; /* NULL: does not lead, or begins anew */
    struct wire *wire;
    struct mac *mac;
    char said[sizeof((struct err *)0)->text]; /* the last trouble: said once */
};

static bool leads(struct coordinator *coordinator)
{
    struct coordinator_state state;

    coordinator_state(coordinator, &state);
    return state.leading;
}

static void end_reading(struct requests *requests)
{
    kafka_consumer_close(requests->consumer);
    requests->consumer = NULL;
}

/* From where the last leader came to. */
static int assign(struct requests *requests, struct kafka_consumer *consumer, struct err *err)
{
    const char *topic = topic_table[TOPIC_REQUESTS].name;
    int64_t from[PARTITIONS_MAX];
    int32_t partitions = 0;

    if (kafka_partition_count(&requests->coordinator->kafka, topic, METADATA_MS, &partitions, err) < 0)
        return -1;
    if (partitions < 1 || partitions > PARTITIONS_MAX)
        return err_set(err, ERR_RETRY, "%s has %d partitions", topic, partitions);
    if (kafka_committed(consumer, topic, partitions, from, METADATA_MS, err) < 0)
        return -1;
    for (int32_t i = 0; i < partitions; i++)
        if (kafka_consumer_assign(consumer, topic, i, from[i], err) < 0)
            return -1;
    return 0;
}

static int begin(struct requests *requests, struct err *err)
{
    if (kafka_consumer_open(&requests->coordinator->kafka, topic_table[TOPIC_REQUESTS].name, &requests->consumer, err) <
        0)
        return -1;
    return assign(requests, requests->consumer, err);
}

/* ---- one request ---- */

/* 1: believed; 0: refused, and why; -1: later. */
static int believe(struct requests *requests, const struct kafka_record *record, struct request *request,
                   struct ledger_entry **token, char *why, struct err *err)
{
    struct err cause = {0};

    if (!record->value || wire_decode(requests->wire, &request_record, record->value, record->value_len, REQUEST_MAX,
                                      request, &cause) < 0)
        return snprintf(why, WHY_TEXT, "%.600s", record->value ? cause.text : "it has no value"), 0;
    int believed = topic_key_believe(requests->coordinator, requests->mac, record, request->token, token, why, err);
    if (believed <= 0)
        return believed;
    const char *refused = request_refused(request, (*token)->token, record->timestamp_ms);
    if (refused)
        return snprintf(why, WHY_TEXT, "%s", refused), 0;
    return 1;
}

static enum request_answer ask(struct requests *requests, const struct request *request,
                               const struct ledger_token *token, char *why)
{
    const struct caller caller = {.token = token->name,
                                  .from = (char *)"fleetsnap.requests",
                                  .role = token->role,
                                  .classes = token->classes,
                                  .selector = token->selector && *token->selector ? token->selector : NULL};
    CLEANUP(freep) char *body = NULL;
    struct err err = {0};

    if (request_body(request, &body, &err) < 0)
        return snprintf(why, WHY_TEXT, "%.600s", err.text), err.kind == ERR_RETRY ? REQUEST_LATER : REQUEST_REFUSED;
    return requests->ask(requests->context, &caller, request->request_id, body, why, WHY_TEXT);
}

static void refuse(struct requests *requests, const struct kafka_record *record, const char *why)
{
    struct dead_letter *letter = dead_letter_of(record, why, NULL);

    log_warning("requests", "record %d@%lld: %s", record->partition, (long long)record->offset, why);
    if (letter)
        coordinator_dead_letter(requests->coordinator, letter);
}

/* -1: not answered; it is read again. */
static int take(struct requests *requests, const struct kafka_record *record, struct err *err)
{
    CLEANUP(request_clear) struct request request = {0};
    CLEANUP(ledger_entry_freep) struct ledger_entry *token = NULL;
    char why[WHY_TEXT] = "";
    int believed = believe(requests, record, &request, &token, why, err);

    if (believed < 0)
        return -1;
    enum request_answer answer = believed ? ask(requests, &request, token->token, why) : REQUEST_REFUSED;
    if (answer == REQUEST_LATER)
        return err_set(err, ERR_RETRY, "request \"%.128s\" waits: %.300s", request.request_id, why);
    if (answer == REQUEST_REFUSED)
        refuse(requests, record, why);
    return kafka_commit_async(requests->consumer, record->topic, record->partition, record->offset + 1, err);
}

/* ---- the thread ---- */

enum round {
    ROUND_MORE,   /* there may be more at once */
    ROUND_DONE,   /* Kafka says when there is */
    ROUND_LATER,  /* something waits for what is not there now */
    ROUND_BROKEN, /* the consumer is of no use any more */
};

/* From the first that was not answered on, all is read again: what lies behind it in other partitions too, it is the same jobs. */
static bool go_back(struct requests *requests, const struct kafka_record *records, int count)
{
    for (int i = count; i-- > 0;)
        if (kafka_consumer_assign(requests->consumer, records[i].topic, records[i].partition, records[i].offset, NULL) <
            0)
            return false;
    return true;
}

static enum round read_some(struct requests *requests, struct err *err)
{
    struct kafka_record records[BATCH];
    int count = kafka_consume(requests->consumer, 0, records, BATCH, err);
    enum round round = count < 0 ? ROUND_BROKEN : count == BATCH ? ROUND_MORE : ROUND_DONE;

    for (int i = 0; i < count; i++)
        if (take(requests, &records[i], err) < 0) {
            round = go_back(requests, &records[i], count - i) ? ROUND_LATER : ROUND_BROKEN;
            break;
        }
    if (count > 0)
        kafka_records_free(records, (size_t)count);
    if (count > 0 && round < ROUND_LATER)
        *requests->said = '\0';
    return round;
}

static void say_once(struct requests *requests, const char *text)
{
    if (strcmp(requests->said, text) != 0)
        log_warning("requests", "%s", text);
    snprintf(requests->said, sizeof requests->said, "%s", text);
}

static enum round go_round(struct requests *requests)
{
    struct err err = {0};
    enum round round = ROUND_BROKEN;

    if (!leads(requests->coordinator)) {
        end_reading(requests);
        return ROUND_LATER;
    }
    if (requests->consumer || begin(requests, &err) == 0) {
        kafka_fd_clear(kafka_consumer_fd(requests->consumer));
        round = read_some(requests, &err);
    }
    if (round >= ROUND_LATER)
        say_once(requests, err.text);
    if (round == ROUND_BROKEN)
        end_reading(requests);
    return round;
}

static void *run(void *context)
{
    struct requests *requests = context;
    struct pollfd fds[2] = {{.fd = requests->stop_fd, .events = POLLIN}, {.events = POLLIN}};

    pthread_setname_np(pthread_self(), "requests");
    while (!(fds[0].revents & POLLIN)) {
        enum round round = go_round(requests);
        fds[1].fd = round == ROUND_DONE ? kafka_consumer_fd(requests->consumer) : -1;
        poll(fds, 2, round == ROUND_MORE ? 0 : ROUND_MS);
    }
    return NULL;
}

static int start(struct requests *requests, struct err *err)
{
    requests->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (requests->stop_fd < 0)
        return err_errno(err, errno, "requests");
    if (wire_new(&requests->wire, err) < 0 || mac_new(&requests->mac, err) < 0)
        return -1;
    if (pthread_create(&requests->thread, NULL, run, requests) != 0)
        return err_set(err, ERR_RETRY, "no thread for requests");
    return 0;
}

static void requests_free(struct requests *requests)
{
    kafka_consumer_close(requests->consumer);
    wire_free(requests->wire);
    mac_free(requests->mac);
    if (requests->stop_fd >= 0)
        close(requests->stop_fd);
    free(requests);
}

int requests_start(struct coordinator *coordinator, requests_ask *ask_it, void *context, struct requests **out,
                   struct err *err)
{
    struct requests *requests = calloc(1, sizeof *requests);

    if (!requests)
        return err_memory(err, "requests");
    *requests = (struct requests){.coordinator = coordinator, .ask = ask_it, .context = context, .stop_fd = -1};
    if (start(requests, err) < 0) {
        requests_free(requests);
        return -1;
    }
    *out = requests;
    return 0;
}

void requests_stop(struct requests *requests)
{
    if (!requests)
        return;
    eventfd_write(requests->stop_fd, 1);
    pthread_join(requests->thread, NULL);
    requests_free(requests);
}
