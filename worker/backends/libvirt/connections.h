#pragma once
/* How many clients a server has, out of the kernel's tables of sockets: libvirt and QEMU tell of none, and of no client that died. Pure. */
#include "model/listen_address.h"

/* Of /proc/net/unix: connections that were made to this path. */
int connections_unix(const char *table, const char *path);
struct connections {
    int count;
    int waiting;    /* those of them to whose clients something is on its way that they have not taken */
    int64_t unread; /* bytes of that */
};
/* Of /proc/net/tcp or tcp6: to where the server listens; also those that the client has ended and the server not yet. Added to `out`. */
void connections_tcp(const char *table, const struct listen_address *address, bool table_of_ip6,
                     struct connections *out);
