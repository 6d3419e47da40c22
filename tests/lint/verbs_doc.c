/*
 * Prints docs/verbs.md: `verbs_doc > docs/verbs.md`. With a path: exit 1 if that file says something else.
 *
 * Everything comes from tables: operations and the fields of their parameters (common/model), verbs (the backends), options (coordinator/cli); and the names of the e2e tests.
 * What raises the class of an operation is found by asking job_class() with one parameter changed at a time.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/commands.h"
#include "lint/named_tests.h"
#include "model/job.h"
#include "model/op.h"
#include "model/record.h"
#include "worker/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char intro[] =
    "# Verbs\n\n"
    "This page is generated from the tables of operations, backends and commands: `build/dev/tests/verbs_doc > docs/verbs.md`.\n\n"
    "A class says what a job may do: A reads, B adds, C takes away data or a running state. Every dry run is A. A job of class B or C has a ticket and holds the lock of its\n"
    "target; right before each step that takes away, the lock is renewed afresh. Names of parameters are those of a job; an option is what sets one on the command line, the\n"
    "others are filled in by the command or by the API ([openapi.yaml](openapi.yaml)). `!` marks a member that must be there. A row without a parameter is an option that the\n"
    "command understands itself. Tests are those of tests/e2e that are called after the verb.\n";

/* ---- classes ---- */

static enum job_class class_of(enum op op, void *params)
{
    struct job job = {.op = (int)op, .params = params};

    return job_class(&job);
}

static void try_value(enum op op, enum job_class least, const struct field *field, void *params, const char *value,
                      struct text *out)
{
    enum job_class now = class_of(op, params);

    if (now != least)
        text_addf(out, "; %s with *%s*%s%s", class_names[now], field->name, value ? " " : "", value ? value : "");
}

static void try_field(enum op op, enum job_class least, const struct field *field, void *params, struct text *out)
{
    char *at = (char *)params + field->offset;

    if (field->type == FIELD_BOOL) {
        *(bool *)at = !field->fallback;
        try_value(op, least, field, params, field->fallback ? "false" : NULL, out);
        *(bool *)at = field->fallback;
    } else if (field->type == FIELD_ENUM) {
        for (int i = 0; field->names[i]; i++) {
            *(int *)at = i;
            try_value(op, least, field, params, field->names[i], out);
        }
        *(int *)at = (int)field->fallback;
    }
}

static void add_class(enum op op, const struct record_type *type, struct text *out)
{
    void *params = calloc(1, type->size);

    if (!params)
        abort();
    record_defaults(type, params);
    enum job_class least = class_of(op, params);
    text_add(out, class_names[least]);
    for (const struct field *field = type->fields; field->name; field++)
        try_field(op, least, field, params, out);
    free(params);
}

/* ---- parameters ---- */

static bool is_duration(const struct field *field)
{
    size_t len = strlen(field->name);

    return len > 3 && strcmp(field->name + len - 3, "_ms") == 0;
}

static void add_members(const struct record_type *type, struct text *out)
{
    for (const struct field *field = type->fields; field->name; field++)
        text_addf(out, "%s%s%s", field == type->fields ? "{" : ", ", field->name, field->optional ? "" : " !");
    text_add(out, "}");
}

static void add_type(const struct field *field, struct text *out)
{
    switch (field->type) {
    case FIELD_STRING: text_addf(out, "text, %zu bytes", field_max(field)); break;
    case FIELD_BOOL: text_add(out, "true/false"); break;
    case FIELD_INT: text_add(out, is_duration(field) ? "ms" : "number"); break;
    case FIELD_TIME: text_add(out, "time"); break;
    case FIELD_ENUM:
        for (int i = 0; field->names[i]; i++)
            text_addf(out, "%s%s", i ? ", " : "", field->names[i]);
        break;
    case FIELD_BYTES: text_add(out, "bytes"); break;
    case FIELD_STRINGS: text_add(out, "list of text"); break;
    case FIELD_MAP: text_add(out, "mapping of text"); break;
    case FIELD_RECORD:
    case FIELD_EMBEDDED: add_members(field->record, out); break;
    case FIELD_RECORDS:
        text_add(out, "list of ");
        add_members(field->record, out);
        break;
    case FIELD_PARAMS: break;
    }
}

