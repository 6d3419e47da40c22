/* target.export: where it listens is decided here and nowhere else, for whoever reaches that place reads the guest's disks. */
#include "base/err.h"
#include "model/job_check.h"
#include "model/listen_address.h"

#include <string.h>

enum { IDLE_MIN_MS = 1000 };

#define DAY_MS (24LL * 3600 * 1000)

static int check_socket(const char *path, struct err *err)
{
    if (check_path("params.socket", path, err) < 0)
        return -1;
    if (strlen(path) > EXPORT_SOCKET_MAX)
        return check_wrong(err, "params.socket", "is longer than the %d bytes that it may have", EXPORT_SOCKET_MAX);
    return path[strlen(path) - 1] == '/' ? check_wrong(err, "params.socket", "is a directory") : 0;
}

static int check_listen(const struct params_target_export *params, struct err *err)
{
    struct listen_address address;
    struct err why = {0};

    if (listen_address_parse(params->address, &address, &why) < 0)
        return check_wrong(err, "params.address", "%s", why.text);
    if (address.loopback || params->tls)
        return 0;
    check_wrong(err, "params.address", "others than this host reach %s: without TLS anybody could read the disks",
                address.host);
    return err_hint(err, "ask for TLS, or take a socket or 127.0.0.1");
}

static int check_place(const struct params_target_export *params, struct err *err)
{
    if (params->socket && params->address)
        return check_contradiction(err, "socket", "address", "an export listens in one place");
    if (params->socket)
        return check_socket(params->socket, err);
    return params->address ? check_listen(params, err) : check_wrong(err, "params", "say where: socket or address");
}

int check_target_export(const struct params_target_export *params, struct err *err)
{
    if (check_place(params, err) < 0 || check_disk_choice(&params->include, &params->exclude, err) < 0)
        return -1;
    if (params->parent && params->kind != EXPORT_INCREMENTAL)
        return check_contradiction(err, "kind=full", "parent", "a full export counts from nothing");
    if (params->parent && check_uuid("params.parent", params->parent, err) < 0)
        return -1;
    if (check_path("params.scratch", params->scratch, err) < 0 ||
        check_range("params.idle_timeout_ms", params->idle_timeout_ms, IDLE_MIN_MS, 14 * DAY_MS, err) < 0)
        return -1;
    return check_range("params.scratch_limit", params->scratch_limit, 0, INT64_MAX, err);
}
