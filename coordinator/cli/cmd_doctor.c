#include "base/cleanup.h"
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

/* "✘ host beta     no heartbeat for 4 min 12 s", and below it "→ what to do". */
static void print_check(struct cli *cli, const json_t *check)
{
    CLEANUP(freep) char *subject = text_plain(member_text(check, "subject"));
    CLEANUP(freep) char *text = text_plain(member_text(check, "text"));
    CLEANUP(freep) char *hint = text_plain(member_text(check, "hint"));
    size_t columns = text_columns(subject ? subject : ""), width = cli->out_terminal ? (size_t)cli->width : 0;

    fprintf(cli->out, "%s %s%*s ", mark(member_text(check, "status"), cli->colour), subject ? subject : "",
            (int)(columns < SUBJECT_COLUMNS ? SUBJECT_COLUMNS - columns : 0), "");
    text_wrap(cli->out, text ? text : "", SUBJECT_COLUMNS + 3, width);
    if (hint && *hint) {
        fprintf(cli->out, "%*s→ ", SUBJECT_COLUMNS + 3, "");
        text_wrap(cli->out, hint, SUBJECT_COLUMNS + 5, width);
    }
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
