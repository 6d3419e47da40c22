#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/show.h"

#include <string.h>

enum { LISTED = 20 };

/* "27h", "–" */
static char *age_text(const json_t *object, const char *member, char *out, size_t size)
{
    if (json_is_integer(json_object_get(object, member)))
        return format_duration(member_int(object, member) / 60000 * 60000, out, size);
    snprintf(out, size, "–");
    return out;
}

static void add_subject(struct cli *cli, struct table *table, const json_t *subject, const char *name)
{
    char text[48];

    table_cell(table, name);
    table_cellf(table, "%lld", (long long)member_int(subject, "targets"));
    table_cellf(table, "%lld", (long long)member_int(subject, "restorable"));
    table_cell(table, age_text(subject, "worst_age_ms", text, sizeof text));
    table_cell(table, show_or(member_text(subject, "worst_target"), "–"));
    table_cell(table, age_text(subject, "worst_gap_ms", text, sizeof text));
    table_cellf(table, "%lld%s", (long long)member_int(subject, "late"), member_int(subject, "late") ? " !" : "");
    table_cell(table, show_time(cli, subject, "last_verified_at", text, sizeof text));
    table_cellf(table, "%lld", (long long)member_int(subject, "failures"));
}

static void print_subjects(struct cli *cli, const json_t *report)
{
    static const struct table_column columns[] = {
        {"POLICY", COLUMN_SHRINK},    {"TARGETS", COLUMN_RIGHT},
        {"RESTORABLE", COLUMN_RIGHT}, {"OLDEST", 0},
        {"OF", COLUMN_SHRINK},        {"WORST GAP", COLUMN_DROP},
        {"LATE", COLUMN_RIGHT},       {"LAST VERIFIED", COLUMN_DROP},
        {"FAILED", COLUMN_RIGHT},
    };
    const json_t *policy;
    struct table table;
    size_t index;

    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(json_object_get(report, "policies"), index, policy)
        add_subject(cli, &table, policy, member_text(policy, "name"));
    add_subject(cli, &table, json_object_get(report, "fleet"), "(all)");
    show_table(cli, &table, "");
    table_free(&table);
}

static void print_causes(struct cli *cli, const json_t *fleet)
{
    const json_t *cause;
    size_t index;

    if (!json_array_size(json_object_get(fleet, "causes")))
        return;
    fprintf(cli->out, "\nWhat failed\n");
    json_array_foreach(json_object_get(fleet, "causes"), index, cause)
        fprintf(cli->out, "%5lld  %s\n", (long long)member_int(cause, "count"), member_text(cause, "cause"));
}

/* The targets that should not be as they are; with -v all. */
static void print_targets(struct cli *cli, const json_t *report)
{
    static const struct table_column columns[] = {
        {"TARGET", COLUMN_SHRINK}, {"HOST", COLUMN_SHRINK}, {"AGE", 0}, {"VERIFIED", COLUMN_DROP}, {"PROTECTION", 0}};
    const json_t *target;
    struct table table;
    size_t index, listed = 0, more = 0;
    char text[48];

    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(json_object_get(report, "targets"), index, target)
    {
        bool fine = strcmp(member_text(target, "protection"), "protected") == 0;
        if (!cli->verbose && (fine || listed == LISTED)) {
            more += !fine;
            continue;
        }
        listed++;
        table_cell(&table, member_text(target, "name"));
        table_cell(&table, member_text(target, "host"));
        table_cell(&table, age_text(target, "age_ms", text, sizeof text));
        table_cell(&table, show_time(cli, target, "verified_at", text, sizeof text));
        table_cell(&table, member_text(target, "protection"));
    }
    if (listed) {
        fprintf(cli->out, "\n");
        show_table(cli, &table, "");
    }
    if (more)
        fprintf(cli->out, "and %zu more: fleetsnap report -v\n", more);
    table_free(&table);
}

int run_report(struct cli *cli, const struct invocation *invocation)
{
    struct text path = {0};
    json_t *report = NULL;
    char since[48];
    int code = when_text(cli, "report", invocation_value(invocation, "since"), since, sizeof since);

    if (code)
        return code;
    text_add(&path, "/v1/report");
    call_query(&path, "since", *since ? since : NULL);
    code = call_get(cli, "report", &report, "%s", text_str(&path));
    text_free(&path);
    if (code)
        return code;
    if (cli->json) {
        cli_print_json(cli, report);
    } else {
        const json_t *fleet = json_object_get(report, "fleet");
        print_subjects(cli, report);
        if (member_int(fleet, "unprotected"))
            fprintf(cli->out, "%lld of %lld targets are backed up by no policy: fleetsnap targets --unprotected\n",
                    (long long)member_int(fleet, "unprotected"), (long long)member_int(fleet, "targets"));
        print_causes(cli, fleet);
        print_targets(cli, report);
    }
    json_decref(report);
    return EXIT_DONE;
}
