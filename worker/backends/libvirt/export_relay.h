#pragma once
/*
 * Stands between the clients of an export and the hypervisor's unix socket. QEMU 7.2 cannot cut a client on a unix socket that has stopped reading: it waits for room in that socket even
 * after it has shut it down, and an end of the export would then wait for the client, and the guest with it (seen). What is between can always let go of both.
 */
#include <stdint.h>

struct err;
struct export_relay;

/* Listens at `path`, with the owner and mode of the socket `inner`, and connects each client with a connection of its own to `inner`, until export_relay_end(). A thread of its own. */
int export_relay_begin(const char *path, const char *inner, struct export_relay **out, struct err *err);
/* Monotonic ms: when bytes last moved, or a client had nothing to read. Later than that all of them have left unread what was there for them. Any thread. */
int64_t export_relay_alive_ms(const struct export_relay *relay);
/* No name and no connection is left. Takes NULL. */
void export_relay_end(struct export_relay *relay);
static inline void export_relay_endp(struct export_relay **relay)
{
    export_relay_end(*relay);
}
