#include "coordinator/cli/snapshots.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "coordinator/cli/command.h"

#include <string.h>

enum { DEPTH_MAX = 1000 };

const json_t *snapshot_row_find(const json_t *snapshots, const char *name)
{
    const json_t *item;
    size_t index;

    json_array_foreach(snapshots, index, item)
    {
        if (name ? strcmp(member_text(item, "name"), name) == 0 : member_true(item, "current"))
            return item;
    }
    return NULL;
}

/* "active": with the memory of a running guest. */
static bool is_state(const json_t *item, const char *which)
{
    const char *state = member_text(item, "state");
    bool inactive = strcmp(state, "shutoff") == 0 || strcmp(state, "shut off") == 0,
         disk_only = strcmp(state, "disk-only") == 0;

    if (strcmp(which, "inactive") == 0)
        return inactive;
    return strcmp(which, "disk-only") == 0 ? disk_only : !inactive && !disk_only;
}

static bool passes(const json_t *item, const char *filter)
{
    if (strcmp(filter, "leaves") == 0)
        return member_int(item, "children") == 0;
    if (strcmp(filter, "no-leaves") == 0)
        return member_int(item, "children") > 0;
    if (strcmp(filter, "metadata") == 0)
        return member_true(item, "has_metadata");
    if (strcmp(filter, "no-metadata") == 0)
        return !member_true(item, "has_metadata");
    if (strcmp(filter, "internal") == 0 || strcmp(filter, "external") == 0)
        return strcmp(member_text(item, "location"), filter) == 0;
    return is_state(item, filter);
}

static bool descends(const json_t *snapshots, const json_t *item, const char *from, bool deep)
{
    for (int depth = 0; item && depth < DEPTH_MAX; depth++) {
        const char *parent = member_text(item, "parent");
        if (strcmp(parent, from) == 0)
            return true;
        item = deep && *parent ? snapshot_row_find(snapshots, parent) : NULL;
    }
    return false;
}

/* Or within a group, and between groups. */
static bool passes_groups(const json_t *item, const struct invocation *invocation)
{
    static const char *const groups[][4] = {{"leaves", "no-leaves", NULL},
                                            {"metadata", "no-metadata", NULL},
                                            {"inactive", "active", "disk-only", NULL},
                                            {"internal", "external", NULL}};

    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        bool asked = false, good = false;
        for (size_t i = 0; i < 4 && groups[g][i]; i++) {
            if (!invocation_has(invocation, groups[g][i]))
                continue;
            asked = true;
            good = good || passes(item, groups[g][i]);
        }
        if (asked && !good)
            return false;
    }
    return true;
}

static const char *parent_of(const struct invocation *invocation)
{
    const char *parent = invocation_value(invocation, "parent");

    return parent ? parent : invocation_value(invocation, "from");
}

static int depth_of(const json_t *snapshots, const json_t *item)
{
    int depth = 0;

    while (item && *member_text(item, "parent") && depth < DEPTH_MAX) {
        item = snapshot_row_find(snapshots, member_text(item, "parent"));
        depth++;
    }
    return depth;
}

static json_t *sorted(const json_t *snapshots)
{
    json_t *out = json_array(), *item;
    size_t index, count = json_array_size(snapshots);

    for (int depth = 0; json_array_size(out) < count && depth <= DEPTH_MAX; depth++) {
        json_array_foreach(snapshots, index, item)
        {
            if (depth_of(snapshots, item) == depth)
                json_array_append(out, item);
        }
    }
    return out;
}

static json_t *filter(const json_t *snapshots, const struct invocation *invocation)
{
    bool roots = invocation_has(invocation, "roots"), deep = invocation_has(invocation, "descendants");
    const char *parent = parent_of(invocation);
    json_t *out = json_array(), *item;
    size_t index;

    json_array_foreach(snapshots, index, item)
    {
        bool good = passes_groups(item, invocation) && (!roots || !*member_text(item, "parent")) &&
                    (!parent || descends(snapshots, item, parent, deep));
        if (good)
            json_array_append(out, item);
    }
    return out;
}

const char *snapshot_near(const json_t *snapshots, const char *name)
{
    const char *best = NULL;
    const json_t *item;
    size_t index, least = 4;

    json_array_foreach(snapshots, index, item)
    {
        size_t distance = text_distance(name, member_text(item, "name"));
        best = distance < least ? member_text(item, "name") : best;
        least = distance < least ? distance : least;
    }
    return best;
}

json_t *snapshot_names_below(const json_t *snapshots, const char *name, bool deep)
{
    json_t *out = json_array();
    const json_t *item;
    size_t index;

    json_array_foreach(snapshots, index, item)
    {
        if (descends(snapshots, item, name, deep))
            json_array_append(out, json_object_get(item, "name"));
    }
    return out;
}

/* What would be looked for in vain. */
static int check(const json_t *snapshots, const struct invocation *invocation, struct err *err)
{
    const char *parent = parent_of(invocation), *near;

    if (invocation_has(invocation, "descendants") && !parent)
        return err_set(err, ERR_PERMANENT, "--descendants: of which one? --parent NAME");
    if (invocation_has(invocation, "roots") && parent)
        return err_set(err, ERR_PERMANENT, "--roots and --parent exclude each other: a root has none");
    if (!parent || snapshot_row_find(snapshots, parent))
        return 0;
    err_set(err, ERR_PERMANENT, "no snapshot \"%s\"", parent);
    near = snapshot_near(snapshots, parent);
    return near ? err_hint(err, "Did you mean %s?", near) : -1;
}

int snapshots_select(const json_t *snapshots, const struct invocation *invocation, json_t **out, struct err *err)
{
    if (check(snapshots, invocation, err) < 0)
        return -1;
    json_t *all = invocation_has(invocation, "topological") ? sorted(snapshots) : json_incref((json_t *)snapshots);
    *out = filter(all, invocation);
    json_decref(all);
    return 0;
}
