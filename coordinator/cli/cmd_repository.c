#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/text.h"
#include "base/uuid.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/http.h"
#include "coordinator/cli/job_end.h"
#include "coordinator/cli/show.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LISTED_MS = 5000 };

static int check(struct cli *cli, const struct invocation *invocation, int64_t *percent)
{
    const char *path = invocation_value(invocation, "path"), *value = invocation_value(invocation, "min-free-percent");
    struct err err = {0};

    *percent = -1;
    if (!invocation_value(invocation, "host"))
        return cli_fail(cli, EXIT_USAGE, "repository init", NULL, "say on which host: --host HOST");
    if (!path)
        return cli_fail(cli, EXIT_USAGE, "repository init", NULL, "say where: --path DIR");
    if (*path != '/')
        return cli_fail(cli, EXIT_USAGE, "repository init", NULL,
                        "--path: \"%s\" is not absolute; it is a directory on the host", path);
    if (value && parse_int(value, 0, 90, percent, &err) < 0)
        return err_wrap(&err, "--min-free-percent"), cli_fail_err(cli, EXIT_USAGE, "repository init", &err);
    return 0;
}

/* The list is what hosts reported last, a moment behind the end of a job; who has made one uses it in the next line. */
static void wait_until_listed(struct cli *cli, const char *name)
{
    struct text path = {0};
    int64_t until_ms = clock_monotonic_ms() + LISTED_MS;
    bool listed = false;

    text_add(&path, "/v1/repositories");
    call_path(&path, name);
    while (!listed && !cli_interrupted() && clock_monotonic_ms() < until_ms) {
        struct http_answer answer = {0};
        listed = http_request(cli_http(cli), "GET", text_str(&path), NULL, NULL, &answer, NULL) == 0 &&
                 answer.status != 404;
        http_answer_clear(&answer);
        if (!listed)
            nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
    }
    text_free(&path);
}

int run_repository_init(struct cli *cli, const struct invocation *invocation)
{
    const char *id = invocation_value(invocation, "request-id");
    char random[UUID_TEXT];
    int64_t percent;
    json_t *accepted = NULL;
    int code = check(cli, invocation, &percent);

    if (code)
        return code;
    uuid_random(random);
    json_t *body = json_pack("{s:s, s:s, s:s, s:b, s:s*}", "name", invocation_argument(invocation, "NAME"), "host",
                             invocation_value(invocation, "host"), "path", invocation_value(invocation, "path"),
                             "dry_run", invocation_has(invocation, "dry-run"), "reason",
                             invocation_value(invocation, "reason"));
    if (percent >= 0)
        json_object_set_new(body, "min_free_percent", json_integer(percent));
    code = call_change(cli, "repository init", "POST", "/v1/repositories", body, id ? id : random, &accepted);
    if (code == 0)
        code = job_finish(cli, "repository init", accepted, NULL, invocation_has(invocation, "no-wait"));
    if (code == 0 && !invocation_has(invocation, "no-wait") && !invocation_has(invocation, "dry-run"))
        wait_until_listed(cli, invocation_argument(invocation, "NAME"));
    json_decref(body);
    json_decref(accepted);
    return code;
}

static void add_row(struct table *table, const json_t *repository, const json_t *place)
{
    char left[32], size[32];

    table_cell(table, member_text(repository, "name"));
    table_cell(table, show_or(member_text(place, "host"), "–"));
    table_cell(table, show_or(member_text(place, "path"), "–"));
    table_cell(table, show_size(member_int(place, "free_bytes"), left, sizeof left));
    table_cellf(table, "%lld", (long long)member_int(repository, "points"));
    table_cell(table, show_size(member_int(repository, "size_bytes"), size, sizeof size));
    table_cell(table, !place                     ? "no host has it"
                      : member_true(place, "ok") ? "ok"
                                                 : show_or(member_text(place, "text"), "not usable"));
}

static long long more_hosts(const json_t *repository)
{
    return member_int(repository, "host_count") - (long long)json_array_size(json_object_get(repository, "hosts"));
}

