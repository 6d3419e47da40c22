#include "coordinator/cli/outcome.h"

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/cli.h"
#include "coordinator/cli/table.h"

#include <stdlib.h>
#include <string.h>

int outcome_exit(const char *state)
{
    static const struct {
        const char *state;
        int code;
    } codes[] = {{"SUCCEEDED", EXIT_DONE},     {"FAILED", EXIT_FAILED},    {"REJECTED", EXIT_FAILED},
                 {"CANCELLED", EXIT_DECLINED}, {"EXPIRED", EXIT_DECLINED}, {"PARKED", EXIT_UNKNOWN}};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].state, state) == 0)
            return codes[i].code;
    return EXIT_UNSEEN;
}

static const char *fact(const json_t *job, const char *name)
{
    return member_text(json_object_get(json_object_get(job, "result"), "facts"), name);
}

int outcome_code(const json_t *job)
{
    bool damaged = strcmp(member_text(job, "op"), "repository.check") == 0 &&
                   strtoll(fact(job, "damaged"), NULL, 10) > 0;
    int code = outcome_exit(member_text(job, "state"));

    return code == EXIT_DONE && damaged ? EXIT_FAILED : code;
}

static const char *target_name(const json_t *job)
{
    const json_t *target = json_object_get(job, "target");

    return *member_text(target, "name") ? member_text(target, "name") : member_text(target, "id");
}

/* The whole command with -v, else its first line; the other lines are XML or the like. */
static void print_command(struct cli *cli, FILE *out, const char *command, int indent)
{
    const char *line = command;

    do {
        size_t len = strcspn(line, "\n");
        if (line != command)
            fprintf(out, "\n%*s", indent, "");
        fprintf(out, "%.*s", (int)len, line);
        line += len + (line[len] == '\n');
    } while (cli->verbose && *line);
    if (*line)
        fputs(" …", out);
}

static int name_width(const json_t *steps)
{
    const json_t *step;
    size_t index, width = 8;

    json_array_foreach(steps, index, step)
    {
        size_t len = text_columns(member_text(step, "name"));
        width = len > width ? len : width;
    }
    return width > 30 ? 30 : (int)width;
}

static void print_step(struct cli *cli, FILE *out, size_t number, int width, const json_t *step)
{
    const char *lost = member_text(step, "lost");

    fprintf(out, " %2zu %-*s  ", number, width, member_text(step, "name"));
    print_command(cli, out, member_text(step, "command"), width + 6);
    if (*lost)
        fprintf(out, "   takes %s", lost);
    else if (cli->verbose && *member_text(step, "class"))
        fprintf(out, "   (class %s)", member_text(step, "class"));
    fputc('\n', out);
}

void plan_lost(const json_t *job, struct text *out)
{
    const json_t *item;
    size_t index;

    json_array_foreach(json_object_get(json_object_get(job, "result"), "lost"), index, item)
        text_addf(out, "%s%s", index ? "; " : "", json_string_value(item));
}

/* Of target.retire, planned or done: what virsh undefine will still find. */
static void print_in_the_way(FILE *out, const json_t *job)
{
    if (strcmp(member_text(job, "op"), "target.retire") != 0)
        return;
    if (*fact(job, "in_the_way"))
        fprintf(out, "Still in the way of virsh undefine: %s.\n", fact(job, "in_the_way"));
    else
        fprintf(out, "Nothing is in the way of virsh undefine.\n");
}

/* Of a revert or a restore in place: how long there is a way back. */
static void print_undo_for(FILE *out, const json_t *job)
{
    int64_t for_ms = strtoll(fact(job, "undo_for_ms"), NULL, 10);
    char text[32];

    if (for_ms > 0)
        fprintf(out, "Undo for %s: fleetsnap job undo\n", format_duration(for_ms, text, sizeof text));
    else if (for_ms < 0)
        fprintf(out, "Undo: fleetsnap job undo\n");
}

void plan_print(struct cli *cli, FILE *out, const json_t *job)
{
    const json_t *steps = json_object_get(json_object_get(job, "result"), "steps"), *step;
    size_t index;
    CLEANUP(text_free) struct text lost = {0};

    fprintf(out, "%s: would be done on %s, in this order; nothing has been changed.\n", target_name(job),
            member_text(job, "host"));
    int width = name_width(steps);
    json_array_foreach(steps, index, step) print_step(cli, out, index + 1, width, step);
    plan_lost(job, &lost);
    if (lost.len)
        fprintf(out, "Lost by it: %s.\n", text_str(&lost));
    else
        fprintf(out, "Nothing is lost by it.\n");
    print_in_the_way(out, job);
    print_undo_for(out, job);
}

