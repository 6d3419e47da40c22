/* What was typed → the JSON of a job: each option row says which member of the params it sets. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "coordinator/cli/backup_xml_read.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/xml_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 48 * 1024 };

static int put(json_t *object, const char *member, json_t *value, struct err *err)
{
    return json_object_set_new(object, member, value) == 0 ? 0 : err_memory(err, member);
}

/* Words are written with '-', the API's with '_'. */
static json_t *choice(const char *value)
{
    CLEANUP(freep) char *text = strdup(value);

    for (char *c = text; c && *c; c++)
        *c = *c == '-' ? '_' : *c;
    return text ? json_string(text) : NULL;
}

static int add_list(json_t *params, const char *member, const char *value, struct err *err)
{
    json_t *list = json_object_get(params, member);

    if (!list && put(params, member, list = json_array(), err) < 0)
        return -1;
    for (const char *at = value; *at;) {
        size_t len = strcspn(at, ",");
        if (len && json_array_append_new(list, json_stringn(at, len)) < 0)
            return err_memory(err, member);
        at += len + (at[len] == ',');
    }
    return 0;
}

static int add_map(json_t *params, const struct option_row *row, const char *value, struct err *err)
{
    json_t *map = json_object_get(params, row->param);
    const char *equals = strchr(value, '=');
    char key[129];

    if (!equals || equals == value || (size_t)(equals - value) >= sizeof key)
        return err_set(err, ERR_PERMANENT, "--%s: \"%s\" is not KEY=VALUE", row->name, value);
    if (!map && put(params, row->param, map = json_object(), err) < 0)
        return -1;
    snprintf(key, sizeof key, "%.*s", (int)(equals - value), value);
    return put(map, key, json_string(equals + 1), err);
}

/* One "key=value" of a --diskspec or --memspec. */
static int add_spec(const struct option_row *row, json_t *spec, const char *part, size_t len, struct err *err)
{
    static const char *const names[][2] = {{"snapshot", "mode"}, {"file", "file"}, {"driver", "driver"}};
    size_t key_len = strcspn(part, "=");

    for (size_t i = 0; i < sizeof names / sizeof *names && key_len < len; i++)
        if (strlen(names[i][0]) == key_len && strncmp(part, names[i][0], key_len) == 0)
            return put(spec, names[i][1], json_stringn(part + key_len + 1, len - key_len - 1), err);
    return err_set(err, ERR_PERMANENT, "--%s: \"%.*s\" is none of snapshot=, file=, driver=", row->name, (int)len, part);
}

static int parse_spec(const struct option_row *row, json_t *spec, const char *text, struct err *err)
{
    while (*text) {
        size_t len = strcspn(text, ",");
        if (len && add_spec(row, spec, text, len, err) < 0)
            return -1;
        text += len + (text[len] == ',');
    }
    return 0;
}

static int add_diskspec(json_t *params, const struct option_row *row, const char *value, struct err *err)
{
    size_t len = strcspn(value, ",");
    json_t *list = json_object_get(params, "disks"), *disk = json_object();

    if (!len || memchr(value, '=', len))
        return json_decref(disk),
               err_set(err, ERR_PERMANENT, "--%s: \"%s\" does not begin with a disk, as in vda,snapshot=external",
                       row->name, value);
    if (!list)
        put(params, "disks", list = json_array(), err);
    json_object_set_new(disk, "name", json_stringn(value, len));
    json_array_append_new(list, disk);
    return parse_spec(row, disk, value + len + (value[len] == ','), err);
}

/* file=/x[,snapshot=external]; snapshot=no|internal without a file. */
static int add_memspec(json_t *params, const struct option_row *row, const char *value, struct err *err)
{
    json_t *spec = json_object();
    int result = parse_spec(row, spec, strchr(value, '=') ? value : "", err);

    if (result == 0 && !strchr(value, '='))
        json_object_set_new(spec, "file", json_string(value));
    const char *file = member_text(spec, "file"), *mode = member_text(spec, "mode");
    if (result == 0 && *file) {
        json_object_set_new(params, "memory_file", json_string(file));
        result = put(params, "memory", json_string("file"), err);
    } else if (result == 0) {
        result = put(params, "memory", json_string(strcmp(mode, "internal") == 0 ? "yes" : "no"), err);
    }
    json_decref(spec);
    return result;
}

static int read_file(const char *option, const char *path, char **out, struct err *err)
{
    char full[PATH_MAX];
    size_t len;

    if (!realpath(path, full))
        return err_set(err, ERR_PERMANENT, "--%s: cannot read %s: %s", option, path, strerror(errno));
    return file_read(full, FILE_BYTES_MAX, out, &len, err);
}

static int add_file(json_t *params, const struct option_row *row, const char *path, struct err *err)
{
    CLEANUP(freep) char *data = NULL;
    json_t *text;

    if (read_file(row->name, path, &data, err) < 0)
        return -1;
    text = json_string(data);
    return text ? put(params, row->param, text, err) : err_set(err, ERR_PERMANENT, "%s: is not UTF-8", path);
}

/* A time, or how long from now. */
static int parse_when(const char *value, int64_t *out, struct err *err)
{
    int64_t duration;

    if (parse_duration(value, &duration, NULL) < 0)
        return parse_time(value, out, err);
    *out = clock_real_ms() + duration;
    return 0;
}

