/* The commands in the manual, as roff. `fleetsnap help --man` is not needed: a test writes and compares docs/man/fleetsnap.1. */
#include "coordinator/cli/commands.h"

#include <string.h>

/* '-' and '\' mean something to roff; a leading '.' or ''' too. */
static void add_text(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
    }
}

static void add_rows(FILE *out, const struct option_row *rows)
{
    char name[160];

    for (; rows && rows->name; rows++) {
        help_option_name(rows, name, sizeof name);
        fputs(".TP\n.B ", out);
        add_text(out, name);
        fputc('\n', out);
        add_text(out, rows->doc);
        fputs(rows->virsh ? " (as in virsh)\n" : "\n", out);
    }
}

static void add_command(FILE *out, const struct command *command)
{
    char name[64];

    fputs(".SS ", out);
    add_text(out, command_name(command, name, sizeof name));
    for (size_t i = 0; i < ARGUMENT_ROWS && command->arguments[i].name; i++)
        fprintf(out, command->arguments[i].optional ? " [%s]" : " %s", command->arguments[i].name);
    fputc('\n', out);
    add_text(out, command->doc);
    fputs(".\n", out);
    for (size_t i = 0; i < EXAMPLES && command->examples[i]; i++) {
        fputs(i ? "" : ".PP\n.nf\n", out);
        fputs("    fleetsnap ", out);
        add_text(out, command->examples[i]);
        fputc('\n', out);
    }
    fputs(command->examples[0] ? ".fi\n" : "", out);
    add_rows(out, command->options);
    if (command->flags & COMMAND_MANY)
        add_rows(out, options_many);
    if (command->flags & COMMAND_DRY)
        add_rows(out, options_dry);
}

void man_options(FILE *out)
{
    const struct command *command;

    fputs(".SH OPTIONS OF EVERY COMMAND\n", out);
    add_rows(out, options_everywhere);
    fputs(".SH OPTIONS OF WHAT CHANGES SOMETHING\n", out);
    add_rows(out, options_changes);
    add_rows(out, options_destroys);
    fputs(".SH OPTIONS OF WHAT STARTS A JOB\n", out);
    add_rows(out, options_job);
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; (command = command_at(i)); i++)
        if (!(command->flags & COMMAND_HIDDEN))
            add_command(out, command);
}
