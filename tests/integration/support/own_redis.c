#include "own_redis.h"

#include "base/clock.h"
#include "base/err.h"
#include "redis/redis.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { START_MS = 60000 };

struct own_redis {
    char folder[64], config[96], address[32];
    pid_t pid;
};

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void write_config(struct own_redis *server, int port, const char *const extra[])
{
    FILE *file = fopen(server->config, "w");

    assert_non_null(file);
    fprintf(file, "bind 127.0.0.1\nport %d\ndir %s\nappendonly yes\nappendfsync everysec\nsave \"\"\n", port,
            server->folder);
    fprintf(file, "maxmemory-policy noeviction\nlogfile %s/log\n", server->folder);
    for (; extra && *extra; extra++)
        fprintf(file, "%s\n", *extra);
    fclose(file);
}

/* No thread runs yet in these tests; the parent's death takes the server along, however the test ends. */
static void spawn(struct own_redis *server)
{
    pid_t parent = getpid();

    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        execlp("redis-server", "redis-server", server->config, (char *)NULL);
    _exit(127);
}

/* "PONG", or refused for want of a login: either way it answers. */
static bool answers(struct redis *redis)
{
    static const char *const ping[] = {"PING"};
    struct err err = {0};
    struct redis_reply *reply = redis_call(redis, &err, 1, ping, NULL);
    bool up = reply || err.kind == ERR_PERMANENT;

    redis_reply_free(reply);
    return up;
}

static void wait_up(struct own_redis *server)
{
    const struct redis_options options = {.address = server->address, .timeout_ms = 500};
    int64_t end = clock_monotonic_ms() + START_MS;
    struct redis *redis = NULL;
    struct err err = {0};

    assert_int_equal(redis_new(&options, &redis, &err), 0);
    while (!answers(redis)) {
        assert_true(clock_monotonic_ms() < end);
        assert_int_equal(waitpid(server->pid, NULL, WNOHANG), 0);
        usleep(10000);
    }
    redis_free(redis);
}

struct own_redis *own_redis_start(const char *const extra[])
{
    struct own_redis *server = calloc(1, sizeof *server);
    int port = free_port();

    assert_non_null(server);
    snprintf(server->folder, sizeof server->folder, "/tmp/fleetsnap-redis-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    snprintf(server->config, sizeof server->config, "%s/redis.conf", server->folder);
    snprintf(server->address, sizeof server->address, "127.0.0.1:%d", port);
    write_config(server, port, extra);
    spawn(server);
    wait_up(server);
    return server;
}

static void remove_under(const struct own_redis *server, const char *what)
{
    char command[160];

    snprintf(command, sizeof command, "rm -rf '%s%s'", server->folder, what);
    if (system(command) != 0)
        print_message("%s: not removed\n", server->folder);
}

static void end(struct own_redis *server, int with)
{
    if (server->pid > 0) {
        kill(server->pid, with);
        waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
}

void own_redis_kill(struct own_redis *server)
{
    end(server, SIGKILL);
}

void own_redis_stop(struct own_redis *server)
{
    if (!server)
        return;
    own_redis_kill(server);
    remove_under(server, "");
    free(server);
}

const char *own_redis_address(const struct own_redis *server)
{
    return server->address;
}

void own_redis_signal(struct own_redis *server, int signal)
{
    kill(server->pid, signal);
}

/* With SIGTERM the data is all there: while the disk is slow Redis answers before it has written, so a killed one may have lost a second or two. */
void own_redis_restart(struct own_redis *server, bool without_data)
{
    end(server, without_data ? SIGKILL : SIGTERM);
    if (without_data)
        remove_under(server, "/appendonlydir");
    spawn(server);
    wait_up(server);
}
