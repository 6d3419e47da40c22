/*
 * From "127.0.0.1:6379", "[::1]:6379", "redis.example:6379" or "/run/redis.sock" to socket addresses. A name is looked up by a
 * thread of its own: a name server that does not answer may take ten seconds, and a worker's loop must not stand still for that. The thread and the connection
 * share the struct lookup; whoever lets go of it last frees it, so neither ever waits for the other.
 */
#include "redis/connection.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct lookup {
    atomic_int holders; /* the thread, the connection */
    atomic_bool done;   /* code and result are written */
    int code;           /* of getaddrinfo */
    struct addrinfo *result;
    char host[256], port[16];
};

/* One allocation for path addresses, so that addresses_free() can tell and free them. */
struct path_address {
    struct addrinfo info;
    struct sockaddr_un path;
};

static int path_address(const char *path, struct addrinfo **out, char *why, size_t why_size)
{
    struct path_address *address = calloc(1, sizeof *address);

    if (!address || strlen(path) >= sizeof address->path.sun_path) {
        snprintf(why, why_size, address ? "the path of the socket is too long" : "out of memory");
        free(address);
        return -1;
    }
    address->path.sun_family = AF_UNIX;
    strcpy(address->path.sun_path, path);
    address->info = (struct addrinfo){
        .ai_family = AF_UNIX, .ai_socktype = SOCK_STREAM, .ai_addrlen = sizeof address->path};
    address->info.ai_addr = (struct sockaddr *)&address->path;
    *out = &address->info;
    return 0;
}

void addresses_free(struct addrinfo *addresses)
{
    if (addresses && addresses->ai_family == AF_UNIX)
        free(addresses);
    else if (addresses)
        freeaddrinfo(addresses);
}

static bool split(const char *address, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : strlen(address);

    if (len > 1 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len == 0 || len >= host_size || (colon && (!colon[1] || strlen(colon + 1) >= port_size)))
        return false;
    memcpy(host, address, len);
    host[len] = '\0';
    snprintf(port, port_size, "%s", colon ? colon + 1 : "6379");
    return true;
}

static void let_go(struct lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->holders, 1) > 1)
        return;
    if (lookup->result)
        freeaddrinfo(lookup->result);
    free(lookup);
}

static void *look_up(void *context)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct lookup *lookup = context;

    lookup->code = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->result);
    atomic_store(&lookup->done, true);
    let_go(lookup);
    return NULL;
}

static int start_thread(struct lookup *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int code;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    atomic_store(&lookup->holders, 2);
    code = pthread_create(&thread, &attributes, look_up, lookup);
    pthread_attr_destroy(&attributes);
    return code;
}

/* 0: *out is set, and the lookup not needed; 1: begun; -1: failed. */
static int numeric_or_start(struct lookup *lookup, struct addrinfo **out, char *why, size_t why_size)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    int code;

    if (getaddrinfo(lookup->host, lookup->port, &hints, out) == 0)
        return 0;
    code = start_thread(lookup);
    if (code)
        snprintf(why, why_size, "%s: %s", lookup->host, strerror(code));
    return code ? -1 : 1;
}

int lookup_start(const char *address, struct lookup **out_lookup, struct addrinfo **out, char *why, size_t why_size)
{
    struct lookup *lookup;
    int started;

    if (address[0] == '/')
        return path_address(address, out, why, why_size);
    lookup = calloc(1, sizeof *lookup);
    if (!lookup || !split(address, lookup->host, sizeof lookup->host, lookup->port, sizeof lookup->port)) {
        snprintf(why, why_size, lookup ? "%s is not host:port" : "out of memory", address);
        free(lookup);
        return -1;
    }
    started = numeric_or_start(lookup, out, why, why_size);
    if (started == 1)
        *out_lookup = lookup;
    else
        free(lookup);
    return started < 0 ? -1 : 0;
}

int lookup_poll(struct lookup *lookup, struct addrinfo **out, char *why, size_t why_size)
{
    if (!atomic_load(&lookup->done))
        return 1;
    if (lookup->code) {
        snprintf(why, why_size, "%s: %s", lookup->host, gai_strerror(lookup->code));
        return -1;
    }
    *out = lookup->result;
    lookup->result = NULL;
    return 0;
}

void lookup_free(struct lookup *lookup)
{
    if (lookup)
        let_go(lookup);
}
