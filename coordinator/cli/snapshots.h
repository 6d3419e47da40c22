#pragma once
/* Selections of a machine's snapshots, from an array of snapshot_info. Pure. */
#include <jansson.h>
#include <stdbool.h>

struct err;
struct invocation;

/*
 * A new array (caller decrefs) of what passes: filters of one group (leaves, metadata, state, location) add up, groups narrow each other, as in virsh; with --topological
 * parents before their children. ERR_PERMANENT: filters that exclude each other, or a --parent that is not there.
 */
int snapshots_select(const json_t *snapshots, const struct invocation *invocation, json_t **out, struct err *err);
const json_t *snapshot_row_find(const json_t *snapshots, const char *name); /* NULL name: the current one */
/* The name that is nearest to what was typed; NULL: none is near. */
const char *snapshot_near(const json_t *snapshots, const char *name);
/* Names of those that stand on this one, directly or (deep) at all, in the order of the list; caller decrefs. */
json_t *snapshot_names_below(const json_t *snapshots, const char *name, bool deep);
