/*
 * host enroll: bundles of one host or of many; host replace: a bundle for another machine under a host's name. DIR/HOST/ gets host.key, redis.password (if Redis has one) and worker.yaml, all 0600, so that a host needs nothing else:
 * copy the folder anywhere, start the worker with --config. Lines of --from: NAME [OPTION=VALUE …], where OPTION is one of worker.yaml; libvirt_uri is libvirt.uri.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/enroll.h"
#include "model/target.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE      "host.key"
#define PASSWORD_FILE "redis.password"

enum { LIST_BYTES_MAX = 4 * 1024 * 1024, HOSTS_MAX = 100000 };

static int bad_line(struct err *err, size_t line, const char *what, const char *word)
{
    return err_set(err, ERR_PERMANENT, "line %zu: \"%.60s\" %s", line, word, what);
}

static int take_option(struct facts *options, char *word, size_t line, struct err *err)
{
    char *equals = strchr(word, '=');

    if (!equals || equals == word)
        return bad_line(err, line, "is not OPTION=VALUE", word);
    *equals = '\0';
    const char *name = strcmp(word, "libvirt_uri") == 0 ? "libvirt.uri" : word;
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz_.") != strlen(name))
        return bad_line(err, line, "is no name of an option", word);
    return facts_set(options, name, equals + 1, err);
}

static int take_host(char *text, size_t line, struct enroll_list *out, struct err *err)
{
    char *save = NULL, *word = strtok_r(text, " \t\r", &save);

    if (!word || *word == '#')
        return 0;
    if (!name_valid_host(word))
        return bad_line(err, line, "is no name for a host", word);
    struct enroll_host *hosts = out->count < HOSTS_MAX ? realloc(out->hosts, (out->count + 1) * sizeof *hosts) : NULL;
    if (!hosts)
        return err_memory(err, "hosts");
    out->hosts = hosts;
    struct enroll_host *host = &hosts[out->count++];
    *host = (struct enroll_host){.name = strdup(word)};
    while (host->name && (word = strtok_r(NULL, " \t\r", &save)))
        if (take_option(&host->options, word, line, err) < 0)
            return -1;
    return host->name ? 0 : err_memory(err, "hosts");
}

int enroll_parse(char *text, struct enroll_list *out, struct err *err)
{
    size_t line = 0;

    for (char *at = text; at;) {
        char *end = strchr(at, '\n');
        if (end)
            *end = '\0';
        if (take_host(at, ++line, out, err) < 0)
            return enroll_list_clear(out), -1;
        at = end ? end + 1 : NULL;
    }
    return 0;
}

void enroll_list_clear(struct enroll_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->hosts[i].name);
        facts_clear(&list->hosts[i].options);
    }
    free(list->hosts);
    *list = (struct enroll_list){0};
}

/* A double-quoted YAML scalar. */
static void add_scalar(struct text *out, const char *value)
{
    text_add(out, "\"");
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            text_addf(out, "\\%c", *value);
        else if ((unsigned char)*value < ' ')
            text_addf(out, "\\x%02x", (unsigned char)*value);
        else
            text_add_len(out, value, 1);
    }
    text_add(out, "\"");
}

static bool is_list(const char *name)
{
    return strcmp(name, "pools") == 0 || strcmp(name, "repositories") == 0 || strcmp(name, "backends") == 0;
}

/* "a,b" of an option that takes a list becomes a YAML list. */
static void add_value(struct text *out, const char *name, const char *value)
{
    if (!is_list(name)) {
        add_scalar(out, value);
        return;
    }
    text_add(out, "[");
    while (*value) {
        size_t len = strcspn(value, ",");
        CLEANUP(freep) char *item = strndup(value, len);
        text_add(out, out->data[out->len - 1] == '[' ? "" : ", ");
        add_scalar(out, item ? item : "");
        value += len + (value[len] == ',');
    }
    text_add(out, "]");
}

/* Members of one mapping next to each other: facts are sorted, so "kafka.x" and "kafka.y" are. */
static void add_options(struct text *out, const struct facts *options)
{
    char group[64] = "";

    for (size_t i = 0; i < options->count; i++) {
        const char *key = options->items[i].key, *dot = strchr(key, '.');
        size_t len = dot ? (size_t)(dot - key) : 0;
        if (dot && (strlen(group) != len || strncmp(group, key, len) != 0)) {
            snprintf(group, sizeof group, "%.*s", (int)len, key);
            text_addf(out, "%s:\n", group);
        }
        if (!dot)
            *group = '\0';
        text_addf(out, "%s%s: ", dot ? "  " : "", dot ? dot + 1 : key);
        add_value(out, key, options->items[i].value);
        text_add(out, "\n");
    }
}