static void add_more(struct table *table, const json_t *repository)
{
    if (more_hosts(repository) <= 0)
        return;
    table_cell(table, member_text(repository, "name"));
    table_cellf(table, "… and %lld more hosts", more_hosts(repository));
    for (int i = 0; i < 5; i++)
        table_cell(table, "");
}

int run_repository_list(struct cli *cli, const struct invocation *invocation)
{
    static const struct table_column columns[] = {
        {"REPOSITORY", COLUMN_SHRINK}, {"HOST", COLUMN_SHRINK}, {"PATH", COLUMN_SHRINK}, {"FREE", COLUMN_RIGHT},
        {"BACKUPS", COLUMN_RIGHT},     {"SIZE", COLUMN_RIGHT},  {"STATE", COLUMN_SHRINK}};
    json_t *repositories = NULL, *repository, *place;
    struct table table;
    size_t index, i;

    (void)invocation;
    int code = call_list(cli, "repositories", 0, &repositories, "/v1/repositories");
    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, repositories), json_decref(repositories), EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(repositories, index, repository)
    {
        json_array_foreach(json_object_get(repository, "hosts"), i, place) add_row(&table, repository, place);
        if (json_array_size(json_object_get(repository, "hosts")) == 0)
            add_row(&table, repository, NULL);
        add_more(&table, repository);
    }
    show_table(cli, &table, "no repository yet: fleetsnap repository init NAME --host HOST --path DIR");
    table_free(&table);
    json_decref(repositories);
    return EXIT_DONE;
}

static int by_size(const void *left, const void *right)
{
    int64_t a = member_int(*(json_t *const *)left, "size_bytes"), b = member_int(*(json_t *const *)right, "size_bytes");

    return a < b ? 1 : a > b ? -1 : 0;
}

static void add_chain(struct cli *cli, struct table *table, const json_t *chain)
{
    char from[48], to[48], size[32];

    table_cellf(table, "%.8s", member_text(chain, "chain"));
    table_cell(table, show_target(chain));
    table_cellf(table, "%lld", (long long)member_int(chain, "points"));
    table_cell(table, show_time(cli, chain, "oldest", from, sizeof from));
    table_cell(table, show_time(cli, chain, "newest", to, sizeof to));
    table_cell(table, show_size(member_int(chain, "size_bytes"), size, sizeof size));
    table_cell(table, member_true(chain, "deletable") ? "" : "the machine's newest");
}

/* What each chain would free, most first. */
static void show_chains(struct cli *cli, const json_t *chains)
{
    static const struct table_column columns[] = {
        {"CHAIN", 0}, {"TARGET", COLUMN_SHRINK},    {"BACKUPS", COLUMN_RIGHT}, {"FROM", COLUMN_DROP},
        {"TO", 0},    {"WOULD FREE", COLUMN_RIGHT}, {"", COLUMN_SHRINK}};
    size_t count = json_array_size(chains), shown = cli->verbose || count < 20 ? count : 20;
    CLEANUP(freep) json_t **sorted = calloc(count + 1, sizeof(json_t *));
    struct table table;

    if (!count || !sorted)
        return;
    for (size_t i = 0; i < count; i++)
        sorted[i] = json_array_get(chains, i);
    qsort(sorted, count, sizeof *sorted, by_size);
    table_init(&table, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < shown; i++)
        add_chain(cli, &table, sorted[i]);
    show_table(cli, &table, "no chains");
    table_free(&table);
    if (shown < count)
        fprintf(cli->out, "… and %zu more: -v\n", count - shown);
}

static void show_bandwidth(struct cli *cli, const json_t *bandwidth)
{
    char limit[32], each[32];
    int64_t running = member_int(bandwidth, "running");

    format_size(member_int(bandwidth, "limit"), limit, sizeof limit);
    if (bandwidth && running)
        show_pair(cli, "limit", "%s/s for all backups; %lld run, each at most %s/s", limit, (long long)running,
                  format_size(member_int(bandwidth, "each"), each, sizeof each));
    else if (bandwidth)
        show_pair(cli, "limit", "%s/s for all backups; none runs", limit);
}

