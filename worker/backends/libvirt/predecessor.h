#pragma once
/* The process that was the daemon of an embedded libvirt root before this one. Any thread. */
#include <stdbool.h>
#include <stdint.h>

struct err;

/* Waits until no QEMU below the root of `uri` is connected to a dead daemon, before the first open of this process; at once for other URIs. ERR_RETRY after limit_ms. */
int predecessor_wait(const char *uri, int64_t limit_ms, struct err *err);
/* DIR of "qemu:///embed?root=DIR"; caller frees. NULL: the driver is not embedded, or no memory. */
char *predecessor_root(const char *uri);
/* One line of /proc/net/unix: QEMU's end of a connection to a monitor below `root`. */
bool predecessor_connected(const char *line, const char *root);
