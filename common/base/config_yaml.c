/*
 * Walks a YAML document by libyaml's nodes, which keep their marks. Nested mappings become dotted names. Aliases can make a small file walk like a huge
 * one, so nesting and the number of nodes visited are limited, not only the size.
 */
#include "base/cleanup.h"
#include "base/config_internal.h"
#include "base/err.h"
#include "base/facts.h"
#include "base/file.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { FILE_BYTES_MAX = 1024 * 1024, DEPTH_MAX = 8, NODES_MAX = 20000, NAME_MAX_BYTES = 256 };

struct walk {
    const char *path;
    const char *folder;
    const struct option *rows;
    void *config;
    bool *seen;
    yaml_document_t *document;
    size_t nodes;
    char place[512]; /* of the node that is being looked at */
};

static int walk_mapping(struct walk *walk, const yaml_node_t *node, const char *prefix, int depth, struct err *err);

static yaml_node_t *get(struct walk *walk, int index)
{
    return yaml_document_get_node(walk->document, index);
}

static const char *place_of(struct walk *walk, const yaml_node_t *node)
{
    snprintf(walk->place, sizeof walk->place, "%s:%zu:%zu", walk->path, node->start_mark.line + 1,
             node->start_mark.column + 1);
    return walk->place;
}

/* A plain scalar that is empty, ~ or null: as if the key were not there. */
static bool is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *text = (const char *)node->data.scalar.value;
    return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

/* The text of a scalar, or NULL; a NUL inside would hide what follows it. */
static const char *scalar(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
        return NULL;
    return (const char *)node->data.scalar.value;
}

static int set_list(struct walk *walk, const struct option *row, const yaml_node_t *node, struct err *err)
{
    yaml_node_item_t *first = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - first);
    CLEANUP(freep) const char **items = calloc(count + 1, sizeof *items);

    if (!items)
        return err_memory(err, walk->path);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = get(walk, first[i]);
        items[i] = scalar(item);
        if (!items[i] || ++walk->nodes > NODES_MAX)
            return err_set(err, ERR_PERMANENT, "%s: %s: not a plain value", place_of(walk, item), row->name);
    }
    struct config_value value = {
        .place = place_of(walk, node), .folder = walk->folder, .items = items, .count = count, .list = true};
    return config_set(row, walk->config, &value, err);
}

static int set_map(struct walk *walk, const struct option *row, const yaml_node_t *node, struct err *err)
{
    yaml_node_pair_t *pair = node->data.mapping.pairs.start;

    for (; pair < node->data.mapping.pairs.top; pair++) {
        const char *key = scalar(get(walk, pair->key));
        const char *value = scalar(get(walk, pair->value));
        place_of(walk, get(walk, pair->value));
        if (!key || !value || ++walk->nodes > NODES_MAX)
            return err_set(err, ERR_PERMANENT, "%s: %s: not a plain value", walk->place, row->name);
        if (config_set_map(row, walk->config, walk->place, key, value, err) < 0)
            return -1;
    }
    return 0;
}

static int set_scalar(struct walk *walk, const struct option *row, const yaml_node_t *node, struct err *err)
{
    const char *text = scalar(node);
    struct config_value value = {.place = place_of(walk, node), .folder = walk->folder, .items = &text, .count = 1};

    if (!text)
        return err_set(err, ERR_PERMANENT, "%s: %s: not a plain value", value.place, row->name);
    if (row->type == OPTION_MAP)
        return err_set(err, ERR_PERMANENT, "%s: %s: takes a mapping", value.place, row->name);
    return config_set(row, walk->config, &value, err);
}

