#pragma once
/*
 * Records that people write as YAML, and a JSON schema for their editors: both by the table. What is a number of milliseconds in the record (a row "…_ms") is written
 * without the ending, as a duration; bytes ("…_bytes") likewise, as a size.
 */
#include "model/record.h"

struct text;
struct yaml_node;

/* Strict: unknown names, wrong types, values outside allow-lists and limits, and missing required fields are ERR_PERMANENT with "file:line:column: path: what". Absent fields get
 * their fallbacks. out zeroed; freed on failure. */
int record_from_yaml(const struct record_type *type, void *out, const char *file, const struct yaml_node *node,
                     struct err *err);
/* What is written for that row: "ttl" for "ttl_ms". out has 64 bytes; returns out. */
char *record_yaml_name(const struct field *field, char out[64]);

/* `doc` tells what a row means, by "record.field"; NULL or "": nothing to say. */
typedef const char *record_doc(const char *record, const char *field);
/* JSON Schema (draft-07), indented. */
void record_json_schema(const struct record_type *type, const char *title, record_doc *doc, struct text *out);
