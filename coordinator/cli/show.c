#include "coordinator/cli/show.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/command.h"

#include <stdarg.h>
#include <string.h>

char *show_time(const struct cli *cli, const json_t *object, const char *member, char *out, size_t size)
{
    int64_t ms = member_time(object, member);

    if (!ms)
        snprintf(out, size, "–");
    else
        format_time(ms, cli->utc, out, size);
    return out;
}

char *show_age(const struct cli *cli, const json_t *object, const char *member, char *out, size_t size)
{
    int64_t ms = member_time(object, member), seconds = (cli_now(cli) - ms) / 1000, minutes = seconds / 60;

    if (!ms)
        snprintf(out, size, "never");
    else if (seconds < 60)
        snprintf(out, size, "%llds", (long long)(seconds < 0 ? 0 : seconds));
    else if (minutes < 60)
        snprintf(out, size, "%lldm", (long long)minutes);
    else if (minutes < 48 * 60)
        snprintf(out, size, "%lldh", (long long)(minutes / 60));
    else
        snprintf(out, size, "%lldd", (long long)(minutes / 60 / 24));
    return out;
}

char *show_elapsed(const struct cli *cli, const json_t *object, const char *member, char *out, size_t size)
{
    int64_t seconds = (cli_now(cli) - member_time(object, member)) / 1000;

    if (seconds >= 60)
        return format_duration(seconds / 60 * 60000, out, size);
    snprintf(out, size, "%lld s", (long long)(seconds < 1 ? 1 : seconds));
    return out;
}

char *show_size(int64_t bytes, char *out, size_t size)
{
    if (bytes > 0)
        return format_size(bytes, out, size);
    snprintf(out, size, "–");
    return out;
}

const char *show_or(const char *text, const char *other)
{
    return text && *text ? text : other;
}

void show_pair(struct cli *cli, const char *name, const char *format, ...)
{
    CLEANUP(freep) char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    CLEANUP(freep) char *plain = text_plain(text ? text : "");
    size_t len = plain ? strlen(plain) : 0;
    while (len && plain[len - 1] == ' ') /* parts that were empty */
        len--;
    fprintf(cli->out, "  %-13s %.*s\n", name, (int)len, plain ? plain : "");
}

char *show_labels(const json_t *labels)
{
    struct text text = {0};
    const char *key;
    json_t *value;

    text_add(&text, "");
    json_object_foreach((json_t *)labels, key, value)
    {
        const char *written = json_string_value(value);
        text_addf(&text, "%s%s%s%s", text.len ? " " : "", key, written && *written ? "=" : "", written ? written : "");
    }
    if (!text.len)
        text_add(&text, "–");
    return text_take(&text);
}

void show_table(struct cli *cli, struct table *table, const char *none)
{
    if (table->count == 0)
        fprintf(cli->err, "%s\n", none);
    else
        table_print(table, cli->out, cli->out_terminal ? cli->width : 0, cli->colour);
}

const char *show_target(const json_t *object)
{
    const json_t *target = json_object_get(object, "target");

    return show_or(member_text(target, "name"), member_text(target, "id"));
}

/* "24h" or a time → RFC 3339, as the API wants it. */
int when_ms(struct cli *cli, const char *subject, const char *value, int64_t *out)
{
    struct err err = {0};

    *out = 0;
    if (!value)
        return 0;
    if (parse_duration(value, out, NULL) == 0)
        *out = cli_now(cli) - *out;
    else if (parse_time(value, out, &err) < 0)
        return cli_fail_err(cli, EXIT_USAGE, subject, &err);
    return 0;
}

int when_text(struct cli *cli, const char *subject, const char *value, char *out, size_t size)
{
    int64_t ms;
    int code = when_ms(cli, subject, value, &ms);

    *out = '\0';
    if (code == 0 && value)
        format_rfc3339(ms, out, size);
    return code;
}

int limit_of(struct cli *cli, const char *subject, const struct invocation *invocation, int64_t fallback, int64_t *out)
{
    const char *value = invocation_value(invocation, "limit");
    struct err err = {0};

    *out = fallback;
    if (!value || parse_int(value, 1, 1000000, out, &err) == 0)
        return 0;
    err_wrap(&err, "--limit");
    return cli_fail_err(cli, EXIT_USAGE, subject, &err);
}
