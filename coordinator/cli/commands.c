/* The tables together, the options that many commands share, and how rows are found. */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/options.h"

#include <stdio.h>
#include <string.h>

const struct option_row options_everywhere[] = {
    {.name = "help", .letter = 'h', .kind = OPT_FLAG, .doc = "show the help of the command"},
    {.name = "json", .kind = OPT_FLAG, .doc = "print JSON, and nothing else, to standard output"},
    {.name = "utc", .kind = OPT_FLAG, .doc = "show times in UTC"},
    {.name = "verbose", .letter = 'v', .kind = OPT_FLAG, .doc = "show ids, tokens and every event"},
    {.name = "url",
     .kind = OPT_TEXT,
     .value = "URL",
     .doc = "coordinator; default $FLEETSNAP_URL, the configuration file, http://127.0.0.1:8420"},
    {.name = "token-file",
     .kind = OPT_TEXT,
     .value = "FILE",
     .doc = "file with the API token, mode 0600; default $FLEETSNAP_TOKEN, $FLEETSNAP_TOKEN_FILE"},
    {.name = NULL},
};

const struct option_row options_changes[] = {
    {.name = "request-id", .kind = OPT_TEXT, .value = "ID", .doc = "makes a repeat safe: the same id is the same request"},
    {.name = "reason", .kind = OPT_TEXT, .value = "TEXT", .doc = "why; kept in the audit log"},
    {.name = NULL},
};

const struct option_row options_job[] = {
    OPTION_DRY_RUN,
    OPTION_NO_WAIT,
    {.name = "host", .kind = OPT_TEXT, .value = "HOST", .doc = "the host, where the name alone does not say it"},
    {.name = "priority", .kind = OPT_INT, .value = "0-9", .doc = "9 first; default 5"},
    {.name = "not-before",
     .kind = OPT_TIME,
     .value = "TIME",
     .doc = "do not start before this time, or this long from now"},
    {.name = "deadline",
     .kind = OPT_TIME,
     .value = "TIME",
     .doc = "give up at this time, or this long from now; default 7d"},
    {.name = NULL},
};

const struct option_row options_destroys[] = {
    {.name = "yes", .letter = 'y', .kind = OPT_FLAG, .doc = "do not ask; needed where nobody can be asked"},
    {.name = NULL},
};

const struct option_row options_many[] = {
    OPTION_SELECTOR("every target with these labels, as in app=shop,tier!=db"),
    {.name = NULL},
};

const struct option_row options_dry[] = {
    OPTION_DRY_RUN,
    {.name = NULL},
};

const struct command *const command_tables[] = {commands_fleet,  commands_snapshot, commands_backup,
                                                commands_job,    commands_policy,   commands_deploy,
                                                commands_export, commands_help,     NULL};

const struct command *command_at(size_t index)
{
    for (size_t table = 0; command_tables[table]; table++)
        for (const struct command *command = command_tables[table]; command->noun; command++)
            if (index-- == 0)
                return command;
    return NULL;
}

const struct command *command_find(const char *noun, const char *verb)
{
    const struct command *command;

    for (size_t i = 0; (command = command_at(i)); i++)
        if (strcmp(command->noun, noun) == 0 && strcmp(command->verb, verb) == 0)
            return command;
    return NULL;
}

static const struct option_row *row_at(const struct option_row *rows, size_t *index)
{
    for (; rows && rows->name; rows++)
        if ((*index)-- == 0)
            return rows;
    return NULL;
}

const struct option_row *command_option(const struct command *command, size_t index)
{
    const struct option_row *const groups[] = {
        command->options,
        command->flags & COMMAND_MANY ? options_many : NULL,
        command->flags & COMMAND_JOB ? options_job : NULL,
        command->flags & COMMAND_DRY ? options_dry : NULL,
        command->flags & COMMAND_DESTROYS ? options_destroys : NULL,
        command->flags & COMMAND_CHANGES ? options_changes : NULL,
        options_everywhere,
    };

    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        const struct option_row *row = row_at(groups[i], &index);
        if (row)
            return row;
    }
    return NULL;
}

const struct option_row *command_option_named(const struct command *command, const char *name)
{
    const struct option_row *row;

    for (size_t i = 0; (row = command_option(command, i)); i++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

char *command_name(const struct command *command, char *out, size_t size)
{
    snprintf(out, size, "%s%s%s", command->noun, *command->verb ? " " : "", command->verb);
    return out;
}
