#include "coordinator/cli/export_show.h"

#include <stdio.h>
#include <string.h>

static const char prefix[] = "uri.";

static const json_t *facts_of(const json_t *job)
{
    return json_object_get(json_object_get(job, "result"), "facts");
}

static bool is_uri(const char *key)
{
    return strncmp(key, prefix, strlen(prefix)) == 0;
}

bool export_told(const json_t *job)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)facts_of(job), key, value) if (is_uri(key)) return true;
    return false;
}

void export_print(FILE *out, const json_t *job)
{
    json_t *facts = (json_t *)facts_of(job), *value;
    const char *key;
    char context[160];

    json_object_foreach(facts, key, value)
    {
        if (!is_uri(key))
            continue;
        snprintf(context, sizeof context, "bitmap.%.128s", key + strlen(prefix));
        fprintf(out, "%s  %s%s%s\n", key + strlen(prefix), json_string_value(value),
                *member_text(facts, context) ? "  " : "", member_text(facts, context));
    }
    fflush(out);
}
