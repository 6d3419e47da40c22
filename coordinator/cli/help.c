/* --help and help: examples first, because that is what people look for. All from the tables. */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/table.h"

#include <string.h>

enum { LEFT = 27, NAME = 20, WIDTH = 80 };

static void print_usage(FILE *out, const struct command *command)
{
    char name[64];

    fprintf(out, "fleetsnap %s", command_name(command, name, sizeof name));
    for (size_t i = 0; i < ARGUMENT_ROWS && command->arguments[i].name; i++) {
        const struct argument_row *row = &command->arguments[i];
        bool replaceable = i == 0 && (command->flags & COMMAND_MANY);
        fprintf(out,
                row->optional ? " [%s]%s"
                : replaceable ? " %s|-l SELECTOR%s"
                              : " %s%s",
                row->name, row->many ? "…" : "");
    }
    fprintf(out, " [options]\n");
}

void help_option_name(const struct option_row *row, char *out, size_t size)
{
    char letter[8] = "", value[64] = "";

    if (row->letter)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    if (row->kind == OPT_CHOICE)
        snprintf(value, sizeof value, row->implied ? "[=%s]" : " %s", row->choices);
    else if (row->kind != OPT_FLAG)
        snprintf(value, sizeof value, " %s", row->value);
    snprintf(out, size, "%s--%s%s", letter, row->name, value);
}

static void print_option(FILE *out, const struct option_row *row)
{
    char name[160];

    help_option_name(row, name, sizeof name);
    if (strlen(name) > LEFT)
        fprintf(out, "  %s\n%*s", name, LEFT + 3, "");
    else
        fprintf(out, "  %-*s ", LEFT, name);
    text_wrap(out, row->doc, LEFT + 3, WIDTH);
}

/* Options of a group, those spelt as in virsh last. */
static void print_group(FILE *out, const char *title, const struct option_row *rows)
{
    bool printed = false;

    for (int virsh = 0; virsh <= 1; virsh++)
        for (const struct option_row *row = rows; row && row->name; row++) {
            if (row->virsh != virsh)
                continue;
            if (!printed)
                fprintf(out, "\n%s:\n", title);
            printed = true;
            print_option(out, row);
        }
}

int help_command(struct cli *cli, const struct command *command)
{
    FILE *out = cli->out;

    fprintf(out, "%s\n\n", command->doc);
    for (size_t i = 0; i < EXAMPLES && command->examples[i]; i++)
        fprintf(out, "  fleetsnap %s\n", command->examples[i]);
    fprintf(out, "\nUsage: ");
    print_usage(out, command);
    print_group(out, "Options", command->options);
    if (command->flags & COMMAND_MANY)
        print_group(out, "Many targets", options_many);
    if (command->flags & COMMAND_JOB)
        print_group(out, "The job", options_job);
    if (command->flags & COMMAND_DRY)
        print_group(out, "Trying", options_dry);
    if (command->flags & COMMAND_DESTROYS)
        print_group(out, "Taking away", options_destroys);
    if (command->flags & COMMAND_CHANGES)
        print_group(out, "Changing", options_changes);
    print_group(out, "Everywhere", options_everywhere);
    return EXIT_DONE;
}

int help_all(FILE *out)
{
    const struct command *command;
    const char *noun = "";
    char name[64];

    fprintf(out, "fleetsnap snapshots, backs up and reverts every machine of a fleet.\n\n"
                 "  fleetsnap targets\n  fleetsnap snapshot create shop-1 --name before-deploy\n"
                 "  fleetsnap backup create shop-1\n  fleetsnap doctor\n");
    for (size_t i = 0; (command = command_at(i)); i++) {
        if (command->flags & COMMAND_HIDDEN)
            continue;
        if (strcmp(noun, command->noun) != 0 && *command->verb)
            fputc('\n', out);
        noun = command->noun;
        fprintf(out, "  %-20s ", command_name(command, name, sizeof name));
        text_wrap(out, command->doc, NAME + 3, WIDTH);
    }
    fprintf(out, "\nEach has --help. Plurals are lists: targets, hosts, jobs, snapshots, backups,\n"
                 "repositories, tokens. Topics: fleetsnap help topics\n");
    return EXIT_DONE;
}

int help_noun(FILE *out, const char *noun)
{
    const struct command *command;
    bool found = false;
    char name[64];

    for (size_t i = 0; (command = command_at(i)); i++) {
        if (strcmp(command->noun, noun) != 0)
            continue;
        found = true;
        fprintf(out, "%-20s ", command_name(command, name, sizeof name));
        text_wrap(out, command->doc, NAME + 1, WIDTH);
        for (size_t e = 0; e < EXAMPLES && command->examples[e]; e++)
            fprintf(out, "    fleetsnap %s\n", command->examples[e]);
    }
    return found ? 0 : -1;
}

