#include "coordinator/cli/tree.h"

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/cli.h"
#include "coordinator/cli/table.h"

#include <string.h>

enum { DEPTH_MAX = 200 };

struct tree {
    const json_t *snapshots;
    bool utc;
    FILE *out;
    size_t width; /* of the widest "├─ name" */
};

static bool exists(const json_t *snapshots, const char *name)
{
    const json_t *item;
    size_t index;

    json_array_foreach(snapshots, index, item)
    {
        if (strcmp(member_text(item, "name"), name) == 0)
            return true;
    }
    return false;
}

/* A parent that is not there (made by others, gone since) counts as none. */
static bool is_child(const json_t *snapshots, const json_t *item, const char *parent)
{
    const char *own = member_text(item, "parent");

    if (*parent)
        return strcmp(own, parent) == 0;
    return !*own || !exists(snapshots, own);
}

static void print_facts(const struct tree *tree, const json_t *item)
{
    const char *location = member_text(item, "location"), *state = member_text(item, "state"),
               *level = member_text(item, "level");
    char time[40];

    format_time(member_time(item, "created_at"), tree->utc, time, sizeof time);
    fprintf(tree->out, "  %-8s  %-9s  %s  %s%s%s\n", *location ? location : "–", *state ? state : "–", time,
            *level ? level : "–", *member_text(item, "owner") ? "" : "  (made by others)",
            member_true(item, "current") ? "  ← current" : "");
}

static void print_node(struct tree *tree, const json_t *item, const char *indent, bool last)
{
    CLEANUP(freep) char *name = text_plain(member_text(item, "name"));
    size_t used = text_columns(indent) + 3 + text_columns(name ? name : "");

    fprintf(tree->out, "%s%s %s%*s", indent, last ? "└─" : "├─", name ? name : "",
            (int)(tree->width > used ? tree->width - used : 0), "");
    print_facts(tree, item);
}

static size_t next_child(const struct tree *tree, const char *parent, size_t from)
{
    while (from < json_array_size(tree->snapshots) &&
           !is_child(tree->snapshots, json_array_get(tree->snapshots, from), parent))
        from++;
    return from;
}

/* measuring: only widths are learned. */
static void walk(struct tree *tree, const char *parent, const char *indent, int depth, bool measuring)
{
    size_t count = json_array_size(tree->snapshots), next;

    for (size_t i = next_child(tree, parent, 0); i < count && depth < DEPTH_MAX; i = next) {
        CLEANUP(text_free) struct text deeper = {0};
        const json_t *item = json_array_get(tree->snapshots, i);
        const char *name = member_text(item, "name");
        size_t used = text_columns(indent) + 3 + text_columns(name);

        next = next_child(tree, parent, i + 1);
        if (measuring)
            tree->width = used > tree->width ? used : tree->width;
        else
            print_node(tree, item, indent, next == count);
        text_addf(&deeper, "%s%s  ", indent, next == count ? " " : "│");
        if (*name)
            walk(tree, name, text_str(&deeper), depth + 1, measuring);
    }
}

void tree_print(const json_t *snapshots, bool utc, FILE *out)
{
    struct tree tree = {.snapshots = snapshots, .utc = utc, .out = out, .width = 0};

    walk(&tree, "", "", 0, true);
    fprintf(out, "base\n");
    walk(&tree, "", "", 0, false);
}
