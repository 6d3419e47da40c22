/*
 * Words → invocation. The first words that are no options name the command; options may stand anywhere. An option with an implied value takes the next word only if it is
 * one of its choices, so that `--quiesce TARGET` works as in virsh; `--name=value` is never ambiguous.
 */
#include "base/err.h"
#include "base/text.h"
#include "coordinator/cli/command.h"

#include <stdio.h>
#include <string.h>

struct words {
    int argc;
    const char *const *argv;
    int at;
    struct invocation *out;
    bool only_arguments; /* behind "--" */
};

static bool choice_has(const char *choices, const char *value, size_t len)
{
    for (const char *at = choices; at && *at;) {
        size_t size = strcspn(at, "|");
        if (size == len && strncmp(at, value, len) == 0)
            return true;
        at += size + (at[size] == '|');
    }
    return false;
}

/* "if-needed" and "if_needed" are the same word. */
static bool choice_valid(const char *choices, const char *value)
{
    char text[64];
    size_t len = strlen(value);

    if (len >= sizeof text)
        return false;
    memcpy(text, value, len + 1);
    for (char *c = text; *c; c++)
        *c = *c == '_' ? '-' : *c;
    return choice_has(choices, text, len);
}

static int add_value(struct words *words, const struct option_row *row, const char *value, struct err *err)
{
    struct invocation *out = words->out;

    if (out->value_count >= INVOCATION_VALUES)
        return err_set(err, ERR_PERMANENT, "there are too many options");
    if (row->kind == OPT_CHOICE && !choice_valid(row->choices, value))
        return err_set(err, ERR_PERMANENT, "--%s: \"%s\" is none of %s", row->name, value, row->choices);
    out->values[out->value_count].row = row;
    out->values[out->value_count++].value = value;
    return 0;
}

/* Where an option of that name belongs, for the error: rather a command of the same noun, or else of the same verb. */
static const struct command *owner_of(const char *name, const struct command *asked)
{
    const struct command *command, *best = NULL;
    int most = 0;

    for (size_t i = 0; (command = command_at(i)); i++)
        for (const struct option_row *row = command->options; row && row->name; row++) {
            int fits = 1 + (strcmp(command->verb, asked->verb) == 0) + 2 * (strcmp(command->noun, asked->noun) == 0);
            if (strcmp(row->name, name) == 0 && fits > most) {
                most = fits;
                best = command;
            }
        }
    return best;
}

static const char *nearest_option(const struct command *command, const char *name)
{
    const struct option_row *row;
    const char *best = NULL;
    size_t least = 3;

    for (size_t i = 0; (row = command_option(command, i)); i++) {
        size_t distance = text_distance(name, row->name);
        if (distance < least) {
            least = distance;
            best = row->name;
        }
    }
    return best;
}

static int unknown_option(const struct command *command, const char *word, const char *name, struct err *err)
{
    const struct command *owner = owner_of(name, command);
    const char *near = nearest_option(command, name);
    char own[64], other[64];

    command_name(command, own, sizeof own);
    if (near)
        err_set(err, ERR_PERMANENT, "unknown option %s. Did you mean --%s?", word, near);
    else if (owner && owner != command)
        err_set(err, ERR_PERMANENT, "unknown option %s (it belongs to %s)", word,
                command_name(owner, other, sizeof other));
    else
        err_set(err, ERR_PERMANENT, "unknown option %s", word);
    return err_hint(err, "See: fleetsnap %s --help", own);
}