static void show_repository(struct cli *cli, const json_t *repository)
{
    const json_t *place;
    size_t index;
    char a[32], b[32], c[32];

    fprintf(cli->out, "repository %s\n", member_text(repository, "name"));
    show_pair(cli, "id", "%s", member_text(repository, "id"));
    show_pair(cli, "backups", "%lld, %s", (long long)member_int(repository, "points"),
              show_size(member_int(repository, "size_bytes"), a, sizeof a));
    json_array_foreach(json_object_get(repository, "hosts"), index, place)
        show_pair(cli, index ? "" : "hosts", "%s  %s  %s free of %s, keeps %s  %s", member_text(place, "host"),
                  member_text(place, "path"), show_size(member_int(place, "free_bytes"), a, sizeof a),
                  show_size(member_int(place, "total_bytes"), b, sizeof b),
                  show_size(member_int(place, "min_free_bytes"), c, sizeof c),
                  member_true(place, "ok") ? "ok" : show_or(member_text(place, "text"), "not usable"));
    if (more_hosts(repository) > 0)
        show_pair(cli, "", "… and %lld more hosts", more_hosts(repository));
    show_bandwidth(cli, json_object_get(repository, "bandwidth"));
    show_chains(cli, json_object_get(repository, "chains"));
}

int run_repository_show(struct cli *cli, const struct invocation *invocation)
{
    struct text path = {0};
    json_t *repository = NULL;

    text_add(&path, "/v1/repositories");
    call_path(&path, invocation_argument(invocation, "NAME"));
    int code = call_get(cli, "repository show", &repository, "%s", text_str(&path));
    text_free(&path);
    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, repository);
    else
        show_repository(cli, repository);
    json_decref(repository);
    return EXIT_DONE;
}

/* ---- backup set-default ---- */

static int show_defaults(struct cli *cli)
{
    static const struct table_column columns[] = {
        {"FOR", COLUMN_SHRINK}, {"REPOSITORY", COLUMN_SHRINK}, {"BY", COLUMN_DROP}};
    json_t *defaults = NULL, *item;
    struct table table;
    size_t index;
    int code = call_list(cli, "backup set-default", 0, &defaults, "/v1/defaults");

    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, defaults), json_decref(defaults), EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(defaults, index, item)
    {
        table_cell(&table, *member_text(item, "name") ? member_text(item, "name") : member_text(item, "for"));
        table_cell(&table, member_text(item, "repository"));
        table_cell(&table, member_text(item, "by"));
    }
    show_table(cli, &table, "no defaults: fleetsnap backup set-default TARGET --repository NAME");
    table_free(&table);
    json_decref(defaults);
    return EXIT_DONE;
}

int run_backup_set_default(struct cli *cli, const struct invocation *invocation)
{
    const char *target = invocation_argument(invocation, "TARGET"), *selector = invocation_value(invocation, "selector"),
               *repository = invocation_value(invocation, "repository"),
               *id = invocation_value(invocation, "request-id");
    bool all = invocation_has(invocation, "all"), clear = invocation_has(invocation, "clear");
    json_t *answer = NULL;

    if (!target && !selector && !all && !repository && !clear)
        return show_defaults(cli);
    if ((target != NULL) + (selector != NULL) + all != 1)
        return cli_fail(cli, EXIT_USAGE, "backup set-default", NULL, "say for what: TARGET, -l SELECTOR or --all");
    if (!repository == !clear)
        return cli_fail(cli, EXIT_USAGE, "backup set-default", NULL, "say --repository NAME, or --clear");
    json_t *body = json_pack("{s:s*, s:s*, s:b, s:s*, s:b, s:s*}", "target", target, "selector", selector, "all", all,
                             "repository", repository, "clear", clear, "reason", invocation_value(invocation, "reason"));
    int code = call_change(cli, "backup set-default", "POST", "/v1/defaults", body, id, &answer);

    json_decref(body);
    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, answer);
    else
        fprintf(cli->out, clear ? "no default for %s any more\n" : "backups of %s go to %s when nobody says\n",
                target ? target : member_text(answer, "for"), member_text(answer, "repository"));
    json_decref(answer);
    return EXIT_DONE;
}