static void add_default(const struct field *field, struct text *out)
{
    char text[32];

    if (!field->optional)
        text_add(out, "required");
    else if (field->type == FIELD_BOOL)
        text_add(out, field->fallback ? "true" : "false");
    else if (field->type == FIELD_ENUM)
        text_add(out, field->names[field->fallback]);
    else if (field->type == FIELD_INT && field->fallback && is_duration(field))
        text_addf(out, "%lld (%s)", (long long)field->fallback, format_duration(field->fallback, text, sizeof text));
    else if (field->type == FIELD_INT && field->fallback)
        text_addf(out, "%lld", (long long)field->fallback);
}

/* ---- options ---- */

/* '|' ends a cell of a table. */
static void add_cell(const char *string, struct text *out)
{
    for (; *string; string++) {
        text_add(out, *string == '|' ? "\\" : "");
        text_add_len(out, string, 1);
    }
}

/* "target export-finish" → "target.export_finish" */
static void verb_name(const struct command *command, char *out, size_t size)
{
    snprintf(out, size, "%s.%s", command->noun, command->verb);
    for (char *c = out; *c; c++)
        *c = *c == '-' ? '_' : *c;
}

static const struct command *command_of(const char *op)
{
    const struct command *command;
    char name[64];

    for (size_t i = 0; (command = command_at(i)); i++) {
        verb_name(command, name, sizeof name);
        if (strcmp(name, op) == 0)
            return command;
    }
    return NULL;
}

static void add_argument(const struct command *command, const char *field, struct text *out)
{
    for (size_t i = 0; i < ARGUMENT_ROWS && command->arguments[i].name; i++)
        if (command->arguments[i].param && strcmp(command->arguments[i].param, field) == 0)
            text_add(out, command->arguments[i].name);
}

static void add_options(const struct command *command, const char *field, struct text *out, struct text *meaning)
{
    const struct option_row *row;
    char name[160];
    bool any = false;

    for (size_t i = 0; (row = command_option(command, i)); i++) {
        if (!row->param || strcmp(row->param, field) != 0)
            continue;
        help_option_name(row, name, sizeof name);
        text_add(out, any ? ", `" : "`");
        add_cell(name, out);
        text_add(out, "`");
        text_add(meaning, any ? "; " : "");
        add_cell(row->doc, meaning);
        any = true;
    }
}

static void add_field(const struct command *command, const struct field *field, struct text *out)
{
    struct text meaning = {0};

    text_addf(out, "| %s | ", field->name);
    add_type(field, out);
    text_add(out, " | ");
    add_default(field, out);
    text_add(out, " | ");
    if (command) {
        add_argument(command, field->name, out);
        add_options(command, field->name, out, &meaning);
    }
    text_addf(out, " | %s |\n", text_str(&meaning));
    text_free(&meaning);
}

static bool sets_field(const struct option_row *row, const struct record_type *params)
{
    for (const struct field *field = params ? params->fields : NULL; row->param && field && field->name; field++)
        if (strcmp(field->name, row->param) == 0)
            return true;
    return false;
}

/* What the command has of its own beside the parameters. */
static void add_own_options(const struct command *command, const struct record_type *params, struct text *out)
{
    char name[160];

    for (const struct option_row *row = command ? command->options : NULL; row && row->name; row++) {
        if (sets_field(row, params))
            continue;
        help_option_name(row, name, sizeof name);
        text_add(out, "| | | | `");
        add_cell(name, out);
        text_add(out, "` | ");
        add_cell(row->doc, out);
        text_add(out, " |\n");
    }
}

/* ---- the page ---- */

static const char table_head[] = "\n\n| parameter | type | default | option | meaning |\n|---|---|---|---|---|\n";

