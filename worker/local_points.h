#pragma once
/* The restore points of a repository as a person at this host names them: no catalogue, the manifests alone. Any thread. */
#include "model/restore_point.h"

struct err;
struct repository;

/* All that are complete, newest first; folders of damaged manifests into `damaged` (may be NULL). The caller clears both, in either case. */
int local_points(const struct repository *repository, struct list *out, struct strings *damaged, struct err *err);
/* `backup`: the beginning of an id, or the name of a machine: its newest. *out points into `points`. `where`: the directory, for the error. */
int local_point_choose(const struct list *points, const char *where, const char *backup,
                       const struct restore_point **out, struct err *err);
