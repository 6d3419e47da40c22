#include "coordinator/fleet.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

struct fleet {
    struct fleet_host *hosts;
};

int fleet_new(struct fleet **out, struct err *err)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);

    if (!fleet)
        return err_memory(err, "fleet");
    *out = fleet;
    return 0;
}

void fleet_free(struct fleet *fleet)
{
    struct fleet_host *host, *next;

    if (!fleet)
        return;
    HASH_ITER (hh, fleet->hosts, host, next) {
        HASH_DEL(fleet->hosts, host);
        free(host);
    }
    free(fleet);
}

struct fleet_host *fleet_find(const struct fleet *fleet, const char *name)
{
    struct fleet_host *host;

    HASH_FIND_STR(fleet->hosts, name, host);
    return host;
}

struct fleet_host *fleet_add(struct fleet *fleet, const char *name, int64_t now_ms)
{
    struct fleet_host *host = fleet_find(fleet, name);

    if (host)
        return host;
    host = calloc(1, sizeof *host);
    if (!host)
        return NULL;
    snprintf(host->name, sizeof host->name, "%s", name);
    host->known_since_ms = now_ms;
    HASH_ADD_STR(fleet->hosts, name, host);
    return host;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

bool fleet_silent(const struct fleet_host *host, int64_t now_ms, int64_t epoch_changed_ms, int64_t silent_ms)
{
    int64_t sign = later(later(host->heartbeat_at_ms, host->heard_at_ms), later(host->known_since_ms, epoch_changed_ms));

    return !host->alive && now_ms - sign >= silent_ms;
}

bool fleet_any_silent(const struct fleet *fleet, int64_t now_ms, int64_t epoch_changed_ms, int64_t silent_ms)
{
    for (const struct fleet_host *host = fleet->hosts; host; host = host->hh.next)
        if (fleet_silent(host, now_ms, epoch_changed_ms, silent_ms))
            return true;
    return false;
}
