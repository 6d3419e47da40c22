/* The machine that backups are of: one that is there, or, when no machine has the name any more, one that is gone and left backups. */
#include "base/err.h"
#include "base/text.h"
#include "coordinator/api/internal.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PAGE = 1000, PAGES_MAX = 20 };

/* A name, and NAME@ID, which may be a name as well. */
struct wanted {
    const char *text, *prefix; /* prefix NULL: it is a name and nothing else */
    char name[API_NAME];
};

static struct wanted wanted_by(const char *text)
{
    struct wanted wanted = {.text = text};

    api_name_at(text, wanted.name, &wanted.prefix);
    return wanted;
}

static bool is_wanted(const struct wanted *wanted, const char *name, const char *id)
{
    return name && (strcmp(name, wanted->text) == 0 || (wanted->prefix && strcmp(name, wanted->name) == 0 && id &&
                                                        strncasecmp(id, wanted->prefix, strlen(wanted->prefix)) == 0));
}

static void add_names(const json_t *page, const struct wanted *wanted, json_t *found)
{
    char id[TARGET_TEXT];
    json_t *point;
    size_t index;

    json_array_foreach(json_object_get(page, "items"), index, point)
    {
        const json_t *target = json_object_get(point, "target");
        const char *name = json_text(target, "name");
        if (!is_wanted(wanted, name, json_text(target, "id")))
            continue;
        snprintf(id, sizeof id, "%s:%s", json_text(target, "kind"), json_text(target, "id"));
        json_object_set_new(found, id, json_string(name));
    }
}

/* An object with a member "kind:id" for each that is gone and had this name: the name. */
static int find_gone(struct api_request *request, const char *text, json_t *found, struct err *err)
{
    const struct wanted wanted = wanted_by(text);
    char cursor[256] = "";

    for (int i = 0; i < PAGES_MAX && (i == 0 || *cursor); i++) {
        struct view_filter filter = {.kind = "backup", .gone = true, .limit = PAGE, .after = *cursor ? cursor : NULL};
        json_t *page = NULL;
        if (view_points(request->reader, &filter, &page, err) < 0)
            return -1;
        add_names(page, &wanted, found);
        const char *next = json_text(page, "next");
        snprintf(cursor, sizeof cursor, "%s", next ? next : "");
        json_decref(page);
    }
    return 0;
}

/* "shop-1@3e1f0000, shop-1@77a00000": as each can be asked for. */
static void list_gone(const json_t *found, struct text *out)
{
    const char *id;
    json_t *name;

    json_object_foreach((json_t *)found, id, name)
        text_addf(out, "%s%s@%.8s", out->len ? ", " : "", json_string_value(name), strchr(id, ':') + 1);
}

static int several(struct api_response *response, const char *text, const json_t *found)
{
    struct text list = {0};

    list_gone(found, &list);
    api_problem(response, 409, "ambiguous", text, "Say which", "several machines that are gone had the name \"%s\": %s",
                text, text_str(&list));
    text_free(&list);
    return -1;
}

void api_gone_of_name(struct api_request *request, const char *name, char *out, size_t size)
{
    json_t *gone = json_object();
    struct text list = {0};

    if (find_gone(request, name, gone, NULL) == 0)
        list_gone(gone, &list);
    snprintf(out, size, "%s", text_str(&list));
    text_free(&list);
    json_decref(gone);
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
    if (api_find_targets(request, text, &present, NULL, &err) < 0)
        return api_problem_err(response, text, &err), -1;
    bool is_present = json_array_size(present) > 0;
    json_decref(present);
    int gone = is_present ? 0 : of_gone(request, response, text, out);
    return gone ? (gone < 0 ? -1 : 0) : of_present(request, response, text, out);
}
