#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/show.h"

#include <string.h>

/* The token alone on standard output, so that `> file` holds nothing else. */
int run_token_create(struct cli *cli, const struct invocation *invocation)
{
    const char *name = invocation_argument(invocation, "NAME"), *role = invocation_value(invocation, "role");
    json_t *answer = NULL;

    if (!role)
        return cli_fail(cli, EXIT_USAGE, "token create", NULL, "say what it may do: --role viewer|operator|admin");
    if (invocation_has(invocation, "dry-run"))
        return fprintf(cli->out, "token %s with role %s would be made; nothing has been changed.\n", name, role),
               EXIT_DONE;
    json_t *body = json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:b}", "name", name, "role", role, "selector",
                             invocation_value(invocation, "selector"), "classes",
                             invocation_value(invocation, "classes"), "expires_in",
                             invocation_value(invocation, "expires-in"), "topics", invocation_has(invocation, "topics"));
    int code = call_change(cli, "token create", "POST", "/v1/tokens", body, invocation_value(invocation, "request-id"),
                           &answer);
    if (code == 0 && cli->json) {
        cli_print_json(cli, answer);
    } else if (code == 0) {
        fprintf(cli->out, "%s\n", member_text(answer, "token"));
        fprintf(cli->err,
                "This is the only time that it is shown. Keep it in a file of mode 0600: FLEETSNAP_TOKEN_FILE\n");
    }
    json_decref(body);
    json_decref(answer);
    return code;
}

int run_token_list(struct cli *cli, const struct invocation *invocation)
{
    static const struct table_column columns[] = {{"TOKEN", COLUMN_SHRINK},    {"ROLE", 0},    {"CLASSES", 0},
                                                  {"SELECTOR", COLUMN_SHRINK}, {"EXPIRES", 0}, {"BY", COLUMN_SHRINK}};
    json_t *tokens = NULL, *token;
    struct table table;
    size_t index;
    char time[48];

    (void)invocation;
    int code = call_list(cli, "tokens", 0, &tokens, "/v1/tokens");
    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, tokens), json_decref(tokens), EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(tokens, index, token)
    {
        bool ended = member_time(token, "expires_at") && member_time(token, "expires_at") <= cli_now(cli);
        table_cell(&table, member_text(token, "name"));
        table_cell(&table, member_text(token, "role"));
        table_cell(&table, member_text(token, "classes"));
        table_cell(&table, show_or(member_text(token, "selector"), "all"));
        table_cellf(&table, "%s%s",
                    member_time(token, "expires_at") ? show_time(cli, token, "expires_at", time, sizeof time) : "never",
                    ended ? " !" : "");
        table_cell(&table, show_or(member_text(token, "by"), "–"));
    }
    show_table(cli, &table, "no tokens but the bootstrap one");
    table_free(&table);
    json_decref(tokens);
    return EXIT_DONE;
}

int run_token_revoke(struct cli *cli, const struct invocation *invocation)
{
    const char *name = invocation_argument(invocation, "NAME");
    struct text path = {0};
    json_t *answer = NULL;

    if (invocation_has(invocation, "dry-run"))
        return fprintf(cli->out, "token %s would end at once; nothing has been changed.\n", name), EXIT_DONE;
    text_add(&path, "/v1/tokens");
    call_path(&path, name);
    int code = call_change(cli, "token revoke", "DELETE", text_str(&path), NULL,
                           invocation_value(invocation, "request-id"), &answer);
    text_free(&path);
    if (code == 0 && cli->json)
        cli_print_json(cli, answer);
    else if (code == 0)
        fprintf(cli->out, "token %s has ended\n", name);
    json_decref(answer);
    return code;
}
