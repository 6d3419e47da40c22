#pragma once
/* Where a server listens, as people write it: "127.0.0.1:10809", "[::1]:10809". Pure. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct err;

struct listen_address {
    char host[INET6_ADDRSTRLEN]; /* an IP address, without brackets */
    int64_t port;                /* 1 to 65535 */
    bool ip6;
    bool loopback; /* nobody but this host reaches it */
};

/* ERR_PERMANENT: names are refused, for what they mean may change between the check and the listening. */
int listen_address_parse(const char *text, struct listen_address *out, struct err *err);