static void add_fact(const json_t *job, const char *name, const char *label, bool bytes, struct text *out)
{
    char text[32];
    int64_t value = strtoll(fact(job, name), NULL, 10);

    if (value > 0)
        text_addf(out, ", %s%s", label,
                  bytes ? format_size(value, text, sizeof text) : format_duration(value, text, sizeof text));
}

static void add_level(const char *level, struct text *out)
{
    if (strcmp(level, "off") == 0)
        text_add(out, ", the guest was off");
    else if (strcmp(level, "memory") == 0)
        text_add(out, ", with memory");
    else if (*level)
        text_addf(out, ", %s-consistent", strcmp(level, "filesystem") == 0 ? "filesystem" : level);
}

void outcome_text(const json_t *job, struct text *out)
{
    int64_t begun = member_time(job, "started_at"), ended = member_time(job, "ended_at");
    char text[32];

    begun = begun ? begun : member_time(job, "issued_at");
    text_add(out, "done");
    if (begun && ended >= begun)
        text_addf(out, " in %s", format_duration(ended - begun, text, sizeof text));
    add_fact(job, "frozen_ms", "frozen ", false, out);
    add_fact(job, "paused_ms", "paused ", false, out);
    add_level(fact(job, "level"), out);
}

/* "backup 5f1e…  incremental, 1.3 GiB, chain of 4" */
static void print_point(struct cli *cli, const json_t *job)
{
    const char *point = member_text(json_object_get(job, "result"), "point"), *why = fact(job, "fallback_reason");
    struct text line = {0};

    if (!*point || strncmp(member_text(job, "op"), "backup.create", 13) != 0)
        return;
    text_addf(&line, "backup %s", point);
    if (*fact(job, "kind"))
        text_addf(&line, ", %s", fact(job, "kind"));
    add_fact(job, "size_bytes", "", true, &line);
    if (strtoll(fact(job, "chain_length"), NULL, 10) > 1)
        text_addf(&line, ", chain of %s", fact(job, "chain_length"));
    if (*why)
        text_addf(&line, "; full because %s", why);
    fprintf(cli->out, "%s\n", text_str(&line));
    text_free(&line);
}

/* ---- repository.check, clean, import, remove ---- */

static void print_findings(struct cli *cli, const json_t *job)
{
    const json_t *findings = json_object_get(json_object_get(job, "result"), "findings"), *finding;
    const char *hint = "";
    size_t index;
    char size[32];

    json_array_foreach(findings, index, finding)
    {
        fprintf(cli->out, "%-8s  %s\n          %s%s%s%s\n", member_text(finding, "kind"), member_text(finding, "path"),
                member_text(finding, "text"), member_int(finding, "bytes") ? " (" : "",
                member_int(finding, "bytes") ? format_size(member_int(finding, "bytes"), size, sizeof size) : "",
                member_int(finding, "bytes") ? ")" : "");
        if (*member_text(finding, "hint") && strcmp(member_text(finding, "hint"), hint) != 0)
            fprintf(cli->out, "          → %s\n", hint = member_text(finding, "hint"));
    }
    if (member_true(json_object_get(job, "result"), "truncated"))
        fprintf(cli->out, "… %s in all\n", fact(job, "found"));
}

static void add_count(const json_t *job, const char *name, const char *what, bool plural, struct text *out)
{
    int64_t count = strtoll(fact(job, name), NULL, 10);

    if (count > 0)
        text_addf(out, "%s%lld %s%s", out->len ? ", " : "", (long long)count, what, plural && count > 1 ? "s" : "");
}

/* "41 backups, 418 GiB; 2 damaged, 1 left" */
static void print_repository(struct cli *cli, const json_t *job)
{
    CLEANUP(text_freep) struct text line = {0};

    if (strncmp(member_text(job, "op"), "repository.", 11) != 0)
        return;
    print_findings(cli, job);
    add_count(job, "targets", "machine", true, &line);
    add_count(job, "points", "backup", true, &line);
    add_fact(job, "size_bytes", "", true, &line);
    add_count(job, "damaged", "damaged", false, &line);
    add_count(job, "busy", "being written", false, &line);
    add_count(job, "unhashed", "without a checksum yet", false, &line);
    add_count(job, "removed", "removed", false, &line);
    add_fact(job, "freed_bytes", "freed ", true, &line);
    add_count(job, "left", "left: their jobs have not ended, or are not known", false, &line);
    add_count(job, "more", "more: run it again", false, &line);
    if (line.len)
        fprintf(cli->out, "%s\n", text_str(&line));
}

