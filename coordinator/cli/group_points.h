#pragma once
/* backup restore --group: which backups a consistency group has, and what its machines are called where they are restored. */
#include "coordinator/cli/cli.h"

struct invocation;

/* 0 and *out (caller decrefs): a backup of each of its machines; or an exit code, after it was said what is missing or cannot be said of a group. */
int group_points(struct cli *cli, const char *subject, const struct invocation *invocation, json_t **out);
json_t *group_member_name(const char *pattern, const json_t *point); /* % is the name of its machine; caller decrefs */
