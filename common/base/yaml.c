#include "base/yaml.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 16, NODES_MAX = 50000, DOCUMENTS_MAX = 1000 };

struct reading {
    const char *name;
    yaml_document_t *document;
    size_t nodes;
    struct err *err;
};

static void clear_node(struct yaml_node *node)
{
    for (size_t i = 0; i < node->count; i++)
        clear_node(&node->items[i]);
    free(node->items);
    free(node->text);
    free(node->key);
    *node = (struct yaml_node){0};
}

void yaml_file_clear(struct yaml_file *file)
{
    for (size_t i = 0; i < file->count; i++)
        clear_node(&file->documents[i].root);
    free(file->documents);
    *file = (struct yaml_file){0};
}

static int wrong(const struct reading *reading, const yaml_node_t *node, const char *what)
{
    return err_set(reading->err, ERR_PERMANENT, "%s:%zu:%zu: %s", reading->name, node->start_mark.line + 1,
                   node->start_mark.column + 1, what);
}

/* A NUL inside would hide what follows it. */
static int take_text(const struct reading *reading, const yaml_node_t *node, char **out)
{
    const char *text = (const char *)node->data.scalar.value;

    if (strlen(text) != node->data.scalar.length)
        return wrong(reading, node, "holds a NUL");
    *out = strdup(text);
    return *out ? 0 : err_memory(reading->err, reading->name);
}

static bool is_null(const char *text)
{
    return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

static int take_scalar(const struct reading *reading, const yaml_node_t *node, struct yaml_node *out)
{
    if (take_text(reading, node, &out->text) < 0)
        return -1;
    out->quoted = node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    out->kind = !out->quoted && is_null(out->text) ? YAML_NULL : YAML_TEXT;
    return 0;
}

static int take_node(struct reading *reading, int index, size_t depth, struct yaml_node *out);

static int take_list(struct reading *reading, const yaml_node_t *node, size_t depth, struct yaml_node *out)
{
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - items);

    out->kind = YAML_LIST;
    out->items = calloc(count + 1, sizeof *out->items);
    if (!out->items)
        return err_memory(reading->err, reading->name);
    for (; out->count < count; out->count++)
        if (take_node(reading, items[out->count], depth, &out->items[out->count]) < 0)
            return clear_node(&out->items[out->count]), -1;
    return 0;
}

static int take_key(const struct reading *reading, const struct yaml_node *map, const yaml_node_t *key,
                    struct yaml_node *out)
{
    if (key->type != YAML_SCALAR_NODE)
        return wrong(reading, key, "a name is a plain value");
    if (take_text(reading, key, &out->key) < 0)
        return -1;
    out->key_line = key->start_mark.line + 1;
    out->key_column = key->start_mark.column + 1;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].key, out->key) == 0)
            return err_set(reading->err, ERR_PERMANENT, "%s:%zu:%zu: %s: given twice, first in line %zu", reading->name,
                           out->key_line, out->key_column, out->key, map->items[i].key_line);
    return 0;
}

static int take_map(struct reading *reading, const yaml_node_t *node, size_t depth, struct yaml_node *out)
{
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    size_t count = (size_t)(node->data.mapping.pairs.top - pairs);

    out->kind = YAML_MAP;
    out->items = calloc(count + 1, sizeof *out->items);
    if (!out->items)
        return err_memory(reading->err, reading->name);
    for (; out->count < count; out->count++) {
        struct yaml_node *item = &out->items[out->count];
        if (take_key(reading, out, yaml_document_get_node(reading->document, pairs[out->count].key), item) < 0 ||
            take_node(reading, pairs[out->count].value, depth, item) < 0)
            return clear_node(item), -1;
    }
    return 0;
}

static int take_node(struct reading *reading, int index, size_t depth, struct yaml_node *out)
{
    const yaml_node_t *node = yaml_document_get_node(reading->document, index);

    out->line = node->start_mark.line + 1;
    out->column = node->start_mark.column + 1;
    if (depth > DEPTH_MAX || ++reading->nodes > NODES_MAX)
        return wrong(reading, node, "too deep, or too much in one file");
    switch (node->type) {
    case YAML_SCALAR_NODE: return take_scalar(reading, node, out);
    case YAML_SEQUENCE_NODE: return take_list(reading, node, depth + 1, out);
    case YAML_MAPPING_NODE: return take_map(reading, node, depth + 1, out);
    case YAML_NO_NODE: break;
    }
    return wrong(reading, node, "not understood");
}

