#include "worker/restore_words.h"

#include "base/err.h"
#include "base/text.h"
#include "worker/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char default_config[] = "/etc/fleetsnap/worker.yaml";

/* The value of --name VALUE or --name=VALUE; NULL: it is another option. */
static const char *value_of(char *const argv[], int *at, const char *name, struct err *err)
{
    size_t len = strlen(name);

    if (strncmp(argv[*at], name, len) != 0)
        return NULL;
    if (argv[*at][len] == '=')
        return argv[*at] + len + 1;
    if (argv[*at][len] != '\0')
        return NULL;
    if (argv[*at + 1])
        return argv[++*at];
    err_set(err, ERR_PERMANENT, "%s needs a value; see --help", name);
    return NULL;
}

static int add_map(struct facts *out, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    CLEANUP(freep) char *key = equals ? strndup(text, (size_t)(equals - text)) : NULL;

    if (!key || !*key || !equals[1])
        return err_set(err, ERR_PERMANENT, "--map-network: \"%s\" is not OLD=NEW", text);
    return facts_set(out, key, equals + 1, err);
}

/* An option with a value. 0: taken, 1: none of them. */
static int read_valued(struct restore_words *words, char *const argv[], int *at, struct err *err)
{
    struct local_restore *asked = &words->asked;
    const struct {
        const char *name;
        char **field;
    } texts[] = {{"--repository", &asked->repository}, {"--to", &asked->to}, {"--directory", &asked->directory}};
    const char *value;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if ((value = value_of(argv, at, texts[i].name, err)))
            return string_set(texts[i].field, value, err);
    if ((value = value_of(argv, at, "--disks", err)))
        return strings_add_words(&asked->disks, value, ",", err);
    if ((value = value_of(argv, at, "--map-network", err)))
        return add_map(&asked->map_network, value, err);
    if ((value = value_of(argv, at, "--config", err)))
        return words->config = value, 0;
    return err->kind != ERR_NONE ? -1 : 1;
}

static int read_flag(struct restore_words *words, const char *word, struct err *err)
{
    struct local_restore *asked = &words->asked;

    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return words->help = true, 0;
    if (strcmp(word, "--json") == 0)
        return words->json = true, 0;
    if (strcmp(word, "--dry-run") == 0)
        return asked->dry_run = true, 0;
    if (strcmp(word, "--keep-identity") == 0)
        return asked->keep_identity = true, 0;
    if (strcmp(word, "--start") == 0 || strncmp(word, "--start=", 8) == 0)
        return string_set(&asked->start, word[7] ? word + 8 : "running", err);
    if (strncmp(word, "--", 2) == 0 && strchr(word, '=')) {
        if (words->override_count + 3 >= RESTORE_OVERRIDES_MAX)
            return err_set(err, ERR_PERMANENT, "%s: too many options", word);
        return words->overrides[words->override_count++] = word + 2, 0;
    }
    if (word[0] == '-')
        return err_set(err, ERR_PERMANENT, "%s: not understood; see fleetsnap-worker restore --help", word);
    if (asked->backup)
        return err_set(err, ERR_PERMANENT, "%s: one backup at a time", word);
    return string_set(&asked->backup, word, err);
}

static int check_whole(const struct restore_words *words, struct err *err)
{
    const struct local_restore *asked = &words->asked;

    if (!asked->repository)
        return err_set(err, ERR_PERMANENT, "say where the backups are: --repository DIR");
    if (asked->backup && !asked->to)
        return err_set(err, ERR_PERMANENT, "say where to: --to NAME, or --to DIRECTORY");
    if (asked->to && !asked->backup) {
        err_set(err, ERR_PERMANENT, "say which backup");
        return err_hint(err, "what is there: fleetsnap-worker restore --repository %s", asked->repository);
    }
    return 0;
}

static int make_absolute(char **path, struct err *err)
{
    CLEANUP(freep) char *here = NULL;
    char *whole = NULL;

    if (!*path || **path == '/')
        return 0;
    here = getcwd(NULL, 0);
    if (!here || asprintf(&whole, "%s/%s", here, *path) < 0)
        return err_memory(err, *path);
    free(*path);
    *path = whole;
    return 0;
}

int restore_words_read(struct restore_words *words, int argc, char *const argv[], struct err *err)
{
    struct local_restore *asked = &words->asked;

    for (int i = 1; i < argc; i++) {
        int taken = read_valued(words, argv, &i, err);

        if (taken < 0 || (taken > 0 && read_flag(words, argv[i], err) < 0))
            return -1;
    }
    if (words->help)
        return 0;
    if (check_whole(words, err) < 0 || make_absolute(&asked->repository, err) < 0 ||
        make_absolute(&asked->directory, err) < 0)
        return -1;
    return asked->to && strchr(asked->to, '/') ? make_absolute(&asked->to, err) : 0;
}

void restore_words_clear(struct restore_words *words)
{
    local_restore_clear(&words->asked);
}

int restore_words_options(const struct restore_words *words, struct worker_options *options, struct err *err)
{
    struct command_line line = {.config = words->config};
    size_t count = 0;

    if (!line.config && access(default_config, R_OK) == 0)
        line.config = default_config;
    if (!line.config) {
        line.overrides[count++] = "host=local";
        line.overrides[count++] = "kafka.brokers=none";
    }
    for (size_t i = 0; i < words->override_count; i++)
        line.overrides[count++] = words->overrides[i];
    return worker_options_load(&line, options, err);
}