static int number(const struct option_row *row, const char *value, int64_t *out, struct err *err)
{
    int result = row->kind == OPT_INT    ? parse_int(value, INT64_MIN, INT64_MAX, out, err)
                 : row->kind == OPT_SIZE ? parse_size(value, out, err)
                 : row->kind == OPT_TIME ? parse_when(value, out, err)
                                         : parse_duration(value, out, err);

    return result < 0 ? err_wrap(err, "--%s", row->name) : 0;
}

static int add_number(json_t *object, const char *member, const struct option_row *row, const char *value,
                      struct err *err)
{
    int64_t result;
    char text[40];

    if (row->choices && strcmp(value, row->choices) == 0) /* a word beside the numbers: "latest" */
        return put(object, member, json_string(value), err);
    if (number(row, value, &result, err) < 0)
        return -1;
    if (row->kind == OPT_TIME)
        return put(object, member, json_string(format_rfc3339(result, text, sizeof text)), err);
    return put(object, member, json_integer(result), err);
}

static int add_flag(json_t *params, const struct option_row *row, struct err *err)
{
    const json_t *before = json_object_get(params, row->param);
    bool yes = !row->set;

    if (yes || strcmp(row->set, "false") == 0) {
        if (json_is_boolean(before) && json_boolean_value(before) != yes)
            return err_set(err, ERR_PERMANENT, "--%s and its opposite exclude each other", row->name);
        return put(params, row->param, json_boolean(yes), err);
    }
    if (before && json_is_string(before) && strcmp(json_string_value(before), row->set) != 0)
        return err_set(err, ERR_PERMANENT, "--%s and \"%s\" exclude each other", row->name, json_string_value(before));
    return put(params, row->param, json_string(row->set), err);
}

static int add_option(json_t *params, const struct option_row *row, const char *value, struct err *err)
{
    switch (row->kind) {
    case OPT_FLAG: return add_flag(params, row, err);
    case OPT_TEXT: return put(params, row->param, json_string(value), err);
    case OPT_CHOICE: return put(params, row->param, choice(value), err);
    case OPT_INT:
    case OPT_SIZE:
    case OPT_DURATION:
    case OPT_TIME: return add_number(params, row->param, row, value, err);
    case OPT_LIST: return add_list(params, row->param, value, err);
    case OPT_MAP: return add_map(params, row, value, err);
    case OPT_FILE: return add_file(params, row, value, err);
    case OPT_DISKSPEC: return add_diskspec(params, row, value, err);
    case OPT_MEMSPEC: return add_memspec(params, row, value, err);
    }
    return 0;
}

/* What every job may say: of the request, not of its params. A duration is from now. */
static int add_common(json_t *request, const struct option_row *row, const char *value, struct err *err)
{
    if (strcmp(row->name, "dry-run") == 0)
        return put(request, "dry_run", json_true(), err);
    if (strcmp(row->name, "reason") == 0)
        return put(request, "reason", json_string(value), err);
    if (strcmp(row->name, "host") == 0 || strcmp(row->name, "on") == 0)
        return put(request, "host", json_string(value), err);
    if (strcmp(row->name, "priority") == 0)
        return add_number(request, "priority", row, value, err);
    if (strcmp(row->name, "deadline") == 0)
        return add_number(request, "deadline", row, value, err);
    if (strcmp(row->name, "not-before") == 0)
        return add_number(request, "not_before", row, value, err);
    return 0;
}

static int add_arguments(const struct invocation *invocation, json_t *request, json_t *params, struct err *err)
{
    const struct argument_row *rows = invocation->command->arguments;

    for (size_t i = 0; i < ARGUMENT_ROWS && rows[i].name; i++) {
        const char *value = invocation_argument(invocation, rows[i].name);
        if (!value || !rows[i].param)
            continue;
        bool target = strcmp(rows[i].param, "target") == 0;
        if (put(target ? request : params, rows[i].param, json_string(value), err) < 0)
            return -1;
    }
    return 0;
}

static int add_options(const struct invocation *invocation, json_t *request, json_t *params, struct err *err)
{
    for (size_t i = 0; i < invocation->value_count; i++) {
        const struct option_row *row = invocation->values[i].row;
        int result = row->param ? add_option(params, row, invocation->values[i].value, err)
                                : add_common(request, row, invocation->values[i].value, err);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* After the options: what both say is refused. */
static int add_backup_xml(const struct invocation *invocation, json_t *params, struct err *err)
{
    CLEANUP(freep) char *text = NULL;
    const char *path = strcmp(invocation->command->op, "backup.create") == 0 ? invocation_value(invocation, "xml")
                                                                             : NULL;

    if (!path)
        return 0;
    return read_file("xml", path, &text, err) < 0 ? -1 : backup_xml_read(text, path, params, err);
}

static int check_domain_xml(const struct invocation *invocation, const json_t *params, struct err *err)
{
    const char *path = strcmp(invocation->command->op, "backup.restore") == 0 ? invocation_value(invocation, "xml")
                                                                              : NULL;

    return path ? domain_xml_check(member_text(params, "xml"), path, err) : 0;
}

int invocation_request(const struct invocation *invocation, json_t **out, struct err *err)
{
    json_t *params = json_object();
    json_t *request = json_pack("{s:s*, s:o}", "op", invocation->command->op, "params", params);

    if (!request)
        return err_memory(err, "request");
    if (add_arguments(invocation, request, params, err) < 0 || add_options(invocation, request, params, err) < 0 ||
        add_backup_xml(invocation, params, err) < 0 || check_domain_xml(invocation, params, err) < 0)
        return json_decref(request), -1;
    *out = request;
    return 0;
}
