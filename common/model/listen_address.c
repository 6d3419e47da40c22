#include "model/listen_address.h"

#include "base/err.h"
#include "base/parse.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* "[::1]" and "127.0.0.1" → what is meant. */
static bool take_host(const char *text, size_t len, char *out, size_t size)
{
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return false; /* which of the colons ends the host? */
    }
    return snprintf(out, size, "%.*s", (int)len, text) < (int)size && len > 0;
}

static bool is_loopback(const struct listen_address *address)
{
    return address->ip6 ? strcmp(address->host, "::1") == 0 : strncmp(address->host, "127.", 4) == 0;
}

int listen_address_parse(const char *text, struct listen_address *out, struct err *err)
{
    const char *colon = strrchr(text, ':');
    struct listen_address address = {0};
    unsigned char bytes[sizeof(struct in6_addr)];

    if (!colon || parse_int(colon + 1, 1, 65535, &address.port, NULL) < 0)
        return err_set(err, ERR_PERMANENT, "\"%.64s\": must be ADDRESS:PORT", text);
    if (!take_host(text, (size_t)(colon - text), address.host, sizeof address.host))
        return err_set(err, ERR_PERMANENT, "\"%.64s\": must be ADDRESS:PORT, or [ADDRESS]:PORT for IPv6", text);
    address.ip6 = inet_pton(AF_INET6, address.host, bytes) == 1;
    if (!address.ip6 && inet_pton(AF_INET, address.host, bytes) != 1)
        return err_set(err, ERR_PERMANENT, "\"%.64s\" is not an IP address, as in 127.0.0.1:10809", address.host);
    address.loopback = is_loopback(&address);
    *out = address;
    return 0;
}
