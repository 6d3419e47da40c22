/*
 * The catalog says which backups are of a group, for as long as they are there: the ledger forgets the group itself after a while. A group is whole when each of its machines has a
 * complete backup; where the original is gone a copy of it will do. Of two groups of one name the newer one is meant.
 */
#include "coordinator/cli/group_points.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/show.h"

#include <string.h>

static const char *target_of(const json_t *point)
{
    return member_text(json_object_get(point, "target"), "id");
}

static const char *name_of(const json_t *point)
{
    return show_or(member_text(json_object_get(point, "target"), "name"), target_of(point));
}

/* ---- which ---- */

static size_t find(const json_t *points, const char *target)
{
    const json_t *point;
    size_t index;

    json_array_foreach(points, index, point)
    {
        if (strcmp(target_of(point), target) == 0)
            return index;
    }
    return json_array_size(points);
}

static json_t *one_of_each(const json_t *all)
{
    const char *group = member_text(json_array_get(all, 0), "group"); /* newest first */
    json_t *chosen = json_array(), *point;
    size_t index;

    json_array_foreach((json_t *)all, index, point)
    {
        size_t known = find(chosen, target_of(point));
        if (strcmp(member_text(point, "group"), group) != 0 || strcmp(member_text(point, "state"), "complete") != 0)
            continue;
        if (known == json_array_size(chosen))
            json_array_append(chosen, point);
        else if (!*member_text(point, "copied_point"))
            json_array_set(chosen, known, point);
    }
    return chosen;
}

static int not_whole(struct cli *cli, const char *subject, const char *group, const json_t *chosen, int64_t members)
{
    CLEANUP(text_freep) struct text names = {0};
    const json_t *point;
    size_t index;

    json_array_foreach(chosen, index, point) text_addf(&names, "%s%s", index ? ", " : "", name_of(point));
    return cli_fail(cli, EXIT_FAILED, subject, "One by one they can be restored: fleetsnap backup list --group GROUP",
                    "group %s has %lld machines, and there is a backup of %s only; nothing was done", group,
                    (long long)members, names.len ? text_str(&names) : "none");
}

/* ---- what can be said ---- */

static int check_words(struct cli *cli, const char *subject, const struct invocation *invocation)
{
    static const char *const of_one[] = {"at", "xml", "disk-file"};
    const char *as = invocation_value(invocation, "as");

    for (size_t i = 0; i < sizeof of_one / sizeof *of_one; i++)
        if (invocation_has(invocation, of_one[i]))
            return cli_fail(cli, EXIT_USAGE, subject, NULL, "--%s cannot be said of a group", of_one[i]);
    if (as && !strchr(as, '%'))
        return cli_fail(cli, EXIT_USAGE, subject, NULL,
                        "--as of a group needs a %% for the name of each machine: --as %s-%%", as);
    return 0;
}

static int check_names(struct cli *cli, const char *subject, const json_t *chosen)
{
    for (size_t i = 0; i < json_array_size(chosen); i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(name_of(json_array_get(chosen, i)), name_of(json_array_get(chosen, k))) == 0)
                return cli_fail(cli, EXIT_USAGE, subject,
                                "fleetsnap backup list --group GROUP, and restore them one by one",
                                "two machines of the group are called %s: they cannot both get that new name",
                                name_of(json_array_get(chosen, i)));
    return 0;
}

int group_points(struct cli *cli, const char *subject, const struct invocation *invocation, json_t **out)
{
    CLEANUP(text_freep) struct text path = {0};
    const char *group = invocation_value(invocation, "group");
    json_t *all = NULL;
    int code = check_words(cli, subject, invocation);

    text_add(&path, "/v1/points?kind=backup");
    call_query(&path, "group", group);
    code = code ? code : call_list(cli, subject, 0, &all, "%s", text_str(&path));
    if (code)
        return code;
    json_t *chosen = one_of_each(all);
    int64_t members = member_int(json_array_get(all, 0), "group_members");
    if (!json_array_size(all))
        code = cli_fail(cli, EXIT_USAGE, subject, "Those that were made: fleetsnap deploy list",
                        "there are no backups of a group \"%s\"", group);
    else if ((int64_t)json_array_size(chosen) < members)
        code = not_whole(cli, subject, group, chosen, members);
    else if (invocation_has(invocation, "as"))
        code = check_names(cli, subject, chosen);
    json_decref(all);
    if (code)
        return json_decref(chosen), code;
    *out = chosen;
    return 0;
}

json_t *group_member_name(const char *pattern, const json_t *point)
{
    const char *percent = strchr(pattern, '%');

    return json_sprintf("%.*s%s%s", (int)(percent - pattern), pattern, name_of(point), percent + 1);
}
