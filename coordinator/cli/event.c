#include "coordinator/cli/event.h"

#include "base/cleanup.h"
#include "coordinator/cli/show.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void clock_text(const struct cli *cli, int64_t ms, bool with_date, char *out, size_t size)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char text[32];

    if (cli->utc)
        gmtime_r(&seconds, &parts);
    else
        localtime_r(&seconds, &parts);
    strftime(text, sizeof text, with_date ? "%F %T" : "%T", &parts);
    snprintf(out, size, "%s.%03d", text, (int)(ms % 1000));
}

static void event_detail(const struct cli *cli, const json_t *event, char *out, size_t size)
{
    const char *state = member_text(event, "state"), *error = member_text(json_object_get(event, "error"), "text");
    int64_t token = member_int(event, "token");

    if (*error)
        snprintf(out, size, "%s", error);
    else if (strcmp(state, "WAITING") == 0)
        snprintf(out, size, "%s", member_text(event, "waiting"));
    else if (strcmp(state, "RUNNING") == 0 && cli->verbose && token)
        snprintf(out, size, "%s  token %lld.%lld, attempt %lld", member_text(event, "phase"), (long long)(token >> 32),
                 (long long)(token & 0xffffffff), (long long)member_int(event, "attempt"));
    else if (strcmp(state, "RUNNING") == 0)
        snprintf(out, size, "%s", member_text(event, "phase"));
    else
        snprintf(out, size, "%s%s", member_text(event, "note"), member_text(event, "resolved"));
}

void event_print(struct cli *cli, const json_t *event, enum event_style style)
{
    char at[48], detail[600];

    clock_text(cli, member_time(event, "at"), style == EVENT_OF_ANY_DAY, at, sizeof at);
    event_detail(cli, event, detail, sizeof detail);
    if (style == EVENT_OF_JOB) {
        fprintf(cli->out, "  %s  %-9s  %s\n", at, member_text(event, "state"), detail);
        return;
    }
    CLEANUP(freep) char *plain = text_plain(detail), *target = text_plain(show_target(event));
    fprintf(cli->out, "%s  %.8s  %-15s  %-16s  %-9s  %s\n", at, member_text(event, "job_id"), member_text(event, "op"),
            target ? target : "", member_text(event, "state"), plain ? plain : "");
}
