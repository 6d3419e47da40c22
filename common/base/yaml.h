#pragma once
/*
 * YAML as a tree of plain values with places, so that whoever gives them meaning can say "nightly.yaml:14:9" of each. For files that people write; aliases are refused: a
 * small file could unfold into a huge one. Any thread.
 */
#include <stdbool.h>
#include <stddef.h>

struct err;

enum yaml_kind { YAML_NULL, YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    bool quoted;         /* TEXT: not a plain word, so never a number or a truth value */
    char *text;          /* TEXT */
    char *key;           /* of this node, if it is in a MAP */
    size_t line, column; /* from 1; of the value */
    size_t key_line, key_column;
    struct yaml_node *items; /* LIST, MAP */
    size_t count;
};

struct yaml_document {
    struct yaml_node root;
    size_t first, last; /* bytes of the source that are this document's own, comments before it included */
};

struct yaml_file {
    struct yaml_document *documents;
    size_t count;
};

/* `name` begins the errors. Documents that hold nothing are left out. Caller clears. ERR_PERMANENT: "name:line:column: what". */
int yaml_read(const char *name, const char *text, size_t len, struct yaml_file *out, struct err *err);
void yaml_file_clear(struct yaml_file *file);
const struct yaml_node *yaml_member(const struct yaml_node *map, const char *key); /* NULL: none, or no map */
/* Follows "schedules[1].cron"; the deepest node that there is. */
const struct yaml_node *yaml_at(const struct yaml_node *root, const char *path);
