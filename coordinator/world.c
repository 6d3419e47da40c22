#include "coordinator/world.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/internal.h"
#include "coordinator/pools.h"
#include "coordinator/view_plan.h"
#include "model/inventory.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 600 };

struct host {
    UT_hash_handle hh;
    bool ready;
    int64_t group_room;      /* members of one consistency group */
    bool group_backups;      /* which may be backups */
    size_t places;           /* how many repositories it has */
    struct world_place *any; /* one of them */
    char name[];
};

struct spot { /* a place by "host/name" and by "host/id"; "/name" and "/id" for the first host that has it */
    UT_hash_handle hh;
    struct world_place *place;
    bool owner; /* frees the place */
    char key[];
};

struct fallback { /* target or "*" → name of a repository */
    UT_hash_handle hh;
    char *repository;
    char target[];
};

struct world {
    struct host *hosts;
    struct spot *spots;
    struct fallback *fallbacks;
    struct pools *pools;
    bool limits_pools;
};

int world_new(struct world **out, struct err *err)
{
    CLEANUP(world_freep) struct world *world = calloc(1, sizeof *world);

    if (!world)
        return err_memory(err, "world");
    if (pools_new(&world->pools, err) < 0)
        return -1;
    *out = TAKE_PTR(world);
    return 0;
}

static void place_free(struct world_place *place)
{
    if (!place)
        return;
    free(place->id);
    free(place->name);
    free(place->path);
    free(place->host);
    free(place);
}

void world_free(struct world *world)
{
    struct host *host, *next_host;
    struct spot *spot, *next_spot;
    struct fallback *fallback, *next_fallback;

    if (!world)
        return;
    HASH_ITER (hh, world->hosts, host, next_host) {
        HASH_DEL(world->hosts, host);
        free(host);
    }
    HASH_ITER (hh, world->spots, spot, next_spot) {
        HASH_DEL(world->spots, spot);
        if (spot->owner)
            place_free(spot->place);
        free(spot);
    }
    HASH_ITER (hh, world->fallbacks, fallback, next_fallback) {
        HASH_DEL(world->fallbacks, fallback);
        free(fallback->repository);
        free(fallback);
    }
    pools_free(world->pools);
    free(world);
}

static struct host *find_host(const struct world *world, const char *name)
{
    struct host *host;

    HASH_FIND_STR(world->hosts, name, host);
    return host;
}

int world_add_host(struct world *world, const char *name, bool ready, struct err *err)
{
    struct host *host = find_host(world, name);
    size_t len = strlen(name);

    if (!host) {
        host = calloc(1, sizeof *host + len + 1);
        if (!host)
            return err_memory(err, name);
        memcpy(host->name, name, len + 1);
        HASH_ADD_STR(world->hosts, name, host);
    }
    host->ready = ready;
    return 0;
}

int world_set_group_room(struct world *world, const char *name, int64_t members, bool backups, struct err *err)
{
    struct host *host = find_host(world, name);

    if (!host)
        return err_set(err, ERR_PERMANENT, "no host %s", name);
    host->group_room = members;
    host->group_backups = backups;
    return 0;
}

static struct spot *find_spot(const struct world *world, const char *host, const char *repository)
{
    char key[KEY];
    struct spot *spot;

    snprintf(key, sizeof key, "%s/%s", host, repository);
    HASH_FIND_STR(world->spots, key, spot);
    return spot;
}

/* The first of a key stays. True: it was added. */
static bool add_spot(struct world *world, const char *host, const char *repository, struct world_place *place,
                     bool owner)
{
    size_t len = strlen(host) + strlen(repository) + 2;
    struct spot *spot;

    if (find_spot(world, host, repository) || !(spot = calloc(1, sizeof *spot + len)))
        return false;
    snprintf(spot->key, len, "%s/%s", host, repository);
    spot->place = place;
    spot->owner = owner;
    HASH_ADD_STR(world->spots, key, spot);
    return true;
}

int world_add_place(struct world *world, const char *host, const char *id, const char *name, const char *path,
                    struct err *err)
{
    struct host *on = find_host(world, host);
    struct world_place *place = calloc(1, sizeof *place);

    if (!place || string_set(&place->id, id, err) < 0 || string_set(&place->name, name, err) < 0 ||
        string_set(&place->path, path, err) < 0 || string_set(&place->host, host, err) < 0) {
        place_free(place);
        return err_memory(err, host);
    }
    if (!add_spot(world, host, id, place, true)) { /* twice on one host: the first counts */
        place_free(place);
        return 0;
    }
    add_spot(world, host, name, place, false);
    add_spot(world, "", id, place, false);
    add_spot(world, "", name, place, false);
    if (on && on->places++ == 0)
        on->any = place;
    return 0;
}

int world_add_default(struct world *world, const char *target, const char *repository, struct err *err)
{
    size_t len = strlen(target) + 1;
    struct fallback *fallback = calloc(1, sizeof *fallback + len);

    if (!fallback || string_set(&fallback->repository, repository, err) < 0) {
        free(fallback);
        return err_memory(err, target);
    }
    memcpy(fallback->target, target, len);
    HASH_ADD_STR(world->fallbacks, target, fallback);
    return 0;
}

int world_add_pool(struct world *world, const char *host, const char *path, struct err *err)
{
    return pools_add(world->pools, host, path, err);
}

void world_limit_pools(struct world *world)
{
    world->limits_pools = true;
}

