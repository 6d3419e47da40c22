/* status tail: the status topic, followed from Kafka itself, so that what is seen does not depend on the coordinator. Each event is checked as the coordinator checks it. */
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/event.h"
#include "coordinator/cli/ledger_reader.h"
#include "coordinator/cli/show.h"
#include "coordinator/cli/status_filter.h"
#include "coordinator/cli/target_labels.h"
#include "coordinator/cli/topic_reader.h"
#include "coordinator/options.h"
#include "kafka/kafka.h"
#include "model/op.h"
#include "model/select.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <inttypes.h>
#include <stdlib.h>

#define SUBJECT "status tail"
enum { WAIT_MS = 500 };

struct tail {
    struct cli *cli;
    struct status_filter filter;
    struct wire *wire;
    struct ledger_reader *ledger; /* NULL: nothing is checked */
    struct target_labels *labels; /* NULL: not asked for */
    struct topic_reader *topic;
    int64_t since_ms, limit, shown; /* limit 0: none */
};

static bool enough(const struct tail *tail)
{
    return cli_interrupted() || (tail->limit && tail->shown >= tail->limit) || ferror(tail->cli->out);
}

static void show(struct tail *tail, const struct status *status)
{
    char *text = NULL;

    if (record_to_json(&status_record, status, false, &text, NULL) < 0)
        return;
    if (tail->cli->json) {
        fprintf(tail->cli->out, "%s\n", text);
    } else {
        json_t *event = json_loads(text, 0, NULL);
        event_print(tail->cli, event, EVENT_OF_ANY_DAY);
        json_decref(event);
    }
    free(text);
    fflush(tail->cli->out);
    tail->shown++;
}

/* 0: read. 1: not to be believed. -1: Kafka does not answer. */
static int read_event(struct tail *tail, const struct kafka_record *record, struct status *out, struct err *err)
{
    if (tail->ledger)
        return ledger_reader_status(tail->ledger, tail->wire, record, out, err);
    return wire_decode(tail->wire, &status_record, record->value, record->value_len,
                       topic_table[TOPIC_STATUS].max_bytes, out, err) < 0
               ? 1
               : 0;
}

static int take(void *context, const struct kafka_record *record, struct err *err)
{
    struct tail *tail = context;
    struct status status = {0};
    struct err doubt = {0};

    if (enough(tail))
        return 0;
    int result = read_event(tail, record, &status, &doubt);
    if (result < 0) {
        *err = doubt;
        return -1;
    }
    if (result > 0)
        fprintf(tail->cli->err, "%s[%" PRId32 "]@%" PRId64 " is not believed: %s\n", record->topic, record->partition,
                record->offset, doubt.text);
    else if (status_filter_wants(&tail->filter, &status,
                                 tail->labels ? target_labels_of(tail->labels, &status.target) : NULL))
        show(tail, &status);
    status_clear(&status);
    return 0;
}

static int follow(struct tail *tail, struct err *err)
{
    while (!enough(tail)) {
        if (tail->labels && target_labels_refresh(tail->labels, err) < 0)
            return -1;
        if (topic_reader_poll(tail->topic, WAIT_MS, take, tail, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- what was asked ---- */

static int read_filter(struct cli *cli, const struct invocation *invocation, struct tail *tail)
{
    struct status_filter *filter = &tail->filter;
    const char *op = invocation_value(invocation, "op"), *limit = invocation_value(invocation, "limit"),
               *selector = invocation_value(invocation, "selector");
    struct err err = {0};

    filter->host = invocation_value(invocation, "host");
    filter->job = invocation_value(invocation, "job");
    filter->target = invocation_value(invocation, "target");
    filter->kind = invocation_value(invocation, "kind");
    filter->op = op ? (int)op_from_name(op) : OP_NONE;
    if (op && !filter->op)
        return cli_fail(cli, EXIT_USAGE, SUBJECT, "They are in docs/verbs.md", "no operation is called \"%s\"", op);
    if (status_filter_states(invocation_value(invocation, "state"), &filter->states, &err) < 0 ||
        (selector && selector_parse(selector, &filter->selector, &err) < 0) ||
        (limit && parse_int(limit, 1, INT64_MAX, &tail->limit, &err) < 0))
        return cli_fail_err(cli, EXIT_USAGE, SUBJECT, &err);
    tail->since_ms = TOPIC_FROM_END;
    return invocation_value(invocation, "since")
               ? when_ms(cli, SUBJECT, invocation_value(invocation, "since"), &tail->since_ms)
               : 0;
}

static int open_ledger(struct tail *tail, const struct kafka_options *kafka, const char *master_key_file,
                       struct err *err)
{
    unsigned char master[KEY_BYTES];
    int result = key_master_load(master_key_file, master, err);

    if (result == 0)
        result = ledger_reader_open(kafka, master, &tail->ledger, err);
    else
        err_hint(err, "The fleet's master key tells who wrote an event; without it: --unchecked");
    explicit_bzero(master, sizeof master);
    return result < 0 ? -1 : ledger_reader_catch_up(tail->ledger, err);
}

static int open_all(struct tail *tail, const struct invocation *invocation, const struct kafka_options *kafka,
                    const char *master_key_file, struct err *err)
{
    wire_init();
    /* First the place from which on everything counts: reading the ledger may take a while. */
    if (wire_new(&tail->wire, err) < 0 ||
        topic_reader_open(kafka, topic_table[TOPIC_STATUS].name, tail->since_ms, &tail->topic, err) < 0)
        return -1;
    if (!invocation_has(invocation, "unchecked") && open_ledger(tail, kafka, master_key_file, err) < 0)
        return -1;
    return tail->filter.selector ? target_labels_open(kafka, tail->ledger, tail->wire, &tail->labels, err) : 0;
}

static void close_all(struct tail *tail)
{
    selector_free(tail->filter.selector);
    topic_reader_close(tail->topic);
    target_labels_close(tail->labels);
    ledger_reader_close(tail->ledger);
    wire_free(tail->wire);
}

int run_status_tail(struct cli *cli, const struct invocation *invocation)
{
    struct coordinator_options options = {0};
    struct tail tail = {.cli = cli};
    struct kafka_options kafka;
    struct err err = {0};
    int code = read_filter(cli, invocation, &tail);

    if (!code)
        code = cli_coordinator_options(cli, invocation, SUBJECT, &options);
    if (!code) {
        cli_catch_interrupts();
        coordinator_kafka_options(&options, &kafka);
        if (open_all(&tail, invocation, &kafka, options.master_key_file, &err) < 0 || follow(&tail, &err) < 0)
            code = cli_fail_err(cli, err.kind == ERR_RETRY ? EXIT_UNREACHABLE : EXIT_FAILED, SUBJECT, &err);
    }
    close_all(&tail);
    coordinator_options_free(&options);
    return code;
}
