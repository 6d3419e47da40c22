/* The machine that backups are of: one that is there, or, when no machine has the name any more, one that is gone and left backups. */
#include "base/err.h"
#include "base/text.h"
#include "coordinator/api/internal.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 1000, PAGES_MAX = 20 };

static void add_names(const json_t *page, const char *name, json_t *found)
{
    char id[TARGET_TEXT];
    json_t *point;
    size_t index;

    json_array_foreach(json_object_get(page, "items"), index, point)
    {
        const json_t *target = json_object_get(point, "target");
        const char *own = json_text(target, "name");
        if (!own || strcmp(own, name) != 0)
            continue;
        snprintf(id, sizeof id, "%s:%s", json_text(target, "kind"), json_text(target, "id"));
        json_object_set_new(found, id, json_true());
    }
}

/* An object with a member "kind:id" for each that is gone and had this name. */
static int find_gone(struct api_request *request, const char *name, json_t *found, struct err *err)
{
    char cursor[256] = "";

    for (int i = 0; i < PAGES_MAX && (i == 0 || *cursor); i++) {
        struct view_filter filter = {.kind = "backup", .gone = true, .limit = PAGE, .after = *cursor ? cursor : NULL};
        json_t *page = NULL;
        if (view_points(request->reader, &filter, &page, err) < 0)
            return -1;
        add_names(page, name, found);
        const char *next = json_text(page, "next");
        snprintf(cursor, sizeof cursor, "%s", next ? next : "");
        json_decref(page);
    }
    return 0;
}

static int several(struct api_response *response, const char *text, const json_t *found)
{
    struct text list = {0};
    const char *id;
    json_t *value;

    json_object_foreach((json_t *)found, id, value) text_addf(&list, "%s%s", list.len ? ", " : "", id);
    api_problem(response, 409, "ambiguous", text, "Say which", "several machines that are gone had the name \"%s\": %s",
                text, text_str(&list));
    text_free(&list);
    return -1;
}

static int of_present(struct api_request *request, struct api_response *response, const char *text, char *out)
{
    struct api_target target = {0};

    if (api_resolve_target(request, response, text, &target) < 0)
        return -1;
    snprintf(out, TARGET_TEXT, "%s:%s", target.kind, target.id);
    api_target_clear(&target);
    return 0;
}

/* 1: *out is one that is gone; 0: none is; -1: the response says why not. */
static int of_gone(struct api_request *request, struct api_response *response, const char *text, char *out)
{
    json_t *gone = json_object();
    struct err err = {0};
    int result = 0;

    if (find_gone(request, text, gone, &err) < 0) {
        api_problem_err(response, text, &err);
        result = -1;
    } else if (json_object_size(gone) > 1) {
        result = several(response, text, gone);
    } else if (json_object_size(gone) == 1) {
        snprintf(out, TARGET_TEXT, "%s", json_object_iter_key(json_object_iter(gone)));
        result = 1;
    }
    json_decref(gone);
    return result;
}

int api_resolve_source(struct api_request *request, struct api_response *response, const char *text, char *out)
{
    json_t *present = NULL;
    struct err err = {0};

    if (strchr(text, ':')) {
        snprintf(out, TARGET_TEXT, "%s", text);
        return 0;
    }
    if (view_resolve(request->reader, text, &present, NULL, &err) < 0)
        return api_problem_err(response, text, &err), -1;
    bool is_present = json_array_size(present) > 0;
    json_decref(present);
    int gone = is_present ? 0 : of_gone(request, response, text, out);
    return gone ? (gone < 0 ? -1 : 0) : of_present(request, response, text, out);
}