static int set_row(struct walk *walk, const struct option *row, const yaml_node_t *node, struct err *err)
{
    bool *seen = &walk->seen[row - walk->rows];

    if (*seen)
        return err_set(err, ERR_PERMANENT, "%s: %s: given twice", place_of(walk, node), row->name);
    if (is_null(node))
        return 0;
    *seen = true;
    if (node->type == YAML_SEQUENCE_NODE)
        return set_list(walk, row, node, err);
    if (node->type != YAML_MAPPING_NODE)
        return set_scalar(walk, row, node, err);
    if (row->type != OPTION_MAP)
        return err_set(err, ERR_PERMANENT, "%s: %s: takes a value, not a mapping", place_of(walk, node), row->name);
    return set_map(walk, row, node, err);
}

static bool is_section(const struct option *rows, const char *name)
{
    size_t len = strlen(name);

    for (; rows->name; rows++)
        if (strncmp(rows->name, name, len) == 0 && rows->name[len] == '.')
            return true;
    return false;
}

static int walk_pair(struct walk *walk, const yaml_node_t *key, const yaml_node_t *value, const char *prefix, int depth,
                     struct err *err)
{
    char name[NAME_MAX_BYTES];
    const char *text = scalar(key);

    place_of(walk, key);
    if (!text || ++walk->nodes > NODES_MAX)
        return err_set(err, ERR_PERMANENT, "%s: not a name, or too much in this file", walk->place);
    int len = snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", text);
    const struct option *row = len < NAME_MAX_BYTES ? config_find(walk->rows, name) : NULL;
    if (row)
        return set_row(walk, row, value, err);
    if (!is_section(walk->rows, name) || len >= NAME_MAX_BYTES)
        return config_unknown(walk->rows, walk->place, name, err);
    if (is_null(value))
        return 0;
    if (value->type != YAML_MAPPING_NODE)
        return err_set(err, ERR_PERMANENT, "%s: %s: is a section, not a value", place_of(walk, value), name);
    return walk_mapping(walk, value, name, depth + 1, err);
}

static int walk_mapping(struct walk *walk, const yaml_node_t *node, const char *prefix, int depth, struct err *err)
{
    yaml_node_pair_t *pair = node->data.mapping.pairs.start;

    if (depth > DEPTH_MAX)
        return err_set(err, ERR_PERMANENT, "%s: nested too deeply", place_of(walk, node));
    for (; pair < node->data.mapping.pairs.top; pair++)
        if (walk_pair(walk, get(walk, pair->key), get(walk, pair->value), prefix, depth, err) < 0)
            return -1;
    return 0;
}

static int walk_document(struct walk *walk, struct err *err)
{
    const yaml_node_t *root = yaml_document_get_root_node(walk->document);

    if (!root || is_null(root))
        return 0;
    if (root->type != YAML_MAPPING_NODE)
        return err_set(err, ERR_PERMANENT, "%s: not a mapping of options", place_of(walk, root));
    return walk_mapping(walk, root, "", 0, err);
}

static int parse(struct walk *walk, const char *data, size_t len, struct err *err)
{
    yaml_parser_t parser;
    yaml_document_t document;

    if (!yaml_parser_initialize(&parser))
        return err_memory(err, walk->path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)data, len);
    if (!yaml_parser_load(&parser, &document)) {
        err_set(err, ERR_PERMANENT, "%s:%zu:%zu: %s", walk->path, parser.problem_mark.line + 1,
                parser.problem_mark.column + 1, parser.problem ? parser.problem : "not YAML");
        yaml_parser_delete(&parser);
        return -1;
    }
    walk->document = &document;
    int failed = walk_document(walk, err);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    return failed;
}

int config_read_yaml(const char *path, const struct option *rows, void *config, bool *seen, struct err *err)
{
    CLEANUP(freep) char *data = NULL;
    CLEANUP(freep) char *absolute = realpath(path, NULL);
    size_t len;

    if (file_read(path, FILE_BYTES_MAX, &data, &len, err) < 0)
        return -1;
    struct walk walk = {.path = path, .rows = rows, .config = config, .seen = seen};
    walk.folder = absolute ? dirname(absolute) : NULL;
    return parse(&walk, data, len, err);
}