/* "the next one may count from it": an export is known by its job; a check says what the hypervisor does. */
static void print_export(struct cli *cli, const json_t *job)
{
    const char *op = member_text(job, "op"), *found = fact(job, "export");

    if (strcmp(op, "target.export") == 0 && *fact(job, "checkpoint"))
        fprintf(cli->out, "checkpoint kept: fleetsnap target export %s --kind incremental --parent %.8s\n",
                target_name(job), member_text(job, "job_id"));
    if (strcmp(found, "runs") == 0)
        fprintf(cli->out, "the export of job %.8s runs, and no job watches it: --how done or --how cancel\n",
                fact(job, "job"));
    else if (strcmp(found, "none") == 0)
        fprintf(cli->out, "nothing of ours is exported\n");
}

static void print_way_back(struct cli *cli, const json_t *job)
{
    int64_t until_ms = strtoll(fact(job, "kept_until"), NULL, 10);
    char time[48];

    if (!*fact(job, "undo_for_ms"))
        return;
    fprintf(cli->out, "Undo%s%s: fleetsnap job undo %.8s\n", until_ms < INT64_MAX ? " until " : "",
            until_ms < INT64_MAX ? format_time(until_ms, cli->utc, time, sizeof time) : "", member_text(job, "job_id"));
}

static void print_success(struct cli *cli, const json_t *job, const char *phases)
{
    struct text text = {0};

    if (*fact(job, "steps"))
        phases = fact(job, "steps");
    if (strncmp(member_text(job, "op"), "repository.", 11) ==
        0) /* a step for each machine or thing: what came of it is below */
        phases = "";
    outcome_text(job, &text);
    fprintf(cli->out, "%s on %s  %s%s%s\n", target_name(job), member_text(job, "host"), phases, *phases ? "   " : "",
            text_str(&text));
    print_point(cli, job);
    print_repository(cli, job);
    print_export(cli, job);
    if (strcmp(member_text(job, "op"), "snapshot.create") == 0 && *fact(job, "name"))
        fprintf(cli->out, "snapshot %s\n", fact(job, "name"));
    print_in_the_way(cli->out, job);
    print_way_back(cli, job);
    text_free(&text);
}

static int print_failure(struct cli *cli, const json_t *job, const char *state)
{
    static const char *const words[][2] = {{"FAILED", "failed"},
                                           {"REJECTED", "refused"},
                                           {"CANCELLED", "cancelled"},
                                           {"EXPIRED", "expired"},
                                           {"PARKED", "the outcome is not known"}};
    const json_t *error = json_object_get(job, "error");
    const char *word = state, *kind = member_text(error, "kind"), *text = member_text(error, "text");
    char subject[320], name[300];

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][0], state) == 0)
            word = words[i][1];
    snprintf(name, sizeof name, "%s", target_name(job));
    snprintf(subject, sizeof subject, "%s on %s", name, member_text(job, "host"));
    cli_fail(cli, 0, subject, NULL, "%s%s%s", word, *text ? ": " : "", text);
    if (strcmp(kind, "conflict") == 0 || strcmp(state, "REJECTED") == 0)
        fputs("Nothing was changed. ", cli->err);
    if (*member_text(error, "hint"))
        fputs(member_text(error, "hint"), cli->err);
    if (*member_text(error, "hint") || strcmp(kind, "conflict") == 0 || strcmp(state, "REJECTED") == 0)
        fputc('\n', cli->err);
    if (strcmp(state, "PARKED") == 0 && !*member_text(job, "resolved"))
        fprintf(cli->err, "The target stays closed.%s%.8s%s\n",
                *member_text(error, "hint") ? "" : " Look at it, then: fleetsnap job resolve ",
                *member_text(error, "hint") ? "" : member_text(job, "job_id"),
                *member_text(error, "hint") ? "" : " --as done|failed --reason …");
    fprintf(cli->err, "More: fleetsnap job show %.8s -v\n", member_text(job, "job_id"));
    return outcome_exit(state);
}

int outcome_print(struct cli *cli, const json_t *job, const char *phases)
{
    const char *state = member_text(job, "state");

    if (strcmp(state, "SUCCEEDED") != 0)
        return print_failure(cli, job, state);
    print_success(cli, job, phases);
    return outcome_code(job);
}