static const struct {
    const char *name, *text;
} topics[] = {
    {"targets", "TARGET is a name (shop-1), host/name (alpha/shop-1) or libvirt:UUID. A name that\n"
                "two hosts have is an error that lists both, unless it is one machine (the same UUID)\n"
                "that runs on one of them only. A machine that was made again under an\n"
                "old name is another one: shop-1@3e1f is the one whose UUID begins so, also when it\n"
                "is gone and only its backups are left. -l app=shop,tier!=db names all with\n"
                "these labels, as in kubectl. Jobs and backups can be given by any unambiguous\n"
                "beginning of their id, at least 4 characters.\n"},
    {"exit-codes", "0  done\n"
                   "1  failed, rejected or conflict\n"
                   "2  usage, or no such target\n"
                   "3  outcome unknown (PARKED, LOST)\n"
                   "4  cancelled, expired or declined\n"
                   "5  not submitted: the coordinator cannot be reached\n"
                   "6  submitted, outcome not seen; the id is printed\n"
                   "7  some of several failed\n"
                   "8  not allowed\n"
                   "--request-id makes a repeat safe: the same id is the same request.\n"},
    {"environment", "FLEETSNAP_URL         the coordinator; default http://127.0.0.1:8420\n"
                    "FLEETSNAP_TOKEN       the API token, or\n"
                    "FLEETSNAP_TOKEN_FILE  a file with it, mode 0600\n"
                    "NO_COLOR              no colours\n"
                    "~/.config/fleetsnap/config.yaml may say url: and token_file: instead.\n"},
    {"classes", "A reads. B adds. C takes away data or a running state: it first shows what will\n"
                "be lost and asks, or needs --yes where nobody can be asked. What was shown is\n"
                "what is done: another plan is refused. Every dry run is A.\n"},
    {"states", "PLANNED, PUBLISHED  on its way to the host\n"
               "ACCEPTED            the host has it in its journal\n"
               "WAITING             for a lock, a slot, a time\n"
               "RUNNING             with the name of the step\n"
               "SUCCEEDED           done\n"
               "FAILED              nothing of it is left; the text says why\n"
               "CANCELLED, EXPIRED  asked to stop, or too late\n"
               "REJECTED            the host refused it; the text says why\n"
               "PARKED              it is not known what it did: look, then job resolve\n"
               "LOST is said of a job whose host is silent; when the host is back the job ends\n"
               "by itself.\n"},
    {"json", "--json prints one object; lists print one array; watch prints one object per\n"
             "line. Names are the API's (docs/openapi.yaml), times RFC 3339 in UTC, sizes\n"
             "bytes. Nothing else goes to standard output.\n"},
};

static int help_topic(struct cli *cli, const char *name)
{
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        if (strcmp(topics[i].name, name) == 0)
            return fputs(topics[i].text, cli->out), EXIT_DONE;
    return -1;
}

static int help_topics(struct cli *cli)
{
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        fprintf(cli->out, "%sfleetsnap help %s\n%s", i ? "\n" : "", topics[i].name, topics[i].text);
    return EXIT_DONE;
}

int run_help(struct cli *cli, const struct invocation *invocation)
{
    const char *first = invocation->argument_count ? invocation->arguments[0] : NULL;
    const char *second = invocation->argument_count > 1 ? invocation->arguments[1] : "";

    if (!first)
        return help_all(cli->out);
    if (strcmp(first, "topics") == 0)
        return help_topics(cli);
    const struct command *command = command_find(first, second);
    if (command)
        return help_command(cli, command);
    if (!*second && (help_topic(cli, first) == EXIT_DONE || help_noun(cli->out, first) == 0))
        return EXIT_DONE;
    return cli_fail(cli, EXIT_USAGE, "help", "All commands: fleetsnap help; topics: fleetsnap help topics",
                    "no command or topic \"%s%s%s\"", first, *second ? " " : "", second);
}

int run_version(struct cli *cli, const struct invocation *invocation)
{
    (void)invocation;
    if (cli->json)
        fprintf(cli->out, "{\"version\":\"%s\"}\n", FLEETSNAP_VERSION);
    else
        fprintf(cli->out, "fleetsnap %s\n", FLEETSNAP_VERSION);
    return EXIT_DONE;
}
