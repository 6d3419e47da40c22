/*
 * Who was the daemon of an embedded root before us, and is dead, may still be talked to: QEMU's monitor takes one connection at a time, and does not notice the end of one
 * while it is busy (with an internal snapshot for as long as that takes, a second and more). A driver that opens its root meanwhile gets no answer but the end of that old
 * connection, takes the guest for broken and kills it ("shutting down, reason=daemon"; seen on libvirt 9.0, QEMU 7.2).
 *
 * The kernel's table of unix sockets tells: QEMU's end of a connection bears the path of the monitor and is "connected" until QEMU has closed it.
 */
#include "worker/backends/libvirt/predecessor.h"

#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_BYTES = 512, POLL_MS = 5, CONNECTED = 3 };

static const char monitor[] = "/monitor.sock";

/* Num: RefCount Protocol Flags Type St Inode Path */
bool predecessor_connected(const char *line, const char *root)
{
    const char *path = strchr(line, '/'), *last = path ? strrchr(path, '/') : NULL;
    size_t root_len = strlen(root);
    unsigned state;

    if (!path || sscanf(line, "%*[^:]: %*x %*x %*x %*x %x", &state) != 1 || state != CONNECTED)
        return false;
    return strncmp(path, root, root_len) == 0 && path[root_len] == '/' &&
           strncmp(last, monitor, strlen(monitor)) == 0 && strcspn(last, "\n") == strlen(monitor);
}

static int any_connected(const char *root, bool *out, struct err *err)
{
    FILE *table = fopen("/proc/net/unix", "re");
    char line[LINE_MAX_BYTES];

    if (!table)
        return err_errno(err, errno, "/proc/net/unix");
    *out = false;
    while (!*out && fgets(line, sizeof line, table))
        *out = predecessor_connected(line, root);
    fclose(table);
    return 0;
}

char *predecessor_root(const char *uri)
{
    const char *root = strstr(uri, ":///embed") ? strstr(uri, "root=") : NULL;

    return root ? strndup(root + strlen("root="), strcspn(root + strlen("root="), "&")) : NULL;
}

int predecessor_wait(const char *uri, int64_t limit_ms, struct err *err)
{
    char *root = predecessor_root(uri);
    int64_t until = clock_monotonic_ms() + limit_ms;
    bool connected = root != NULL;
    int result = 0;

    while (connected && result == 0) {
        result = any_connected(root, &connected, err);
        if (result == 0 && connected && clock_monotonic_ms() >= until)
            result = err_set(
                err, ERR_RETRY,
                "%s: a QEMU is still busy with what the process before this one asked of it; to open now would "
                "kill the guest",
                uri);
        if (result == 0 && connected)
            nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    free(root);
    return result;
}
