/* history check: the topics held against the rules, read here from Kafka itself; no coordinator is asked whose deeds they are. */
#include "base/clock.h"
#include "base/err.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/history.h"
#include "coordinator/cli/history_reader.h"
#include "coordinator/cli/show.h"
#include "coordinator/options.h"
#include "kafka/kafka.h"
#include "wire/wire.h"

#include <inttypes.h>
#include <string.h>

#define SUBJECT "history check"
enum { REDRAW_MS = 200 };

struct watching {
    struct cli *cli;
    int64_t begun_ms, drawn_ms;
};

static int64_t rate_of(const struct watching *watching, const struct history_reading *reading, int64_t now_ms)
{
    int64_t passed_ms = now_ms - watching->begun_ms;

    return reading->records * 1000 / (passed_ms > 0 ? passed_ms : 1);
}

static int draw(void *context, const struct history_reading *reading, struct err *err)
{
    struct watching *watching = context;
    struct cli *cli = watching->cli;
    int64_t now_ms = clock_monotonic_ms();

    if (cli_interrupted())
        return err_set(err, ERR_CANCELLED, "interrupted");
    if (!cli->err_terminal || (reading->topic && now_ms - watching->drawn_ms < REDRAW_MS))
        return 0;
    watching->drawn_ms = now_ms;
    fputs("\r\033[K", cli->err);
    if (reading->topic)
        fprintf(cli->err, "  %-20s %" PRId64 " records, %" PRId64 "/s", reading->topic, reading->records,
                rate_of(watching, reading, now_ms));
    fflush(cli->err);
    return 0;
}

/* ---- what came out ---- */

static void print_rules(struct cli *cli, const struct history *history)
{
    static const struct table_column columns[] = {
        {"RULE", 0},
        {"SAYS", COLUMN_SHRINK},
        {"CHECKED", COLUMN_RIGHT},
        {"BROKEN", COLUMN_RIGHT},
        {"NOT KNOWN", COLUMN_RIGHT},
    };
    struct table table;

    table_init(&table, columns, sizeof columns / sizeof *columns);
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        struct history_tally tally = history_tally(history, (enum history_rule)rule);
        table_cell(&table, history_rule_names[rule]);
        table_cell(&table, history_rule_texts[rule]);
        table_cellf(&table, "%" PRId64, tally.checked);
        table_cellf(&table, "%" PRId64, tally.broken);
        table_cellf(&table, "%" PRId64, tally.unknown);
    }
    show_table(cli, &table, "");
    table_free(&table);
}

static void print_findings(struct cli *cli, const struct history *history)
{
    size_t count;
    const struct history_finding *findings = history_findings(history, &count);

    for (size_t i = 0; i < count; i++) {
        fprintf(cli->out, "%s: %s: %s\n", history_rule_names[findings[i].rule], findings[i].subject, findings[i].text);
        for (size_t j = 0; j < findings[i].proof_count; j++) {
            const struct history_place *proof = &findings[i].proofs[j];
            fprintf(cli->out, "    %s[%" PRId32 "]@%" PRId64 "\n", topic_table[proof->topic].name, proof->partition,
                    proof->offset);
        }
    }
    if (history_broken(history) > (int64_t)count)
        fprintf(cli->out, "… and %" PRId64 " more\n", history_broken(history) - (int64_t)count);
}

static json_t *rules_json(const struct history *history)
{
    json_t *rules = json_array();

    for (int rule = 0; rule < RULE_COUNT; rule++) {
        struct history_tally tally = history_tally(history, (enum history_rule)rule);
        json_array_append_new(rules, json_pack("{s:s, s:s, s:I, s:I, s:I}", "rule", history_rule_names[rule], "says",
                                               history_rule_texts[rule], "checked", (json_int_t)tally.checked, "broken",
                                               (json_int_t)tally.broken, "unknown", (json_int_t)tally.unknown));
    }
    return rules;
}

static json_t *finding_json(const struct history_finding *finding)
{
    json_t *proofs = json_array();

    for (size_t i = 0; i < finding->proof_count; i++)
        json_array_append_new(proofs, json_pack("{s:s, s:i, s:I}", "topic", topic_table[finding->proofs[i].topic].name,
                                                "partition", (int)finding->proofs[i].partition, "offset",
                                                (json_int_t)finding->proofs[i].offset));
    return json_pack("{s:s, s:s, s:s, s:o}", "rule", history_rule_names[finding->rule], "subject", finding->subject,
                     "text", finding->text, "records", proofs);
}

static void print_json(struct cli *cli, const struct history *history, const struct history_reading *reading,
                       int64_t jobs, int64_t open)
{
    size_t count;
    const struct history_finding *findings = history_findings(history, &count);
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, finding_json(&findings[i]));
    json_t *answer = json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "records", (json_int_t)reading->records,
                               "not_believed", (json_int_t)reading->doubted, "jobs", (json_int_t)jobs, "open",
                               (json_int_t)open, "broken", (json_int_t)history_broken(history), "rules",
                               rules_json(history), "findings", list);
    cli_print_json(cli, answer);
    json_decref(answer);
}

static void print_text(struct cli *cli, const struct history *history, const struct history_reading *reading,
                       int64_t jobs, int64_t open)
{
    print_rules(cli, history);
    fprintf(cli->out, "%" PRId64 " records, %" PRId64 " jobs, %" PRId64 " of them not ended yet", reading->records,
            jobs, open);
    if (reading->doubted)
        fprintf(cli->out, "; %" PRId64 " records are not believed, and are no part of it", reading->doubted);
    fputc('\n', cli->out);
    print_findings(cli, history);
}

static int report(struct cli *cli, const struct history *history, const struct history_reading *reading)
{
    int64_t open, jobs = history_jobs(history, &open), broken = history_broken(history);

    if (cli->json)
        print_json(cli, history, reading, jobs, open);
    else
        print_text(cli, history, reading, jobs, open);
    if (!broken)
        return EXIT_DONE;
    return cli_fail(
        cli, EXIT_FAILED, SUBJECT,
        "Each is named with the records that show it. Keep a copy of those topics, and look at the logs of that time",
        "the history breaks its rules %" PRId64 " time%s", broken, broken == 1 ? "" : "s");
}

static int check(struct cli *cli, const struct coordinator_options *options, struct history *history, struct err *err)
{
    struct watching watching = {cli, clock_monotonic_ms(), 0};
    struct history_reading reading;
    unsigned char master[KEY_BYTES];
    struct kafka_options kafka;

    if (key_master_load(options->master_key_file, master, err) < 0)
        return err_hint(err, "The fleet's master key tells who wrote a record");
    wire_init();
    coordinator_kafka_options(options, &kafka);
    int failed = history_read(&kafka, master, history, &reading, draw, &watching, err);
    explicit_bzero(master, sizeof master);
    return failed < 0 ? -1 : report(cli, history, &reading);
}

int run_history_check(struct cli *cli, const struct invocation *invocation)
{
    struct coordinator_options options = {0};
    struct history *history = NULL;
    struct err err = {0};
    int code = cli_coordinator_options(cli, invocation, SUBJECT, &options);

    if (code)
        return code;
    cli_catch_interrupts();
    code = history_new(&history, &err) < 0 ? -1 : check(cli, &options, history, &err);
    if (code < 0)
        code = cli_fail_err(cli,
                            err.kind == ERR_RETRY       ? EXIT_UNREACHABLE
                            : err.kind == ERR_CANCELLED ? EXIT_DECLINED
                                                        : EXIT_FAILED,
                            SUBJECT, &err);
    history_free(history);
    coordinator_options_free(&options);
    return code;
}