static struct yaml_document *add_document(struct reading *reading, struct yaml_file *file)
{
    if (file->count == DOCUMENTS_MAX) {
        err_set(reading->err, ERR_PERMANENT, "%s: more than %d documents", reading->name, DOCUMENTS_MAX);
        return NULL;
    }
    struct yaml_document *documents = reallocarray(file->documents, file->count + 1, sizeof *documents);
    if (!documents) {
        err_memory(reading->err, reading->name);
        return NULL;
    }
    file->documents = documents;
    documents[file->count] = (struct yaml_document){0};
    return &documents[file->count++];
}

static int take_document(struct reading *reading, size_t first, struct yaml_file *file)
{
    yaml_node_t *root = yaml_document_get_root_node(reading->document);

    if (!root || (root->type == YAML_SCALAR_NODE && root->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                  is_null((const char *)root->data.scalar.value)))
        return 0;
    struct yaml_document *document = add_document(reading, file);
    if (!document)
        return -1;
    document->first = first;
    document->last = reading->document->end_mark.index;
    return take_node(reading, root - reading->document->nodes.start + 1, 0, &document->root);
}

/* Once more by events: the tree of libyaml has the target of an alias in two places, and no sign of it. */
static int refuse_aliases(const char *name, const char *text, size_t len, struct err *err)
{
    yaml_parser_t parser;
    yaml_token_t token;
    int result = 0;

    if (!yaml_parser_initialize(&parser))
        return err_memory(err, name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    for (bool more = true; more && result == 0;) {
        if (!yaml_parser_scan(&parser, &token))
            break; /* said better by the loader */
        more = token.type != YAML_STREAM_END_TOKEN && token.type != YAML_NO_TOKEN;
        if (token.type == YAML_ALIAS_TOKEN)
            result = err_set(err, ERR_PERMANENT, "%s:%zu:%zu: aliases (*name) are not allowed", name,
                             token.start_mark.line + 1, token.start_mark.column + 1);
        yaml_token_delete(&token);
    }
    yaml_parser_delete(&parser);
    return result;
}

static int read_documents(struct reading *reading, yaml_parser_t *parser, struct yaml_file *file)
{
    for (size_t first = 0;;) {
        yaml_document_t document;
        if (!yaml_parser_load(parser, &document))
            return err_set(reading->err, ERR_PERMANENT, "%s:%zu:%zu: %s", reading->name, parser->problem_mark.line + 1,
                           parser->problem_mark.column + 1, parser->problem ? parser->problem : "not YAML");
        bool end = !yaml_document_get_root_node(&document);
        reading->document = &document;
        int result = end ? 0 : take_document(reading, first, file);
        first = document.end_mark.index;
        yaml_document_delete(&document);
        if (result < 0 || end)
            return result;
    }
}

int yaml_read(const char *name, const char *text, size_t len, struct yaml_file *out, struct err *err)
{
    CLEANUP(yaml_file_clear) struct yaml_file file = {0};
    struct reading reading = {.name = name, .err = err};
    yaml_parser_t parser;

    if (refuse_aliases(name, text, len, err) < 0)
        return -1;
    if (!yaml_parser_initialize(&parser))
        return err_memory(err, name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    int result = read_documents(&reading, &parser, &file);
    yaml_parser_delete(&parser);
    if (result < 0)
        return -1;
    *out = file;
    file = (struct yaml_file){0};
    return 0;
}

const struct yaml_node *yaml_member(const struct yaml_node *map, const char *key)
{
    for (size_t i = 0; map && map->kind == YAML_MAP && i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return &map->items[i];
    return NULL;
}

static const struct yaml_node *step(const struct yaml_node *node, const char **path)
{
    char name[64];
    size_t len;

    if (**path == '[') {
        size_t index = strtoul(*path + 1, (char **)path, 10);
        *path += **path == ']';
        return node->kind == YAML_LIST && index < node->count ? &node->items[index] : NULL;
    }
    *path += **path == '.';
    len = strcspn(*path, ".[");
    if (len >= sizeof name)
        return NULL;
    memcpy(name, *path, len);
    name[len] = '\0';
    *path += len;
    return yaml_member(node, name);
}

const struct yaml_node *yaml_at(const struct yaml_node *root, const char *path)
{
    const struct yaml_node *next;

    while (*path && (next = step(root, &path)))
        root = next;
    return root;
}
