/* The server on a real socket: limits, malformed input, event streams, stopping. */
#include "coordinator/api/internal.h"
#include "fake/fake_coordinator.h"

#include "base/clock.h"
#include "base/uuid.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define AUTH  "Authorization: Bearer bootstrap-token-0123456789\r\n"
#define OTHER "Authorization: Bearer fst_other.0123456789abcdef\r\n"

struct world {
    struct coordinator *fake;
    struct api *api;
    char folder[64], token_file[96];
    char answer[64 * 1024];
    struct api_config config;
};

static void write_token(struct world *world, mode_t mode)
{
    FILE *file = fopen(world->token_file, "w");

    fputs("bootstrap-token-0123456789\n", file);
    fclose(file);
    chmod(world->token_file, mode);
}

static int make(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct err err = {0};

    strcpy(world->folder, "/tmp/test_api_http.XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->token_file, sizeof world->token_file, "%s/admin.token", world->folder);
    write_token(world, 0600);
    world->fake = fake_coordinator_new();
    fake_load_fleet(world->fake);
    world->config = (struct api_config){
        .listen = "127.0.0.1:0", .admin_token_file = world->token_file, .streams_max = 3, .streams_per_token = 2};
    if (api_start(&world->config, world->fake, fake_coordinator_view(world->fake), &world->api, &err) < 0)
        fail_msg("%s", err.text);
    *state = world;
    return 0;
}

static int destroy(void **state)
{
    struct world *world = *state;

    api_stop(world->api);
    fake_coordinator_free(world->fake);
    unlink(world->token_file);
    rmdir(world->folder);
    free(world);
    return 0;
}

static int dial(const struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)api_port(world->api)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_all(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        len -= (size_t)sent;
    }
}

/* Reads until `until` has come, or the end. */
static void receive(struct world *world, int fd, const char *until)
{
    size_t used = 0;

    world->answer[0] = '\0';
    while (used + 1 < sizeof world->answer && !(until && strstr(world->answer, until))) {
        ssize_t got = recv(fd, world->answer + used, sizeof world->answer - 1 - used, 0);
        if (got <= 0)
            return;
        used += (size_t)got;
        world->answer[used] = '\0';
    }
}

static int status_of(const struct world *world)
{
    return strncmp(world->answer, "HTTP/1.1 ", 9) == 0 ? atoi(world->answer + 9) : 0;
}

static int exchange(struct world *world, const char *request)
{
    int fd = dial(world);

    send_all(fd, request, strlen(request));
    shutdown(fd, SHUT_WR);
    receive(world, fd, NULL);
    close(fd);
    return status_of(world);
}

