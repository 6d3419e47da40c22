/*
 * Completion. The shell hands over the words so far; what may follow comes from the same tables as everything else. Names come from the coordinator, which is asked only when
 * a name is due, and briefly: a shell that hangs is worse than one that does not know.
 */
#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/http.h"

#include <stdlib.h>
#include <string.h>

enum { PATIENCE_S = 2 };

/* The same as completion.bash, which packages install (a test compares them). */
static const char script[] =
    "# bash completion for fleetsnap. What may follow is asked from the command itself, so it always fits.\n"
    "#   source <(fleetsnap completion bash)\n"
    "_fleetsnap() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} line\n"
    "    COMPREPLY=()\n"
    "    # \"--name=value\": bash hands over three words; the command wants the value's beginning\n"
    "    [[ $cur == '=' ]] && cur=\n"
    "    while IFS= read -r line; do\n"
    "        [[ $line == \"$cur\"* ]] && COMPREPLY+=(\"$line\")\n"
    "    done < <(fleetsnap __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null\n"
    "    return 0\n"
    "}\n"
    "complete -F _fleetsnap fleetsnap\n";

int run_completion(struct cli *cli, const struct invocation *invocation)
{
    const char *shell = invocation->arguments[0];

    if (strcmp(shell, "bash") != 0)
        return cli_fail(cli, EXIT_USAGE, "completion", NULL, "there is none for \"%s\"; there is bash", shell);
    fputs(script, cli->out);
    return EXIT_DONE;
}

/* ---- names from the coordinator ---- */

static json_t *ask(struct cli *cli, const char *path)
{
    struct http_answer answer = {0};
    json_t *items = NULL;

    if (!cli_http(cli))
        return NULL;
    http_patience(cli->http, PATIENCE_S);
    if (http_request(cli->http, "GET", path, NULL, NULL, &answer, NULL) == 0 && answer.status == 200)
        items = json_incref(json_object_get(answer.body, "items"));
    http_answer_clear(&answer);
    return items;
}

static void print_names(struct cli *cli, const char *path, const char *member, const char *inner)
{
    json_t *items = ask(cli, path), *item;
    size_t index;

    json_array_foreach(items, index, item)
    {
        const json_t *object = inner ? json_object_get(item, inner) : item;
        if (*member_text(object, member))
            fprintf(cli->out, "%s\n", member_text(object, member));
    }
    json_decref(items);
}

static void print_snapshots(struct cli *cli, const char *target)
{
    struct text path = {0};

    text_add(&path, "/v1/targets");
    call_path(&path, target ? target : "");
    text_add(&path, "/snapshots");
    print_names(cli, text_str(&path), "name", NULL);
    text_free(&path);
}

static void print_kind(struct cli *cli, const char *kind, const char *target)
{
    static const struct {
        const char *kind, *path, *member, *inner;
    } sources[] = {{"targets", "/v1/targets?limit=1000", "name", "target"},
                   {"hosts", "/v1/hosts?limit=1000", "host", NULL},
                   {"jobs", "/v1/jobs?limit=100", "job_id", NULL},
                   {"points", "/v1/points?kind=backup&limit=200", "id", NULL},
                   {"tokens", "/v1/tokens", "name", NULL},
                   {"policies", "/v1/policies", "name", NULL},
                   {"runs", "/v1/runs?limit=100", "run_id", NULL},
                   {"deploys", "/v1/deploys?limit=100", "deploy_id", NULL},
                   {"repositories", "/v1/repositories", "name", NULL}};

    if (strcmp(kind, "snapshots") == 0)
        print_snapshots(cli, target);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strcmp(sources[i].kind, kind) == 0)
            print_names(cli, sources[i].path, sources[i].member, sources[i].inner);
}

/* ---- what may follow ---- */

struct words { /* those before the one that is being typed */
    const char *const *items;
    size_t count;
    const char *current;
    const struct command *command;
    const char *noun;
    const char *positional[INVOCATION_ARGUMENTS];
    size_t positional_count;
    const struct option_row *pending; /* its value is being typed */
};

