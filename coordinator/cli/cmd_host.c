#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/enroll.h"
#include "coordinator/cli/show.h"

#include <stdlib.h>
#include <string.h>

static const char *state_of(const json_t *host)
{
    const char *status = member_text(host, "status");

    return strcmp(status, "silent") == 0 ? "silent !" : strcmp(status, "unseen") == 0 ? "never seen" : status;
}

int run_host_list(struct cli *cli, const struct invocation *invocation)
{
    static const struct table_column columns[] = {{"HOST", COLUMN_SHRINK},    {"STATE", 0},
                                                  {"BACKEND", COLUMN_SHRINK}, {"RUNNING", COLUMN_RIGHT},
                                                  {"WAITING", COLUMN_RIGHT},  {"OPEN", COLUMN_RIGHT | COLUMN_DROP},
                                                  {"HEARTBEAT", COLUMN_RIGHT}};
    struct text path = {0};
    json_t *hosts = NULL, *host;
    struct table table;
    size_t index;
    char age[32];

    text_add(&path, "/v1/hosts");
    call_query(&path, "state", invocation_value(invocation, "state"));
    int code = call_list(cli, "hosts", 0, &hosts, "%s", text_str(&path));
    text_free(&path);
    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, hosts), json_decref(hosts), EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(hosts, index, host)
    {
        table_cell(&table, member_text(host, "host"));
        table_cell(&table, state_of(host));
        table_cell(&table, show_or(member_text(json_array_get(json_object_get(host, "backends"), 0), "version"), "–"));
        table_cellf(&table, "%lld", (long long)member_int(host, "running"));
        table_cellf(&table, "%lld", (long long)member_int(host, "waiting"));
        table_cellf(&table, "%lld", (long long)member_int(host, "open_jobs"));
        table_cell(&table, show_age(cli, host, "heartbeat_at", age, sizeof age));
    }
    show_table(cli, &table, "no host is enrolled: fleetsnap host enroll NAME --out DIR");
    table_free(&table);
    json_decref(hosts);
    return EXIT_DONE;
}

/* "main  /backup/main  76 GiB free of 252 GiB", "/backup  ! no repository: not made yet, or not mounted" */
static void describe_place(const json_t *place, struct text *out)
{
    const char *name = member_text(place, "name"), *path = member_text(place, "path");
    int64_t total = member_int(place, "total_bytes");
    char left[32], size[32];

    if (strcmp(name, path) != 0)
        text_addf(out, "%s  ", name);
    text_add(out, path);
    if (total > 0)
        text_addf(out, "  %s free of %s", show_size(member_int(place, "free_bytes"), left, sizeof left),
                  show_size(total, size, sizeof size));
    if (!member_true(place, "ok"))
        text_addf(out, "  ! %s",
                  *member_text(place, "id") ? show_or(member_text(place, "text"), "not usable")
                                            : "no repository: not made yet, or not mounted");
}

static void show_places(struct cli *cli, const json_t *host, const char *member, const char *title)
{
    const json_t *place;
    size_t index;

    json_array_foreach(json_object_get(host, member), index, place)
    {
        CLEANUP(text_free) struct text line = {0};
        describe_place(place, &line);
        show_pair(cli, index ? "" : title, "%s", text_str(&line));
    }
}

static void show_host(struct cli *cli, const json_t *host)
{
    const json_t *backend;
    size_t index;
    char text[48];

    fprintf(cli->out, "host %s  %s\n", member_text(host, "host"), state_of(host));
    show_pair(cli, "version", "%s", show_or(member_text(host, "version"), "–"));
    json_array_foreach(json_object_get(host, "backends"), index, backend)
    {
        bool ok = member_true(backend, "ok");
        show_pair(cli, index ? "" : "backends", "%s  %s  %s%s%s", member_text(backend, "kind"),
                  member_text(backend, "version"), member_text(backend, "uri"), ok ? "" : "  ! ",
                  ok ? "" : member_text(backend, "text"));
    }
    show_places(cli, host, "repositories", "repositories");
    show_places(cli, host, "pools", "pools");
    show_pair(cli, "jobs", "%lld running, %lld waiting, %lld parked, %lld executors",
              (long long)member_int(host, "running"), (long long)member_int(host, "waiting"),
              (long long)member_int(host, "parked"), (long long)member_int(host, "executors"));
    show_pair(cli, "journal", "%s", show_size(member_int(host, "journal_bytes"), text, sizeof text));
    show_pair(cli, "clock", "%+lld ms", (long long)member_int(host, "clock_skew_ms"));
    show_pair(cli, "started", "%s", show_time(cli, host, "started_at", text, sizeof text));
    show_pair(cli, "heartbeat", "%s", show_time(cli, host, "heartbeat_at", text, sizeof text));
    if (cli->verbose)
        show_pair(cli, "instance", "%s, journal %s", member_text(host, "instance"), member_text(host, "journal"));
}

