#include "coordinator/cli/cli.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/config.h"
#include "coordinator/cli/http.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

void cli_interrupt(void)
{
    interrupted = 1;
}

static void on_signal(int number)
{
    (void)number;
    cli_interrupt();
}

void cli_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)SA_RESETHAND}; /* the second ^C ends the process */

    interrupted = 0;
    sigaction(SIGINT, &action, NULL);
}

bool cli_interrupted(void)
{
    return interrupted;
}

int64_t cli_now(const struct cli *cli)
{
    return cli->now_ms ? cli->now_ms : clock_real_ms();
}

int cli_fail(struct cli *cli, int code, const char *subject, const char *hint, const char *format, ...)
{
    va_list arguments;

    if (subject && *subject)
        fprintf(cli->err, "%s: ", subject);
    va_start(arguments, format);
    vfprintf(cli->err, format, arguments);
    va_end(arguments);
    fprintf(cli->err, "\n%s%s", hint && *hint ? hint : "", hint && *hint ? "\n" : "");
    return code;
}

int cli_fail_err(struct cli *cli, int code, const char *subject, const struct err *err)
{
    return cli_fail(cli, code, subject, err->hint, "%s", err->text);
}

struct http *cli_http(struct cli *cli)
{
    struct err err = {0};

    if (!cli->http && http_open(cli->url, cli->token, &cli->http, &err) < 0)
        cli_fail_err(cli, EXIT_USAGE, "fleetsnap", &err);
    return cli->http;
}

void cli_close(struct cli *cli)
{
    http_close(cli->http);
    if (cli->token)
        explicit_bzero(cli->token, strlen(cli->token));
    free(cli->token);
    free(cli->url);
    cli->http = NULL;
    cli->token = cli->url = NULL;
}

const char *member_text(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text ? text : "";
}

int64_t member_int(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

bool member_true(const json_t *object, const char *member)
{
    return json_is_true(json_object_get(object, member));
}

int64_t member_time(const json_t *object, const char *member)
{
    const char *text = member_text(object, member);
    int64_t ms = 0;

    return *text && parse_time(text, &ms, NULL) == 0 ? ms : 0;
}

void cli_print_json(struct cli *cli, const json_t *json)
{
    json_dumpf(json, cli->out, JSON_COMPACT | JSON_ENCODE_ANY);
    fputc('\n', cli->out);
    fflush(cli->out);
}

/* "fleetsnap snapshot create: unknown option --running …" */
static int usage(struct cli *cli, const struct invocation *invocation, const struct err *err)
{
    char subject[96] = "fleetsnap", name[64];

    if (invocation->command && invocation->command->run != run_help)
        snprintf(subject, sizeof subject, "fleetsnap %s", command_name(invocation->command, name, sizeof name));
    return cli_fail_err(cli, EXIT_USAGE, subject, err);
}

int cli_main(struct cli *cli, int argc, const char *const argv[])
{
    CLEANUP(freep) struct invocation *invocation = calloc(1, sizeof *invocation);
    struct err err = {0};

    if (!invocation)
        return cli_fail(cli, EXIT_FAILED, "fleetsnap", NULL, "out of memory");
    if (invocation_parse(argc, argv, invocation, &err) < 0)
        return usage(cli, invocation, &err);
    cli->json = invocation_has(invocation, "json");
    cli->utc = invocation_has(invocation, "utc");
    cli->verbose = invocation_has(invocation, "verbose");
    if (invocation_has(invocation, "help") && invocation->command->run != run_help)
        return help_command(cli, invocation->command);
    if (client_config_find(cli, invocation, &err) < 0)
        return cli_fail_err(cli, EXIT_USAGE, "fleetsnap", &err);
    return invocation->command->run(cli, invocation);
}