static void take_option(struct words *words, const char *word)
{
    const struct option_row *row = NULL, *candidate;

    for (size_t i = 0; words->command && (candidate = command_option(words->command, i)); i++)
        if (word[1] == '-' ? strcmp(word + 2, candidate->name) == 0 : candidate->letter && word[1] == candidate->letter)
            row = row ? row : candidate;
    words->pending = row && row->kind != OPT_FLAG ? row : NULL;
}

/* As the parser does: an implied value gives way to a word that is none of the choices. */
static bool is_value(const struct option_row *row, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = row->implied ? row->choices : NULL; at && *at;) {
        size_t size = strcspn(at, "|");
        if (size == len && strncmp(at, word, len) == 0)
            return true;
        at += size + (at[size] == '|');
    }
    return !row->implied;
}

static void take_name(struct words *words, const char *word)
{
    if (words->command) {
        if (words->positional_count < INVOCATION_ARGUMENTS)
            words->positional[words->positional_count++] = word;
        return;
    }
    if (words->noun)
        words->command = command_find(words->noun, word);
    else
        words->command = command_of_word(word);
    words->noun = words->noun ? words->noun : word;
}

static void analyse(struct words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->items[i];
        const struct option_row *pending = words->pending;
        if (strcmp(word, "=") == 0)
            continue;
        words->pending = NULL;
        if (pending && is_value(pending, word))
            continue;
        if (*word == '-' && word[1])
            take_option(words, word);
        else
            take_name(words, word);
    }
}

static void print_nouns(struct cli *cli)
{
    static const char *const lists[] = {"targets",      "hosts",  "jobs",     "snapshots", "backups",
                                        "repositories", "tokens", "policies", "runs",      "deploys"};
    const struct command *command;
    const char *noun = "";

    for (size_t i = 0; (command = command_at(i)); i++) {
        if (!(command->flags & COMMAND_HIDDEN) && strcmp(command->noun, noun) != 0)
            fprintf(cli->out, "%s\n", command->noun);
        noun = command->noun;
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        fprintf(cli->out, "%s\n", lists[i]);
}

static void print_verbs(struct cli *cli, const char *noun)
{
    const struct command *command;

    for (size_t i = 0; (command = command_at(i)); i++)
        if (strcmp(command->noun, noun) == 0 && *command->verb)
            fprintf(cli->out, "%s\n", command->verb);
}

static void print_options(struct cli *cli, const struct command *command)
{
    const struct option_row *row;

    for (size_t i = 0; (row = command_option(command, i)); i++)
        fprintf(cli->out, "--%s\n", row->name);
}

static void print_values(struct cli *cli, const struct words *words)
{
    static const char *const kinds[][2] = {{"host", "hosts"},     {"on", "hosts"},      {"repository", "repositories"},
                                           {"target", "targets"}, {"parent", "points"}, {"children-of", "points"}};
    const struct option_row *row = words->pending;

    for (const char *at = row->choices; at && *at;) {
        size_t len = strcspn(at, "|");
        fprintf(cli->out, "%.*s\n", (int)len, at);
        at += len + (at[len] == '|');
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i][0], row->name) == 0)
            print_kind(cli, kinds[i][1], NULL);
}

static void print_arguments(struct cli *cli, const struct words *words)
{
    const struct argument_row *rows = words->command->arguments;
    size_t index = words->positional_count;

    if (index < ARGUMENT_ROWS && rows[index].name && rows[index].complete)
        print_kind(cli, rows[index].complete, words->positional_count ? words->positional[0] : NULL);
}

int run_complete(struct cli *cli, const struct invocation *invocation)
{
    size_t count = invocation->argument_count;
    struct words words = {.items = invocation->arguments,
                          .count = count ? count - 1 : 0,
                          .current = count ? invocation->arguments[count - 1] : ""};

    analyse(&words);
    if (words.pending)
        print_values(cli, &words);
    if (words.pending && !words.pending->implied)
        return EXIT_DONE;
    if (words.command && *words.current == '-')
        print_options(cli, words.command);
    else if (words.command)
        print_arguments(cli, &words);
    else if (words.noun)
        print_verbs(cli, words.noun);
    else
        print_nouns(cli);
    return EXIT_DONE;
}
