/* audit list, audit check: read here from Kafka, not asked of the coordinator whose deeds they are. */
#include "base/err.h"
#include "base/text.h"
#include "coordinator/cli/audit_log.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/show.h"
#include "coordinator/options.h"
#include "kafka/kafka.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

struct looking {
    struct cli *cli;
    const char *who, *action, *subject;
    bool refused;
    int64_t since_ms, limit;
    json_t *found; /* the newest `limit` */
};

static bool same(const char *asked, const char *value)
{
    return !asked || (value && strcmp(asked, value) == 0);
}

static bool wanted(const struct looking *looking, const struct audit *record)
{
    return same(looking->who, record->who) && same(looking->action, record->action) &&
           same(looking->subject, record->subject) && record->at_ms >= looking->since_ms &&
           (!looking->refused || strcmp(record->outcome, "allowed") != 0);
}

static void tell(struct cli *cli, const struct err *wrong)
{
    if (wrong)
        fprintf(cli->err, "%s\n", wrong->text);
}

static void look(void *context, const struct audit *record, const struct err *wrong)
{
    struct looking *looking = context;

    tell(looking->cli, wrong);
    json_t *json = record->who && wanted(looking, record) ? record_json(&audit_record, record, NULL) : NULL;
    if (!json)
        return;
    json_array_append_new(looking->found, json);
    if ((int64_t)json_array_size(looking->found) > looking->limit)
        json_array_remove(looking->found, 0);
}

static void check_only(void *context, const struct audit *record, const struct err *wrong)
{
    (void)record;
    tell(context, wrong);
}

/* 0, or an exit code. */
static int read_log(struct cli *cli, const struct invocation *invocation, const char *subject,
                    struct audit_proof *proof, int64_t *out_broken, audit_visit *visit, void *context)
{
    struct coordinator_options options = {0};
    struct kafka_options kafka;
    struct err err = {0};
    int code = cli_coordinator_options(cli, invocation, subject, &options);

    if (code)
        return code;
    wire_init();
    coordinator_kafka_options(&options, &kafka);
    if (audit_log_read(&kafka, proof, out_broken, visit, context, &err) < 0)
        code = cli_fail_err(cli, err.kind == ERR_RETRY ? EXIT_UNREACHABLE : EXIT_FAILED, subject, &err);
    coordinator_options_free(&options);
    return code;
}

static void print_list(struct cli *cli, const json_t *found)
{
    static const struct table_column columns[] = {
        {"SEQ", COLUMN_RIGHT},
        {"AT", 0},
        {"WHO", COLUMN_SHRINK},
        {"FROM", COLUMN_DROP},
        {"ACTION", 0},
        {"SUBJECT", COLUMN_SHRINK},
        {"OUTCOME", COLUMN_SHRINK},
        {"REASON", COLUMN_SHRINK},
    };
    struct table table;
    json_t *record;
    size_t index;
    char time[48];

    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(found, index, record)
    {
        table_cellf(&table, "%lld", (long long)member_int(record, "seq"));
        table_cell(&table, show_time(cli, record, "at", time, sizeof time));
        table_cell(&table, member_text(record, "who"));
        table_cell(&table, show_or(member_text(record, "from"), "–"));
        table_cell(&table, member_text(record, "action"));
        table_cell(&table, show_or(member_text(record, "subject"), "–"));
        table_cell(&table, member_text(record, "outcome"));
        table_cell(&table, show_or(member_text(record, "reason"), "–"));
    }
    show_table(cli, &table, "nothing like that in the audit log");
    table_free(&table);
}

static int broken_log(struct cli *cli, const char *subject, int64_t broken)
{
    return cli_fail(cli, EXIT_FAILED, subject,
                    "Compare with a copy of the topic fleetsnap.audit, and see who may write to it",
                    "the audit log is broken at %lld record%s: something was taken out, added or changed",
                    (long long)broken, broken == 1 ? "" : "s");
}

int run_audit_list(struct cli *cli, const struct invocation *invocation)
{
    struct looking looking = {.cli = cli,
                              .who = invocation_value(invocation, "who"),
                              .action = invocation_value(invocation, "action"),
                              .subject = invocation_value(invocation, "subject"),
                              .refused = invocation_has(invocation, "refused")};
    struct audit_proof proof;
    int64_t broken;
    int code = when_ms(cli, "audit list", invocation_value(invocation, "since"), &looking.since_ms);

    code = code ? code : limit_of(cli, "audit list", invocation, 50, &looking.limit);
    if (code)
        return code;
    looking.found = json_array();
    code = read_log(cli, invocation, "audit list", &proof, &broken, look, &looking);
    if (!code && cli->json)
        cli_print_json(cli, looking.found);
    else if (!code)
        print_list(cli, looking.found);
    json_decref(looking.found);
    if (!code && broken)
        code = broken_log(cli, "audit list", broken);
    return code;
}

int run_audit_check(struct cli *cli, const struct invocation *invocation)
{
    struct audit_proof proof;
    int64_t broken;
    int code = read_log(cli, invocation, "audit check", &proof, &broken, check_only, cli);

    if (code)
        return code;
    if (cli->json) {
        json_t *answer = json_pack("{s:I, s:I, s:I, s:I, s:I}", "records", (json_int_t)proof.records, "first",
                                   (json_int_t)proof.first_seq, "last", (json_int_t)proof.last_seq, "overtaken",
                                   (json_int_t)proof.overtaken, "broken", (json_int_t)broken);
        cli_print_json(cli, answer);
        json_decref(answer);
    } else if (!broken) {
        fprintf(cli->out, "%lld records, %lld to %lld: each names the hash of the one before\n",
                (long long)proof.records, (long long)proof.first_seq, (long long)proof.last_seq);
        if (proof.overtaken)
            fprintf(cli->out, "%lld more were written by a leader that another had overtaken: no part of the chain\n",
                    (long long)proof.overtaken);
    }
    return broken ? broken_log(cli, "audit check", broken) : EXIT_DONE;
}