static void requests_are_answered_in_json(void **state)
{
    struct world *world = *state;

    assert_int_equal(exchange(world, "GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 200);
    assert_non_null(strstr(world->answer, "Content-Type: application/json"));
    assert_non_null(strstr(world->answer, "Cache-Control: no-store"));
    assert_int_equal(
        exchange(world, "GET /v1/targets?selector=app%3Dshop&limit=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" AUTH
                        "\r\n"),
        200);
    assert_non_null(strstr(world->answer, "shop-1"));
    assert_null(strstr(world->answer, "shop-2"));
}

static void errors_are_problem_documents(void **state)
{
    struct world *world = *state;

    assert_int_equal(exchange(world, "GET /v1/targets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 401);
    assert_non_null(strstr(world->answer, "application/problem+json"));
    assert_non_null(strstr(world->answer, "WWW-Authenticate: Bearer"));
    assert_int_equal(
        exchange(world, "GET /v1/targets?colour=red HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" AUTH "\r\n"), 400);
    assert_int_equal(
        exchange(world, "GET /v1/targets?limit=1x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" AUTH "\r\n"), 400);
    assert_int_equal(
        exchange(world, "GET /v1/targets?selector=a%3D%28 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" AUTH "\r\n"),
        400);
}

static void bodies_must_be_json_and_short(void **state)
{
    struct world *world = *state;
    size_t len = 300 * 1024;
    char *big = malloc(len + 512);

    assert_int_equal(
        exchange(
            world,
            "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n" AUTH
            "\r\n{}"),
        415);
    assert_int_equal(
        exchange(
            world,
            "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 1\r\n" AUTH
            "\r\n{"),
        400);
    assert_int_equal(
        exchange(
            world,
            "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 300000\r\n" AUTH
            "\r\n"),
        413);
    /* a length that is not announced */
    int head = snprintf(
        big, 512,
        "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" AUTH
        "\r\n%zx\r\n",
        len);
    memset(big + head, ' ', len);
    memcpy(big + (size_t)head + len, "\r\n0\r\n\r\n", 8);
    assert_int_equal(exchange(world, big), 413);
    free(big);
}

static void heads_are_limited(void **state)
{
    struct world *world = *state;
    char *request = malloc(16 * 1024);
    size_t used;

    used = (size_t)sprintf(request, "GET /v1/health?x=");
    memset(request + used, 'a', 5000);
    strcpy(request + used + 5000, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_int_equal(exchange(world, request), 414);
    used = (size_t)sprintf(request, "GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for (int i = 0; i < 80; i++)
        used += (size_t)sprintf(request + used, "X-%d: y\r\n", i);
    strcpy(request + used, "\r\n");
    assert_int_equal(exchange(world, request), 431);
    free(request);
}

static void rubbish_is_survived(void **state)
{
    static const char *const requests[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\nContent-Length: -1\r\n" AUTH "\r\n",
        "GET /v1/targets/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" AUTH "\r\n",
        "GET /v1/jobs?target=%ff%fe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" AUTH "\r\n"};

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        exchange(*state, requests[i]);
    assert_int_equal(exchange(*state, "GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 200);
}

/* A job of the fake's; its id. */
static void submit(struct world *world, char id[UUID_TEXT])
{
    const char *body = "{\"op\":\"snapshot.create\",\"target\":\"shop-1\"}";
    char request[512];

    snprintf(
        request, sizeof request,
        "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n" AUTH
        "\r\n%s",
        strlen(body), body);
    assert_int_equal(exchange(world, request), 202);
    const char *found = strstr(world->answer, "\"job_id\":\"");
    assert_non_null(found);
    snprintf(id, UUID_TEXT, "%.36s", found + 10);
}

static int open_stream_as(struct world *world, const char *authorization, const char *path, const char *last)
{
    char request[512];
    int fd = dial(world);

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n%s%s%s%s\r\n", path, last ? "Last-Event-ID: " : "",
             last ? last : "", last ? "\r\n" : "", authorization);
    send_all(fd, request, strlen(request));
    return fd;
}

static int open_stream(struct world *world, const char *path, const char *last)
{
    return open_stream_as(world, AUTH, path, last);
}

static void a_stream_tells_what_was_and_what_comes_and_ends(void **state)
{
    struct world *world = *state;
    char id[UUID_TEXT], path[96];

    submit(world, id);
    snprintf(path, sizeof path, "/v1/jobs/%s/events", id);
    int fd = open_stream(world, path, NULL);
    receive(world, fd, "PLANNED");
    assert_int_equal(status_of(world), 200);
    assert_non_null(strstr(world->answer, "Content-Type: text/event-stream"));
    assert_non_null(strstr(world->answer, "id: 1\nevent: status\ndata: {"));
    fake_event(world->fake, id, "{\"state\":\"RUNNING\",\"phase\":\"push\",\"done\":1,\"total\":4}");
    receive(world, fd, "push");
    assert_non_null(strstr(world->answer, "push"));
    fake_event(world->fake, id, "{\"state\":\"SUCCEEDED\"}");
    receive(world, fd, "event: end");
    assert_non_null(strstr(world->answer, "SUCCEEDED"));
    assert_non_null(strstr(world->answer, "event: end"));
    close(fd);
}

static void a_stream_goes_on_behind_the_last_event_seen(void **state)
{
    struct world *world = *state;
    char id[UUID_TEXT], path[96];

    submit(world, id);
    fake_event(world->fake, id, "{\"state\":\"SUCCEEDED\"}");
    snprintf(path, sizeof path, "/v1/jobs/%s/events", id);
    int fd = open_stream(world, path, "1");
    receive(world, fd, "event: end");
    assert_null(strstr(world->answer, "PLANNED"));
    assert_non_null(strstr(world->answer, "SUCCEEDED"));
    close(fd);
}

static void all_events_begin_now(void **state)
{
    struct world *world = *state;
    char first[UUID_TEXT], second[UUID_TEXT];

    submit(world, first);
    int fd = open_stream(world, "/v1/events", NULL);
    receive(world, fd, "retry:");
    for (int i = 0; i < 100 && !strstr(world->answer, "SUCCEEDED"); i++) { /* until the stream has found its place */
        fake_event(world->fake, first, "{\"state\":\"RUNNING\",\"phase\":\"x\"}");
        struct timeval brief = {.tv_usec = 100000};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief);
        receive(world, fd, "RUNNING");
        if (strstr(world->answer, "RUNNING"))
            break;
    }
    assert_null(strstr(world->answer, "PLANNED"));
    assert_non_null(strstr(world->answer, "RUNNING"));
    close(fd);
    submit(world, second);
}

static void streams_are_limited_and_given_back(void **state)
{
    struct world *world = *state;
    int a = open_stream(world, "/v1/events", NULL), b, c;
    char hash[HASH_TEXT];

    receive(world, a, "retry:");
    b = open_stream(world, "/v1/events", NULL);
    receive(world, b, "retry:");
    c = open_stream(world, "/v1/events", NULL);
    receive(world, c, "\r\n\r\n");
    assert_int_equal(status_of(world), 503); /* one token has only so many */
    assert_non_null(strstr(world->answer, "the token bootstrap"));
    close(c);
    api_token_hash("fst_other.0123456789abcdef", hash);
    fake_put_token(world->fake, "other", hash, "viewer", "A", NULL, 0);
    c = open_stream_as(world, OTHER, "/v1/events", NULL);
    receive(world, c, "retry:");
    int d = open_stream_as(world, OTHER, "/v1/events", NULL);
    receive(world, d, "\r\n\r\n");
    assert_int_equal(status_of(world), 503); /* nor are there more than that */
    close(a);
    close(b);
    close(c);
    close(d);
}

static void unknown_jobs_have_no_stream(void **state)
{
    int fd = open_stream(*state, "/v1/jobs/00000000-0000-4000-8000-000000000000/events", NULL);

    receive(*state, fd, "\r\n\r\n");
    assert_int_equal(status_of(*state), 404);
    close(fd);
}

static void stopping_ends_open_streams(void **state)
{
    struct world *world = *state;
    int fd = open_stream(world, "/v1/events", NULL);
    int64_t begun = clock_monotonic_ms();

    receive(world, fd, "retry:");
    api_stop(world->api);
    world->api = NULL;
    receive(world, fd, NULL);
    assert_true(clock_monotonic_ms() - begun < 5000);
    close(fd);
}

static void bad_configurations_are_refused(void **state)
{
    static const char *const listens[] = {"",       "8420",        "127.0.0.1", "127.0.0.1:99999", "somewhere:1",
                                          "[::1:1", "127.0.0.1:1x"};
    struct world *world = *state;
    struct api *api = NULL;
    struct err err = {0};

    for (size_t i = 0; i < sizeof listens / sizeof *listens; i++) {
        struct api_config config = world->config;
        config.listen = listens[i];
        assert_int_equal(api_start(&config, world->fake, fake_coordinator_view(world->fake), &api, &err), -1);
        assert_int_equal(err.kind, ERR_PERMANENT);
    }
    write_token(world, 0644); /* others can read it */
    assert_int_equal(api_start(&world->config, world->fake, fake_coordinator_view(world->fake), &api, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_are_answered_in_json, make, destroy),
        cmocka_unit_test_setup_teardown(errors_are_problem_documents, make, destroy),
        cmocka_unit_test_setup_teardown(bodies_must_be_json_and_short, make, destroy),
        cmocka_unit_test_setup_teardown(heads_are_limited, make, destroy),
        cmocka_unit_test_setup_teardown(rubbish_is_survived, make, destroy),
        cmocka_unit_test_setup_teardown(a_stream_tells_what_was_and_what_comes_and_ends, make, destroy),
        cmocka_unit_test_setup_teardown(a_stream_goes_on_behind_the_last_event_seen, make, destroy),
        cmocka_unit_test_setup_teardown(all_events_begin_now, make, destroy),
        cmocka_unit_test_setup_teardown(streams_are_limited_and_given_back, make, destroy),
        cmocka_unit_test_setup_teardown(unknown_jobs_have_no_stream, make, destroy),
        cmocka_unit_test_setup_teardown(stopping_ends_open_streams, make, destroy),
        cmocka_unit_test_setup_teardown(bad_configurations_are_refused, make, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