static char *host_path(const struct invocation *invocation, const char *verb)
{
    struct text path = {0};

    text_add(&path, "/v1/hosts");
    call_path(&path, invocation_argument(invocation, "HOST"));
    text_addf(&path, "%s%s", *verb ? "/" : "", verb);
    return text_take(&path);
}

int run_host_show(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(freep) char *path = host_path(invocation, "");
    json_t *host = NULL;

    int code = call_get(cli, "host show", &host, "%s", path);
    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, host);
    else
        show_host(cli, host);
    json_decref(host);
    return EXIT_DONE;
}

static int change(struct cli *cli, const struct invocation *invocation, const char *verb, const char *would,
                  const char *done)
{
    CLEANUP(freep) char *path = host_path(invocation, verb);
    const char *host = invocation_argument(invocation, "HOST"), *reason = invocation_value(invocation, "reason");
    json_t *answer = NULL;

    if (invocation_has(invocation, "dry-run"))
        return fprintf(cli->out, "host %s %s; nothing has been changed.\n", host, would), EXIT_DONE;
    json_t *body = json_pack("{s:s*}", "reason", reason);
    int code = call_change(cli, "host", "POST", path, body, invocation_value(invocation, "request-id"), &answer);
    if (code == 0 && cli->json)
        cli_print_json(cli, answer);
    else if (code == 0)
        fprintf(cli->out, "host %s %s\n", host, done);
    json_decref(body);
    json_decref(answer);
    return code;
}

int run_host_drain(struct cli *cli, const struct invocation *invocation)
{
    return change(cli, invocation, "drain", "would finish what it has and take no new jobs",
                  "drains: it finishes what it has and takes no new jobs");
}

int run_host_resume(struct cli *cli, const struct invocation *invocation)
{
    return change(cli, invocation, "resume", "would take jobs again", "takes jobs again");
}

/* "2 open jobs end as EXPIRED, 3 snapshots are gone" */
static int describe_loss(struct cli *cli, const char *what, const char *path, const char *host, struct text *out)
{
    CLEANUP(text_free) struct text query = {0};
    json_t *known = NULL, *snapshots = NULL;

    text_add(&query, "/v1/points?kind=snapshot");
    call_query(&query, "host", host);
    int code = call_get(cli, what, &known, "%s", path);
    if (code == 0)
        code = call_list(cli, what, 0, &snapshots, "%s", text_str(&query));
    if (code == 0)
        text_addf(out, "%lld open jobs end as EXPIRED, %zu snapshots are gone with it",
                  (long long)member_int(known, "open_jobs"), json_array_size(snapshots));
    json_decref(known);
    json_decref(snapshots);
    return code;
}

int confirm_departure(struct cli *cli, const struct invocation *invocation, const char *what, const char *becomes)
{
    const char *host = invocation_argument(invocation, "HOST");
    CLEANUP(freep) char *path = host_path(invocation, "");
    CLEANUP(text_free) struct text lost = {0};
    char line[16] = "";

    int code = describe_loss(cli, what, path, host, &lost);
    if (code)
        return code;
    if (invocation_has(invocation, "dry-run")) {
        fprintf(cli->out, "host %s %s: its keys end, %s, its backups stay. Nothing has been changed.\n", host, becomes,
                text_str(&lost));
        return EXIT_DONE;
    }
    if (invocation_has(invocation, "yes"))
        return EXIT_DONE;
    if (!cli->in_terminal || !cli->err_terminal)
        return cli_fail(cli, EXIT_USAGE, what, "Say --yes", "host %s %s, and nobody can be asked here", host, becomes);
    fprintf(cli->err, "Host %s %s: its keys end, %s, its backups stay. Do it? [y/N] ", host, becomes, text_str(&lost));
    fflush(cli->err);
    if (fgets(line, sizeof line, cli->in) && (*line == 'y' || *line == 'Y'))
        return EXIT_DONE;
    return cli_fail(cli, EXIT_DECLINED, what, NULL, "not done; nothing was changed");
}

int run_host_remove(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(freep) char *path = host_path(invocation, "");
    CLEANUP(freep) char *full = NULL;
    const char *host = invocation_argument(invocation, "HOST");
    json_t *answer = NULL;

    int code = confirm_departure(cli, invocation, "host remove", "leaves the fleet");
    if (code || invocation_has(invocation, "dry-run"))
        return code;
    if (asprintf(&full, "%s%s", path, invocation_has(invocation, "force") ? "?force=true" : "") < 0)
        return full = NULL, cli_fail(cli, EXIT_FAILED, "host remove", NULL, "out of memory");
    code = call_change(cli, "host remove", "DELETE", full, NULL, invocation_value(invocation, "request-id"), &answer);
    if (code == 0 && cli->json)
        cli_print_json(cli, answer);
    else if (code == 0)
        fprintf(cli->out, "host %s has left the fleet\n", host);
    json_decref(answer);
    return code;
}