static void add_extra(struct text *out, const json_t *extra)
{
    const char *key;
    json_t *value;

    if (json_object_size(extra) == 0)
        return;
    text_add(out, "kafka.extra:\n");
    json_object_foreach((json_t *)extra, key, value)
    {
        text_add(out, "  ");
        add_scalar(out, key);
        text_add(out, ": ");
        add_scalar(out, json_string_value(value) ? json_string_value(value) : "");
        text_add(out, "\n");
    }
}

static int join(char out[PATH_MAX], const char *folder, const char *name, struct err *err)
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX)
        return 0;
    return err_set(err, ERR_PERMANENT, "%s: the path is too long", name);
}

static int set_default(struct facts *options, const char *name, const char *value, struct err *err)
{
    return facts_get(options, name) || !*value ? 0 : facts_set(options, name, value, err);
}

/* A path with a comma cannot be said in such a list; it is left to the person. */
static int set_paths(struct facts *options, const char *name, const json_t *paths, struct err *err)
{
    CLEANUP(text_free) struct text list = {0};
    const json_t *path;
    size_t index;

    json_array_foreach(paths, index, path)
    {
        const char *value = json_string_value(path);
        if (value && *value && !strchr(value, ','))
            text_addf(&list, "%s%s", list.len ? "," : "", value);
    }
    return list.failed ? err_memory(err, name) : set_default(options, name, text_str(&list), err);
}

/* What the worker of the machine that is replaced told of its configuration. */
static int set_before(struct facts *options, const json_t *before, struct err *err)
{
    if (set_paths(options, "pools", json_object_get(before, "pools"), err) < 0 ||
        set_paths(options, "repositories", json_object_get(before, "repositories"), err) < 0)
        return -1;
    return set_default(options, "libvirt.uri", member_text(before, "libvirt_uri"), err);
}

int enroll_yaml(const struct enroll_host *host, const json_t *bundle, struct text *out, struct err *err)
{
    CLEANUP(facts_clear) struct facts options = {0};
    const char *password = *member_text(bundle, "redis_password") ? PASSWORD_FILE : "";

    if (facts_copy(&options, &host->options, err) < 0 || set_default(&options, "host", host->name, err) < 0 ||
        set_default(&options, "kafka.brokers", member_text(bundle, "kafka_brokers"), err) < 0 ||
        set_default(&options, "redis.address", member_text(bundle, "redis_address"), err) < 0 ||
        set_default(&options, "redis.user", member_text(bundle, "redis_user"), err) < 0 ||
        set_default(&options, "redis.password_file", password, err) < 0 ||
        set_default(&options, "key_file", KEY_FILE, err) < 0 ||
        set_before(&options, json_object_get(bundle, "before"), err) < 0)
        return -1;
    text_addf(out, "# Made by fleetsnap host enroll for %s. Options: fleetsnap-worker --help\n", host->name);
    add_options(out, &options);
    add_extra(out, json_object_get(bundle, "kafka_extra"));
    return out->failed ? err_memory(err, "worker.yaml") : 0;
}

/* ---- files ---- */

static int write_secret(const char *folder, const char *name, const char *text, struct err *err)
{
    char path[PATH_MAX];

    if (join(path, folder, name, err) < 0)
        return -1;
    return file_write_atomic(path, text, strlen(text), 0600, err);
}

static int write_bundle(const struct enroll_host *host, const json_t *bundle, const char *folder, struct err *err)
{
    CLEANUP(text_free) struct text yaml = {0};
    const char *password = member_text(bundle, "redis_password");

    if (file_make_directories(folder, 0700, err) < 0 || enroll_yaml(host, bundle, &yaml, err) < 0)
        return -1;
    if (write_secret(folder, KEY_FILE, member_text(bundle, "key_file"), err) < 0)
        return -1;
    if (*password && write_secret(folder, PASSWORD_FILE, password, err) < 0)
        return -1;
    return write_secret(folder, "worker.yaml", text_str(&yaml), err);
}

