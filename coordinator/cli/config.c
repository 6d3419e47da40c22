#include "coordinator/cli/config.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "base/err.h"
#include "base/file.h"
#include "coordinator/cli/command.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_BYTES_MAX = 4096 };

struct settings {
    char *url, *token_file;
};

static const struct option rows[] = {
    {.name = "url",
     .type = OPTION_STRING,
     .offset = offsetof(struct settings, url),
     .optional = true,
     .doc = "The coordinator, as in https://fleetsnap.example:8420."},
    {.name = "token_file",
     .type = OPTION_PATH,
     .offset = offsetof(struct settings, token_file),
     .optional = true,
     .doc = "File with the API token, mode 0600."},
    {.name = NULL},
};

static int load(struct settings *out, struct err *err)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char path[PATH_MAX] = "";

    if (base && *base)
        snprintf(path, sizeof path, "%s/fleetsnap/config.yaml", base);
    else if (home)
        snprintf(path, sizeof path, "%s/.config/fleetsnap/config.yaml", home);
    return *path && file_exists(path) ? config_load(path, NULL, rows, out, err) : 0;
}

static int read_token(const char *path, char **out, struct err *err)
{
    char full[PATH_MAX];
    char *token = NULL;
    size_t len;

    if (!realpath(path, full))
        return err_set(err, ERR_PERMANENT, "the token file %s cannot be read", path);
    if (file_read_secret(full, TOKEN_BYTES_MAX, &token, &len, err) < 0)
        return -1;
    token[strcspn(token, "\r\n")] = '\0';
    free(*out);
    *out = token;
    return 0;
}

static int set(char **out, const char *value, struct err *err)
{
    char *copy = strdup(value);

    if (!copy)
        return err_memory(err, "configuration");
    free(*out);
    *out = copy;
    return 0;
}

/* Nothing that ends a header line, and no blanks. */
static int check_token(const struct cli *cli, struct err *err)
{
    for (const char *c = cli->token; c && *c; c++)
        if (*c <= ' ' || *c > '~')
            return err_set(err, ERR_PERMANENT, "the token holds a blank or a character that no token has");
    return 0;
}

int client_config_find(struct cli *cli, const struct invocation *invocation, struct err *err)
{
    struct settings settings = {0};
    const char *url = invocation_value(invocation, "url"), *file = invocation_value(invocation, "token-file");
    const char *token = getenv("FLEETSNAP_TOKEN");
    int result = load(&settings, err);

    url = url ? url : getenv("FLEETSNAP_URL");
    url = url && *url ? url : settings.url ? settings.url : "http://127.0.0.1:8420";
    if (result == 0)
        result = set(&cli->url, url, err);
    if (result == 0 && !file && token && *token)
        result = set(&cli->token, token, err);
    else if (result == 0) {
        file = file ? file : getenv("FLEETSNAP_TOKEN_FILE");
        file = file && *file ? file : settings.token_file;
        result = file ? read_token(file, &cli->token, err) : 0;
    }
    config_free(rows, &settings);
    return result < 0 ? -1 : check_token(cli, err);
}
