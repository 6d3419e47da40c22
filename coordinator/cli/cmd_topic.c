/* topic init runs here, not in the coordinator: without the topics there is none that could be asked. */
#include "base/err.h"
#include "coordinator/cli/commands.h"
#include "coordinator/options.h"
#include "kafka/kafka.h"
#include "model/topics.h"

#include <limits.h>
#include <stdlib.h>

enum { PROBLEMS_MAX = 64 };

static int print_problems(struct cli *cli, const struct kafka_topic_problem *problems, size_t count, bool dry_run,
                          bool failed)
{
    for (size_t i = 0; i < count; i++)
        fprintf(dry_run ? cli->out : cli->err, "%s: %s\n", problems[i].topic, problems[i].text);
    if (!failed)
        return EXIT_DONE;
    fprintf(
        cli->err,
        "Settings of topics that exist are never changed here. Change them with Kafka's own tools, or remove the topic while it is empty.\n");
    return EXIT_FAILED;
}

static void print_json(struct cli *cli, const struct kafka_topic_problem *problems, size_t count, size_t created,
                       bool dry_run)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "topic", problems[i].topic, "text", problems[i].text));
    json_t *answer = json_pack("{s:I, s:b, s:o}", "created", (json_int_t)created, "dry_run", dry_run, "problems", list);
    cli_print_json(cli, answer);
    json_decref(answer);
}

static int init(struct cli *cli, const struct coordinator_options *options, bool dry_run)
{
    struct kafka_topic_problem problems[PROBLEMS_MAX];
    struct kafka_options kafka;
    size_t count = 0, created = 0;
    struct err err = {0};

    coordinator_kafka_options(options, &kafka);
    if (kafka_topics_init(&kafka, options->dev, dry_run, problems, PROBLEMS_MAX, &count, &created, &err) < 0)
        return cli_fail_err(cli, err.kind == ERR_RETRY ? EXIT_UNREACHABLE : EXIT_FAILED, "topic init", &err);
    bool failed = dry_run ? count > created : count > 0; /* dry: the missing ones are among the problems */
    if (cli->json)
        return print_json(cli, problems, count, created, dry_run), failed ? EXIT_FAILED : EXIT_DONE;
    fprintf(cli->out, "%zu of %d topics %s, %zu as they should be%s\n", created, TOPIC_COUNT,
            dry_run ? "would be created" : "created", (size_t)TOPIC_COUNT - (dry_run ? count : created + count),
            dry_run ? "; nothing has been changed" : "");
    return print_problems(cli, problems, count, dry_run, failed);
}

int cli_coordinator_options(struct cli *cli, const struct invocation *invocation, const char *subject,
                            struct coordinator_options *out)
{
    const char *config = invocation_value(invocation, "config");
    char path[PATH_MAX];
    struct err err = {0};

    if (!config)
        return cli_fail(cli, EXIT_USAGE, subject, NULL, "say which brokers: --config FILE (the coordinator's)");
    if (!realpath(config, path))
        return cli_fail(cli, EXIT_USAGE, subject, NULL, "cannot read %s", config);
    return coordinator_options_load(path, NULL, out, &err) < 0 ? cli_fail_err(cli, EXIT_USAGE, subject, &err) : 0;
}

int run_topic_init(struct cli *cli, const struct invocation *invocation)
{
    struct coordinator_options options = {0};
    int code = cli_coordinator_options(cli, invocation, "topic init", &options);

    if (code)
        return code;
    code = init(cli, &options, invocation_has(invocation, "dry-run"));
    coordinator_options_free(&options);
    return code;
}