bool world_limits_pools(const struct world *world)
{
    return world->limits_pools;
}

bool world_pool(const struct world *world, const char *host, const char *source, char out[POOL_NAME])
{
    return pools_find(world->pools, host, source, out);
}

static const char *default_of(const struct world *world, const char *target)
{
    struct fallback *fallback;

    HASH_FIND_STR(world->fallbacks, target, fallback);
    return fallback ? fallback->repository : NULL;
}

/* ---- questions ---- */

bool world_host_ready(const struct world *world, const char *name)
{
    const struct host *host = find_host(world, name);

    return host && host->ready;
}

int64_t world_group_room(const struct world *world, const char *name, bool backups)
{
    const struct host *host = find_host(world, name);

    return host && (host->group_backups || !backups) ? host->group_room : 0;
}

const struct world_place *world_repository(const struct world *world, const char *name, const char *target,
                                           const char *host, char why[200])
{
    const struct host *on = find_host(world, host);
    const struct spot *spot;

    if (!name)
        name = default_of(world, target);
    if (!name)
        name = default_of(world, "*");
    if (!name && on && on->places == 1)
        return on->any;
    if (!name) {
        snprintf(why, 200, "host %.63s has %zu repositories, and none is named by the policy or is the default", host,
                 on ? on->places : 0);
        return NULL;
    }
    spot = find_spot(world, host, name);
    if (!spot)
        snprintf(why, 200, "host %.63s has no repository %.100s", host, name);
    return spot ? spot->place : NULL;
}

const struct world_place *world_place_of_point(const struct world *world, const struct restore_point *point,
                                               const char *now_on, char why[200])
{
    const char *const places[] = {now_on, point->host, ""};

    for (size_t i = 0; point->repository && i < sizeof places / sizeof *places; i++) {
        const struct spot *spot = places[i] ? find_spot(world, places[i], point->repository) : NULL;
        if (spot && (world_host_ready(world, spot->place->host) || !*places[i]))
            return spot->place;
    }
    snprintf(why, 200, "no host has the repository %.36s", point->repository ? point->repository : "");
    return NULL;
}

const struct world_place *world_place_of_copy(const struct world *world, const struct restore_point *point,
                                              const char *to, const char *now_on, char why[200])
{
    const char *const first[] = {now_on, point->host};
    const struct spot *found = NULL;

    for (size_t i = 0; point->repository && i < sizeof first / sizeof *first; i++)
        if (first[i] && world_host_ready(world, first[i]) && find_spot(world, first[i], point->repository) &&
            find_spot(world, first[i], to))
            return find_spot(world, first[i], to)->place;
    for (const struct host *host = world->hosts; point->repository && host; host = host->hh.next)
        if (find_spot(world, host->name, point->repository) && find_spot(world, host->name, to) &&
            (!found || host->ready))
            found = find_spot(world, host->name, to);
    if (!found)
        snprintf(why, 200, "no host has both its repository %.36s and %.100s",
                 point->repository ? point->repository : "", to);
    return found ? found->place : NULL;
}

/* ---- as it is now ---- */

struct reading {
    struct world *world;
    struct coordinator *coordinator;
};

static bool host_takes_work(struct coordinator *coordinator, const char *name)
{
    LOCK_SCOPE(&coordinator->lock);
    const struct ledger_node *node = ledger_find(coordinator->ledger, LEDGER_HOST, name);

    return node && node->entry && !node->entry->gone && node->entry->host && node->entry->host->state &&
           strcmp(node->entry->host->state, "enrolled") == 0;
}

static int note_host(void *context, const struct inventory_host *host, bool alive, struct err *err)
{
    const struct reading *reading = context;

    if (world_add_host(reading->world, host->host, alive && host_takes_work(reading->coordinator, host->host), err) < 0 ||
        world_set_group_room(reading->world, host->host, host->group_members, host->group_backups, err) < 0)
        return -1;
    for (size_t i = 0; i < host->repositories.count; i++) {
        const struct inventory_space *space = list_at(&host->repositories, struct inventory_space, i);
        if (space->id && space->ok &&
            world_add_place(reading->world, host->host, space->id, space->name, space->path, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < host->pools.count; i++)
        if (pools_add(reading->world->pools, host->host, list_at(&host->pools, struct inventory_space, i)->path, err) < 0)
            return -1;
    return 0;
}

static int note_shared_pools(struct world *world, const struct coordinator_options *options, struct err *err)
{
    world->limits_pools = options->limits_per_pool > 0;
    for (size_t i = 0; i < options->shared_pools.count; i++)
        if (pools_add(world->pools, "", options->shared_pools.items[i], err) < 0)
            return -1;
    return 0;
}

static int note_default(void *context, const struct ledger_entry *entry, struct err *err)
{
    const char *repository = facts_get(&entry->values, "repository");

    return entry->gone || !repository ? 0 : world_add_default(context, entry->id, repository, err);
}

int world_read(struct coordinator *coordinator, struct view_reader *reader, struct world **out, struct err *err)
{
    CLEANUP(world_freep) struct world *world = NULL;

    if (world_new(&world, err) < 0)
        return -1;
    struct reading reading = {world, coordinator};
    if (note_shared_pools(world, &coordinator->options, err) < 0 ||
        view_each_host(reader, note_host, &reading, err) < 0 ||
        coordinator_each(coordinator, LEDGER_DEFAULT, note_default, world, err) < 0)
        return -1;
    *out = TAKE_PTR(world);
    return 0;
}
