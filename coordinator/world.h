#pragma once
/*
 * What a plan has to know of the fleet: which hosts take work, where each repository is, which one a target uses. A picture taken once and not changed; whoever has it may use it
 * on any thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct coordinator;
struct err;
struct job;
struct restore_point;
struct view_reader;
struct world;

struct world_place { /* a repository on a host */
    char *id, *name, *path, *host;
};

int world_read(struct coordinator *coordinator, struct view_reader *reader, struct world **out, struct err *err);
void world_free(struct world *world);
static inline void world_freep(struct world **world)
{
    world_free(*world);
}

/* So many members of one consistency group it holds at once; 0: it is not there, or does not know groups (of backups, if those are asked for). */
int64_t world_group_room(const struct world *world, const char *host, bool backups);
bool world_host_ready(const struct world *world, const char *host); /* heartbeat, enrolled, not draining */
/* The repository `name` (name or UUID; NULL: the default of the target, else the only one) on that host. NULL: there is none, and why. */
const struct world_place *world_repository(const struct world *world, const char *name, const char *target,
                                           const char *host, char why[200]);
/* Where a job about a backup runs: where its target is, else where it was made, else any host that has its repository. */
const struct world_place *world_place_of_point(const struct world *world, const struct restore_point *point,
                                               const char *now_on, char why[200]);
/* Where it can be copied into the repository `to` (a name): on a host that has both, where its target is, else where it was made, else any. NULL: there is none, and why. */
const struct world_place *world_place_of_copy(const struct world *world, const struct restore_point *point,
                                              const char *to, const char *now_on, char why[200]);

/* Whether a limit of the fleet asks where disks lie; and where one does (pools.h). */
bool world_limits_pools(const struct world *world);
bool world_pool(const struct world *world, const char *host, const char *source, char out[160]);

/* For tests: a world made by hand. */
int world_new(struct world **out, struct err *err);
int world_add_host(struct world *world, const char *host, bool ready, struct err *err);
int world_set_group_room(struct world *world, const char *host, int64_t members, bool backups,
                         struct err *err); /* of one that was added */
int world_add_place(struct world *world, const char *host, const char *id, const char *name, const char *path,
                    struct err *err);
int world_add_pool(struct world *world, const char *host, const char *path, struct err *err); /* host "": shared */
void world_limit_pools(struct world *world);
int world_add_default(struct world *world, const char *target, const char *repository, struct err *err);