/* verb: of the path; takes the body over. */
static int bundle_one(struct cli *cli, const struct invocation *invocation, const char *verb, json_t *body,
                      const struct enroll_host *host, json_t *done)
{
    CLEANUP(text_free) struct text path = {0};
    char folder[PATH_MAX], key[300], what[32];
    const char *id = invocation_value(invocation, "request-id");
    json_t *bundle = NULL;
    struct err err = {0};

    snprintf(what, sizeof what, "host %s", verb);
    text_add(&path, "/v1/hosts");
    call_path(&path, host->name);
    text_addf(&path, "/%s", verb);
    snprintf(key, sizeof key, "%.100s-%s", id ? id : "", host->name);
    if (join(folder, invocation_value(invocation, "out"), host->name, &err) < 0)
        return json_decref(body), cli_fail_err(cli, EXIT_USAGE, what, &err);
    int code = call_change(cli, what, "POST", text_str(&path), body, id ? key : NULL, &bundle);
    json_decref(body);
    if (code == 0 && write_bundle(host, bundle, folder, &err) < 0)
        code = cli_fail_err(cli, EXIT_FAILED, what, &err);
    if (code == 0) {
        json_array_append_new(done, json_pack("{s:s, s:s}", "host", host->name, "bundle", folder));
        if (!cli->json)
            fprintf(cli->out, "%s  %s/worker.yaml\n", host->name, folder);
    }
    json_decref(bundle);
    return code;
}

static int load(struct cli *cli, const struct invocation *invocation, struct enroll_list *out)
{
    const char *from = invocation_value(invocation, "from"), *name = invocation_argument(invocation, "HOST");
    CLEANUP(freep) char *text = NULL;
    char full[PATH_MAX];
    struct err err = {0};
    size_t len;

    if (!from == !name)
        return cli_fail(cli, EXIT_USAGE, "host enroll", NULL, "say one HOST, or many with --from FILE");
    if (name) {
        if (!(text = strdup(name)))
            return cli_fail(cli, EXIT_FAILED, "host enroll", NULL, "out of memory");
    } else if (!realpath(from, full)) {
        return cli_fail(cli, EXIT_USAGE, "host enroll", NULL, "cannot read %s", from);
    } else if (file_read(full, LIST_BYTES_MAX, &text, &len, &err) < 0) {
        return cli_fail_err(cli, EXIT_USAGE, "host enroll", &err);
    }
    if (enroll_parse(text, out, &err) < 0)
        return cli_fail_err(cli, EXIT_USAGE, from ? from : "host enroll", &err);
    return out->count ? 0 : cli_fail(cli, EXIT_USAGE, from ? from : "host enroll", NULL, "names no host");
}

int run_host_enroll(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(enroll_list_clear) struct enroll_list list = {0};
    const char *out = invocation_value(invocation, "out");
    json_t *done = json_array();
    int code = load(cli, invocation, &list);

    if (code == 0 && !out)
        code = cli_fail(cli, EXIT_USAGE, "host enroll", NULL, "say where the bundles go: --out DIR");
    for (size_t i = 0; code == 0 && i < list.count; i++) {
        if (invocation_has(invocation, "dry-run"))
            fprintf(cli->out, "%s  would get a bundle in %s/%s; nothing has been changed.\n", list.hosts[i].name, out,
                    list.hosts[i].name);
        else
            code = bundle_one(cli, invocation, "enroll",
                              json_pack("{s:b}", "rotate", invocation_has(invocation, "rotate")), &list.hosts[i], done);
    }
    if (code == 0 && cli->json)
        cli_print_json(cli, done);
    else if (code == 0 && !invocation_has(invocation, "dry-run"))
        fprintf(cli->err, "The bundles hold secrets. On each host: fleetsnap-worker --config worker.yaml\n");
    json_decref(done);
    return code;
}

/* Of the options of worker.yaml it knows pools, repositories and libvirt.uri, as the worker before told them. */
int run_host_replace(struct cli *cli, const struct invocation *invocation)
{
    struct enroll_host host = {.name = (char *)invocation_argument(invocation, "HOST")};
    const char *out = invocation_value(invocation, "out"), *reason = invocation_value(invocation, "reason");

    if (!out)
        return cli_fail(cli, EXIT_USAGE, "host replace", NULL, "say where the bundle goes: --out DIR");
    int code = confirm_departure(cli, invocation, "host replace", "is another machine from now on");
    if (code || invocation_has(invocation, "dry-run"))
        return code;
    json_t *done = json_array(),
           *body = json_pack("{s:b, s:s*}", "force", invocation_has(invocation, "force"), "reason", reason);
    code = bundle_one(cli, invocation, "replace", body, &host, done);
    if (code == 0 && cli->json)
        cli_print_json(cli, json_array_get(done, 0));
    else if (code == 0)
        fprintf(
            cli->err,
            "The bundle holds secrets. Pools, repositories and libvirt.uri are those of the machine before, as it told them: look at them.\n"
            "On the new machine: fleetsnap-worker --config worker.yaml\n");
    json_decref(done);
    return code;
}
