#include "base/err.h"
#include "coordinator/api/internal.h"

#include <stdio.h>
#include <string.h>

int api_dead_letters_list(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"host", "since", "limit", "after", NULL};
    struct view_filter filter;
    struct err err = {0};
    json_t *page = NULL;

    if (!api_scope_is_all(request, response) || !api_filter(request, response, allowed, &filter))
        return 0;
    int failed = view_dead_letters(request->reader, &filter, &page, &err);
    return api_view(response, "dlq", failed, page, &err);
}

static json_t *find_in(const json_t *page, const char *partition, const char *offset)
{
    char text[32];
    json_t *item;
    size_t index;

    json_array_foreach(json_object_get(page, "items"), index, item)
    {
        snprintf(text, sizeof text, "%lld", (long long)json_int(item, "dlq_partition"));
        if (strcmp(text, partition) != 0)
            continue;
        snprintf(text, sizeof text, "%lld", (long long)json_int(item, "dlq_offset"));
        if (strcmp(text, offset) == 0)
            return json_incref(item);
    }
    return NULL;
}

/* Few are ever there, so the pages are walked. */
int api_dead_letters_show(struct api_request *request, struct api_response *response)
{
    char cursor[256] = "";
    struct view_filter filter = {.limit = 1000};
    struct err err = {0};
    json_t *page = NULL, *found = NULL;

    if (!api_scope_is_all(request, response))
        return 0;
    do {
        json_decref(page);
        page = NULL;
        filter.after = *cursor ? cursor : NULL;
        if (view_dead_letters(request->reader, &filter, &page, &err) < 0)
            return api_problem_err(response, "dlq", &err);
        found = find_in(page, request->arguments[0], request->arguments[1]);
        const char *next = json_text(page, "next");
        snprintf(cursor, sizeof cursor, "%s", next ? next : "");
    } while (!found && *cursor);
    json_decref(page);
    if (!found)
        return api_problem(response, 404, "not_found", "dlq", "All of them: fleetsnap dlq list",
                           "no record %s in partition %s", request->arguments[1], request->arguments[0]);
    return api_answer(response, 200, found);
}
