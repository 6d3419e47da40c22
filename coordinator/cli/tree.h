#pragma once
/* The tree of a machine's snapshots. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* snapshots: array of snapshot_info. "base", then a line each, children under their parents. */
void tree_print(const json_t *snapshots, bool utc, FILE *out);
