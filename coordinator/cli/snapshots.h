#pragma once
/* Filters of snapshot list. Pure. */
#include <jansson.h>

struct invocation;

/* A new array (caller decrefs) of what passes: filters of one group add up, groups narrow each other, as in virsh. */
json_t *snapshots_filter(const json_t *snapshots, const struct invocation *invocation);
json_t *snapshots_sorted(const json_t *snapshots); /* parents before their children; new array */
const json_t *snapshot_row_find(const json_t *snapshots, const char *name); /* NULL name: the current one */
