#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/show.h"

#include <stdlib.h>
#include <string.h>

static int fetch(struct cli *cli, const struct invocation *invocation, json_t **out)
{
    struct text path = {0};
    char since[48];
    int64_t limit;
    int code = when_text(cli, "dlq list", invocation_value(invocation, "since"), since, sizeof since);

    code = code ? code : limit_of(cli, "dlq list", invocation, 50, &limit);
    if (code)
        return code;
    text_add(&path, "/v1/dlq");
    call_query(&path, "since", *since ? since : NULL);
    code = call_list(cli, "dlq list", limit, out, "%s", text_str(&path));
    text_free(&path);
    return code;
}

int run_dlq_list(struct cli *cli, const struct invocation *invocation)
{
    static const struct table_column columns[] = {{"DLQ", 0},
                                                  {"AT", 0},
                                                  {"TOPIC", COLUMN_SHRINK},
                                                  {"OFFSET", COLUMN_RIGHT},
                                                  {"BY", COLUMN_SHRINK},
                                                  {"REASON", COLUMN_SHRINK}};
    json_t *letters = NULL, *letter;
    struct table table;
    size_t index;
    char time[48];

    int code = fetch(cli, invocation, &letters);
    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, letters), json_decref(letters), EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(letters, index, letter)
    {
        table_cellf(&table, "%lld %lld", (long long)member_int(letter, "dlq_partition"),
                    (long long)member_int(letter, "dlq_offset"));
        table_cell(&table, show_time(cli, letter, "at", time, sizeof time));
        table_cellf(&table, "%s[%lld]", member_text(letter, "topic"), (long long)member_int(letter, "partition"));
        table_cellf(&table, "%lld", (long long)member_int(letter, "offset"));
        table_cell(&table, member_text(letter, "by"));
        table_cell(&table, member_text(letter, "reason"));
    }
    show_table(cli, &table, "no dead letters: what came could be read and trusted");
    table_free(&table);
    json_decref(letters);
    return EXIT_DONE;
}

static void show_headers(struct cli *cli, const json_t *letter)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(letter, "headers"), key, value)
        show_pair(cli, key, "%s", json_string_value(value) ? json_string_value(value) : "");
}

int run_dlq_show(struct cli *cli, const struct invocation *invocation)
{
    struct text path = {0};
    json_t *letter = NULL;
    char time[48];

    text_add(&path, "/v1/dlq");
    call_path(&path, invocation_argument(invocation, "PARTITION"));
    call_path(&path, invocation_argument(invocation, "OFFSET"));
    int code = call_get(cli, "dlq show", &letter, "%s", text_str(&path));
    text_free(&path);
    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, letter), json_decref(letter), EXIT_DONE;
    fprintf(cli->out, "%s[%lld]@%lld: %s\n", member_text(letter, "topic"), (long long)member_int(letter, "partition"),
            (long long)member_int(letter, "offset"), member_text(letter, "reason"));
    show_pair(cli, "put here by", "%s", member_text(letter, "by"));
    show_pair(cli, "at", "%s", show_time(cli, letter, "at", time, sizeof time));
    show_headers(cli, letter);
    show_pair(cli, "key", "%s", show_or(member_text(letter, "key"), "–"));
    show_pair(cli, "value", "%s", show_or(member_text(letter, "value"), "–"));
    json_decref(letter);
    return EXIT_DONE;
}