static void add_backends(enum op op, struct text *out)
{
    bool any = false;

    for (const struct backend_ops *const *ops = backend_table; *ops; ops++)
        if (backend_verb(*ops, op)) {
            text_addf(out, "%s%s", any ? ", " : "", (*ops)->kind);
            any = true;
        }
    if (!any)
        text_add(out, "none");
}

static void add_tests(const char *verb, struct text *out)
{
    struct text tests = {0};

    named_tests_add(verb, &tests);
    if (tests.len)
        text_addf(out, " Tests: %s.", text_str(&tests));
    text_free(&tests);
}

static void add_op(enum op op, struct text *out)
{
    const struct op_info *info = op_info(op);
    const struct command *command = command_of(info->name);

    text_addf(out, "\n## %s\n\nIt %s. Class ", info->name, info->doc);
    add_class(op, info->params, out);
    text_add(out, ". Backends: ");
    add_backends(op, out);
    text_add(out, ".");
    if (command)
        text_addf(out, " Command: `fleetsnap %s %s`.", command->noun, command->verb);
    add_tests(info->name, out);
    text_add(out, table_head);
    for (const struct field *field = info->params->fields; field->name; field++)
        add_field(command, field, out);
    add_own_options(command, info->params, out);
}

/* What is answered without a job: of snapshots, backups and repositories. */
static bool needs_no_job(const struct command *command)
{
    static const char *const nouns[] = {"snapshot", "backup", "repository"};
    char name[64];

    verb_name(command, name, sizeof name);
    for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++)
        if (strcmp(command->noun, nouns[i]) == 0)
            return op_from_name(name) == OP_NONE;
    return false;
}

static void add_jobless(struct text *out)
{
    const struct command *command;
    char name[64];

    for (size_t i = 0; (command = command_at(i)); i++) {
        if (!needs_no_job(command))
            continue;
        verb_name(command, name, sizeof name);
        text_addf(out, "\n## %s\n\nNo job: %s. Command: `fleetsnap %s %s`.", name, command->doc, command->noun,
                  command->verb);
        add_tests(name, out);
        if (command->options)
            text_add(out, table_head);
        else
            text_add(out, "\n");
        add_own_options(command, NULL, out);
    }
    text_add(out, "\n## backup.mount\n\nNo job: the disks of a backup as read-only files, for single files out of it; on "
                  "the repository's host, with the options of its manual. Command: `fleetsnap-worker mount`.");
    add_tests("backup.mount", out);
    text_add(out, "\n");
}

static void add_virsh(struct text *out)
{
    const struct command *command;

    text_add(
        out,
        "\n## Spelt as in virsh\n\nThese options have the name that virsh gives them, so that what the hands know works here too.\n\n| command | options |\n|---|---|\n");
    for (size_t i = 0; (command = command_at(i)); i++) {
        bool any = false;
        for (const struct option_row *row = command->options; row && row->name; row++) {
            if (!row->virsh)
                continue;
            if (!any)
                text_addf(out, "| %s %s | ", command->noun, command->verb);
            text_addf(out, "%s`--%s`", any ? ", " : "", row->name);
            any = true;
        }
        text_add(out, any ? " |\n" : "");
    }
}

int main(int argc, char **argv)
{
    struct text text = {0};
    struct err err = {0};
    char *now = NULL;
    size_t len;
    int differs = 0;

    text_add(&text, intro);
    for (int op = OP_NONE + 1; op < OP_COUNT; op++)
        add_op((enum op)op, &text);
    add_jobless(&text);
    add_virsh(&text);
    if (argc < 2) {
        fputs(text_str(&text), stdout);
    } else if (file_read(argv[1], 1 << 20, &now, &len, &err) < 0 || strcmp(now, text_str(&text)) != 0) {
        fprintf(stderr, "%s is not what the tables say: %s\nregenerate it: verbs_doc > docs/verbs.md\n", argv[1],
                err.text);
        differs = 1;
    }
    free(now);
    text_free(&text);
    return differs;
}
