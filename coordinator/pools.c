#include "coordinator/pools.h"

#include "base/err.h"
#include "model/record.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { KEY = PATH_MAX + 256 };

struct place {
    UT_hash_handle hh;
    char key[]; /* host:path */
};

struct pools {
    struct place *places;
};

int pools_new(struct pools **out, struct err *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : err_memory(err, "pools");
}

void pools_free(struct pools *pools)
{
    struct place *place, *next;

    if (!pools)
        return;
    HASH_ITER (hh, pools->places, place, next) {
        HASH_DEL(pools->places, place);
        free(place);
    }
    free(pools);
}

static bool is_pool(const struct pools *pools, const char *host, const char *path)
{
    struct place *place;
    char key[KEY];

    snprintf(key, sizeof key, "%s:%s", host, path);
    HASH_FIND_STR(pools->places, key, place);
    return place != NULL;
}

/* Slashes at the end say nothing. */
static size_t length_of(const char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        len--;
    return len;
}

int pools_add(struct pools *pools, const char *host, const char *path, struct err *err)
{
    char key[KEY];
    struct place *place;
    int len = snprintf(key, sizeof key, "%s:%.*s", host, (int)length_of(path), path);

    if (*path != '/' || len >= KEY)
        return 0;
    HASH_FIND_STR(pools->places, key, place);
    if (place)
        return 0;
    place = calloc(1, sizeof *place + (size_t)len + 1);
    if (!place)
        return err_memory(err, path);
    memcpy(place->key, key, (size_t)len + 1);
    HASH_ADD_STR(pools->places, key, place);
    return 0;
}

/* One directory up; false: there is none above it. */
static bool up(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash || !path[1])
        return false;
    slash[slash == path] = '\0';
    return true;
}

static void set_name(char out[POOL_NAME], const char *host, const char *path)
{
    int len = snprintf(out, POOL_NAME, "%.63s%s", host, *host ? ":" : "");

    strncat(out, path, POOL_NAME - (size_t)len - 1);
}

bool pools_find(const struct pools *pools, const char *host, const char *source, char out[POOL_NAME])
{
    char path[PATH_MAX];

    if (!source || *source != '/' || snprintf(path, sizeof path, "%s", source) >= PATH_MAX || !up(path))
        return false;
    set_name(out, host, path);
    do {
        bool shared = is_pool(pools, "", path);
        if (!shared && !is_pool(pools, host, path))
            continue;
        set_name(out, shared ? "" : host, path);
        return true;
    } while (up(path));
    return true;
}

int pools_move(struct strings *names, const char *from, const char *to, struct err *err)
{
    size_t len = strlen(from);
    char name[POOL_NAME];

    for (size_t i = 0; i < names->count; i++) {
        const char *pool = names->items[i];
        if (strncmp(pool, from, len) != 0 || pool[len] != ':')
            continue;
        set_name(name, to, pool + len + 1);
        if (string_set(&names->items[i], name, err) < 0)
            return -1;
    }
    return 0;
}