static const struct option_row *row_of(const struct command *command, const char *name, char letter)
{
    const struct option_row *row;

    for (size_t i = 0; (row = command_option(command, i)); i++)
        if (letter ? row->letter == letter : name && strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

static const char *next_word(const struct words *words)
{
    return words->at + 1 < words->argc ? words->argv[words->at + 1] : NULL;
}

static int take_value(struct words *words, const struct option_row *row, const char *attached, struct err *err)
{
    const char *next = next_word(words);

    if (row->kind == OPT_FLAG)
        return attached ? err_set(err, ERR_PERMANENT, "--%s takes no value", row->name)
                        : add_value(words, row, NULL, err);
    if (attached)
        return add_value(words, row, attached, err);
    if (row->implied && (!next || !row->choices || !choice_valid(row->choices, next)))
        return add_value(words, row, row->implied, err);
    if (!next)
        return err_set(err, ERR_PERMANENT, "--%s needs a value: %s", row->name, row->value ? row->value : "VALUE");
    words->at++;
    return add_value(words, row, next, err);
}

static int take_long(struct words *words, const char *word, struct err *err)
{
    char name[64];
    size_t len = strcspn(word + 2, "=");
    const char *attached = word[2 + len] == '=' ? word + 3 + len : NULL;

    snprintf(name, sizeof name, "%.*s", (int)len, word + 2);
    const struct option_row *row = len < sizeof name ? row_of(words->out->command, name, 0) : NULL;
    if (!row) {
        char shown[80];
        snprintf(shown, sizeof shown, "--%s", name);
        return unknown_option(words->out->command, shown, name, err);
    }
    return take_value(words, row, attached, err);
}

static int take_short(struct words *words, const char *word, struct err *err)
{
    const struct option_row *row = row_of(words->out->command, NULL, word[1]);

    if (!row || (word[2] && row->kind == OPT_FLAG))
        return unknown_option(words->out->command, word, word + 1, err);
    return take_value(words, row, word[2] ? word + 2 + (word[2] == '=') : NULL, err);
}

static int take_argument(struct words *words, const char *word, struct err *err)
{
    struct invocation *out = words->out;

    if (out->argument_count >= INVOCATION_ARGUMENTS)
        return err_set(err, ERR_PERMANENT, "there are too many arguments");
    out->arguments[out->argument_count++] = word;
    return 0;
}

static int take_word(struct words *words, struct err *err)
{
    const char *word = words->argv[words->at];

    if (words->only_arguments || *word != '-' || !word[1])
        return take_argument(words, word, err);
    if (strcmp(word, "--") == 0)
        return words->only_arguments = true, 0;
    return word[1] == '-' ? take_long(words, word, err) : take_short(words, word, err);
}

/* ---- which command ---- */

static bool noun_exists(const char *noun)
{
    const struct command *command;

    for (size_t i = 0; (command = command_at(i)); i++)
        if (strcmp(command->noun, noun) == 0)
            return true;
    return false;
}

/* "targets" → the list of target; "repositories" → of repository; "deploys" → of deploy. */
static const struct command *plural(const char *word)
{
    const struct command *command;
    char plural_text[64];

    for (size_t i = 0; (command = command_at(i)); i++) {
        size_t len = strlen(command->noun);
        bool ies = len > 1 && command->noun[len - 1] == 'y' && !strchr("aeiou", command->noun[len - 2]);
        snprintf(plural_text, sizeof plural_text, "%.*s%s", (int)(ies ? len - 1 : len), command->noun,
                 ies ? "ies" : "s");
        if ((command->flags & COMMAND_LIST) && strcmp(plural_text, word) == 0)
            return command;
    }
    return NULL;
}

static int no_such_noun(const char *noun, struct err *err)
{
    const struct command *command;
    const char *best = NULL;
    size_t least = 3;

    for (size_t i = 0; (command = command_at(i)); i++) {
        size_t distance = text_distance(noun, command->noun);
        if (!(command->flags & COMMAND_HIDDEN) && distance < least) {
            least = distance;
            best = command->noun;
        }
    }
    err_set(err, ERR_PERMANENT, "no command \"%s\"%s%s%s", noun, best ? ". Did you mean " : "", best ? best : "",
            best ? "?" : "");
    return err_hint(err, "All commands: fleetsnap help");
}

static const char *nearest_verb(const char *noun, const char *verb)
{
    const struct command *command;
    const char *best = NULL;
    size_t least = 3;

    for (size_t i = 0; verb && (command = command_at(i)); i++) {
        size_t distance = strcmp(command->noun, noun) == 0 ? text_distance(verb, command->verb) : least;
        best = distance < least ? command->verb : best;
        least = distance < least ? distance : least;
    }
    return best;
}

static int no_such_verb(const char *noun, const char *verb, struct err *err)
{
    const struct command *command;
    const char *near = nearest_verb(noun, verb);
    char verbs[256] = "";
    size_t used = 0;

    for (size_t i = 0; (command = command_at(i)); i++)
        if (strcmp(command->noun, noun) == 0 && used < sizeof verbs)
            used += (size_t)snprintf(verbs + used, sizeof verbs - used, "%s%s", used ? ", " : "", command->verb);
    if (near)
        err_set(err, ERR_PERMANENT, "%s: no verb \"%s\". Did you mean %s?", noun, verb, near);
    else if (verb)
        err_set(err, ERR_PERMANENT, "%s: no verb \"%s\"; there is %s", noun, verb, verbs);
    else
        err_set(err, ERR_PERMANENT, "%s: say what: %s", noun, verbs);
    return err_hint(err, "See: fleetsnap help %s", noun);
}

/* True if the word is an option that takes the word behind it (before the command is known, only those that go everywhere). */
static bool takes_next(const char *word)
{
    if (strchr(word, '='))
        return false;
    for (const struct option_row *row = options_everywhere; row->name; row++) {
        bool same = word[1] == '-' ? strcmp(word + 2, row->name) == 0
                                   : row->letter && word[1] == row->letter && !word[2];
        if (same)
            return row->kind != OPT_FLAG;
    }
    return false;
}

/* Positions of the first two words that are no options; -1: none. */
static void find_names(int argc, const char *const argv[], int out[2])
{
    int count = 0;

    out[0] = out[1] = -1;
    for (int i = 1; i < argc && count < 2; i++) {
        if (strcmp(argv[i], "--") == 0)
            return;
        if (*argv[i] == '-')
            i += takes_next(argv[i]);
        else
            out[count++] = i;
    }
}

const struct command *command_of_word(const char *word)
{
    const struct command *command = plural(word);

    return command ? command : command_find(word, "");
}

static bool asks_for_help(int argc, const char *const argv[])
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* How many words name the command; -1: none does. "snapshot --help" is "help snapshot". */
static int find_command(int argc, const char *const argv[], int at[2], struct invocation *out, struct err *err)
{
    find_names(argc, argv, at);
    if (at[0] < 0) {
        out->command = command_find("help", "");
        return 0;
    }
    const char *noun = argv[at[0]], *verb = at[1] < 0 ? NULL : argv[at[1]];
    if ((out->command = plural(noun)))
        return 1;
    if (verb && (out->command = command_find(noun, verb)))
        return 2;
    if ((out->command = command_find(noun, "")))
        return 1;
    if (!noun_exists(noun))
        return no_such_noun(noun, err);
    if (verb || !asks_for_help(argc, argv))
        return no_such_verb(noun, verb, err);
    out->command = command_find("help", "");
    return 0;
}

static int check_arguments(const struct invocation *invocation, struct err *err)
{
    const struct argument_row *rows = invocation->command->arguments;
    bool selected = invocation_has(invocation, "selector") || invocation_has(invocation, "group");
    size_t least = 0, most = 0;
    char name[64];

    if (invocation_has(invocation, "help"))
        return 0;
    for (size_t i = 0; i < ARGUMENT_ROWS && rows[i].name; i++) {
        bool replaced = i == 0 && selected &&
                        ((invocation->command->flags & COMMAND_MANY) ||
                         (!rows[i].optional && invocation_has(invocation, "group")));
        least += !rows[i].optional && !replaced;
        most = rows[i].many ? INVOCATION_ARGUMENTS : most + !replaced;
    }
    command_name(invocation->command, name, sizeof name);
    if (invocation->argument_count > most)
        err_set(err, ERR_PERMANENT, "\"%s\" is one argument too many", invocation->arguments[most]);
    else if (invocation->argument_count < least)
        err_set(err, ERR_PERMANENT, "%s is missing", rows[invocation->argument_count + (selected ? 1 : 0)].name);
    else
        return 0;
    return err_hint(err, "See: fleetsnap %s --help", name);
}

int invocation_parse(int argc, const char *const argv[], struct invocation *out, struct err *err)
{
    struct words words = {.argc = argc, .argv = argv, .out = out};
    int names[2];

    *out = (struct invocation){0};
    int count = find_command(argc, argv, names, out, err);
    if (count < 0)
        return -1;
    for (words.at = 1; words.at < argc; words.at++) {
        bool names_it = (count > 0 && words.at == names[0]) || (count > 1 && words.at == names[1]);
        if (!names_it && take_word(&words, err) < 0)
            return -1;
    }
    return check_arguments(out, err);
}

bool invocation_has(const struct invocation *invocation, const char *option)
{
    for (size_t i = 0; i < invocation->value_count; i++)
        if (strcmp(invocation->values[i].row->name, option) == 0)
            return true;
    return false;
}

const char *invocation_value(const struct invocation *invocation, const char *option)
{
    const char *value = NULL;

    for (size_t i = 0; i < invocation->value_count; i++)
        if (strcmp(invocation->values[i].row->name, option) == 0)
            value = invocation->values[i].value;
    return value;
}

const char *invocation_argument(const struct invocation *invocation, const char *name)
{
    const struct argument_row *rows = invocation->command->arguments;
    size_t skipped = invocation_has(invocation, "selector") && (invocation->command->flags & COMMAND_MANY) ? 1 : 0;

    for (size_t i = skipped; i < ARGUMENT_ROWS && rows[i].name; i++)
        if (strcmp(rows[i].name, name) == 0)
            return i - skipped < invocation->argument_count ? invocation->arguments[i - skipped] : NULL;
    return NULL;
}
