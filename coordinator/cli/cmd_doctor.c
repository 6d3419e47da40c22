#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/table.h"

#include <string.h>

enum { SUBJECT_COLUMNS = 14 };

static const char *mark(const char *status, bool colour)
{
    if (strcmp(status, "ok") == 0)
        return colour ? "\033[32m✔\033[0m" : "✔";
    if (strcmp(status, "warn") == 0)
        return colour ? "\033[33m!\033[0m" : "!";
    return colour ? "\033[31m✘\033[0m" : "✘";
}

static void print_check(struct cli *cli, const json_t *check)
{
    const char *subject = member_text(check, "subject"), *hint = member_text(check, "hint");
    size_t columns = text_columns(subject);

    fprintf(cli->out, "%s %s%*s %s\n", mark(member_text(check, "status"), cli->colour), subject,
            (int)(columns < SUBJECT_COLUMNS ? SUBJECT_COLUMNS - columns : 0), "", member_text(check, "text"));
    if (*hint)
        fprintf(cli->out, "%*s→ %s\n", SUBJECT_COLUMNS + 3, "", hint);
}

/* Exit 1 when something is wrong; a warning alone is no failure. */
int run_doctor(struct cli *cli, const struct invocation *invocation)
{
    json_t *answer = NULL, *check;
    size_t index;

    (void)invocation;
    int code = call_get(cli, "doctor", &answer, "/v1/doctor");
    if (code)
        return code;
    code = member_true(answer, "ok") ? EXIT_DONE : EXIT_FAILED;
    if (cli->json) {
        cli_print_json(cli, answer);
    } else {
        json_array_foreach(json_object_get(answer, "checks"), index, check) print_check(cli, check);
    }
    json_decref(answer);
    return code;
}
