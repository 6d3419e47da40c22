#include "worker/backends/libvirt/connections.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNIX_CONNECTED = 3, TCP_ESTABLISHED = 1, TCP_CLOSE_WAIT = 8, ADDRESS_TEXT = 33 };

/* "Num RefCount Protocol Flags Type St Inode Path": a path may hold spaces, and is the rest of the line. */
static bool unix_line(const char *line, size_t len, const char *path)
{
    unsigned state;
    int at = 0;

    if (sscanf(line, "%*s %*s %*s %*s %*s %x %*s %n", &state, &at) < 1 || at <= 0 || (size_t)at > len)
        return false;
    return state == UNIX_CONNECTED && len - (size_t)at == strlen(path) && strncmp(line + at, path, strlen(path)) == 0;
}

int connections_unix(const char *table, const char *path)
{
    int count = 0;

    for (const char *line = table; *line;) {
        size_t len = strcspn(line, "\n");

        count += unix_line(line, len, path);
        line += len + (line[len] == '\n');
    }
    return count;
}

/* As the kernel writes it: 32-bit words in the byte order of the machine. */
static void kernel_text(const struct listen_address *address, char out[ADDRESS_TEXT])
{
    uint32_t words[4] = {0};
    size_t count = address->ip6 ? 4 : 1;

    inet_pton(address->ip6 ? AF_INET6 : AF_INET, address->host, words);
    for (size_t i = 0; i < count; i++)
        snprintf(out + 8 * i, ADDRESS_TEXT - 8 * i, "%08X", words[i]);
}

static bool any_address(const char *text)
{
    return text[strspn(text, "0")] == '\0';
}

static bool tcp_line(const char *line, const char *wanted, int64_t wanted_port, unsigned *out_unread)
{
    char address[ADDRESS_TEXT];
    unsigned port, state;

    *out_unread = 0;
    if (sscanf(line, " %*[^:]: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %x", address, &port, &state, out_unread) < 3)
        return false;
    return (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT) && port == wanted_port &&
           (any_address(wanted) || strcmp(address, wanted) == 0);
}

void connections_tcp(const char *table, const struct listen_address *address, bool table_of_ip6, struct connections *out)
{
    char wanted[ADDRESS_TEXT];
    unsigned unread;

    kernel_text(address, wanted);
    if (table_of_ip6 != address->ip6 && !any_address(wanted))
        return;
    for (const char *line = table; *line;) {
        size_t len = strcspn(line, "\n");

        if (tcp_line(line, wanted, address->port, &unread)) {
            out->count++;
            out->waiting += unread > 0;
            out->unread += unread;
        }
        line += len + (line[len] == '\n');
    }
}
