/* Starting and stopping the server: address, bootstrap token, limits, thread pool. */
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "coordinator/api/http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { CONNECTION_MEMORY = 32 * 1024 }; /* for the head of a request and what is on its way; longer heads are refused */

static void fill_defaults(struct api_config *config)
{
    config->listen = config->listen ? config->listen : "127.0.0.1:8420";
    config->threads = config->threads ? config->threads : 4;
    config->body_max_bytes = config->body_max_bytes ? config->body_max_bytes : 256 * 1024;
    config->url_max_bytes = config->url_max_bytes ? config->url_max_bytes : 4096;
    config->headers_max = config->headers_max ? config->headers_max : 64;
    config->connections_max = config->connections_max ? config->connections_max : 256;
    config->connections_per_address = config->connections_per_address ? config->connections_per_address : 128;
    config->timeout_s = config->timeout_s ? config->timeout_s : 30;
    config->streams_max = config->streams_max ? config->streams_max : 128;
    config->streams_per_token = config->streams_per_token ? config->streams_per_token : 32;
    if (config->connections_max < config->threads)
        config->connections_max = config->threads;
}

static int parse_host(char *host, int64_t port, struct sockaddr_storage *out, struct err *err)
{
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    size_t len = strlen(host);

    if (len >= 2 && *host == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host + 1, &six->sin6_addr) == 1
                   ? 0
                   : err_set(err, ERR_PERMANENT, "listen: \"%s\" is no IPv6 address", host + 1);
    }
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &four->sin_addr) == 1)
        return 0;
    return err_set(err, ERR_PERMANENT, "listen: \"%s\" is no address; write 127.0.0.1:8420 or [::1]:8420", host);
}

static int parse_listen(const char *listen, struct sockaddr_storage *out, struct err *err)
{
    char host[128];
    const char *colon = strrchr(listen, ':');
    int64_t port;

    if (!colon || (size_t)(colon - listen) >= sizeof host)
        return err_set(err, ERR_PERMANENT, "listen: \"%.60s\" is not address:port", listen);
    if (parse_int(colon + 1, 0, 65535, &port, err) < 0)
        return err_wrap(err, "listen: port");
    snprintf(host, sizeof host, "%.*s", (int)(colon - listen), listen);
    memset(out, 0, sizeof *out);
    return parse_host(host, port, out, err);
}

/* The whole file without the end of its line, hashed. */
static int load_admin_token(struct api_context *context, struct err *err)
{
    const char *path = context->config.admin_token_file;
    char *token = NULL;
    size_t len;

    if (!path || !*path)
        return 0;
    if (file_read_secret(path, TOKEN_MAX_BYTES, &token, &len, err) < 0)
        return err_wrap(err, "admin_token_file");
    token[strcspn(token, "\r\n")] = '\0';
    bool good = strlen(token) >= 16;
    api_token_hash(token, context->admin_hash);
    explicit_bzero(token, len);
    free(token);
    return good ? 0 : err_set(err, ERR_PERMANENT, "admin_token_file %s: a token has at least 16 characters", path);
}

static void close_reader(void *reader)
{
    view_reader_close(reader);
}

static void log_library(void *context, const char *format, va_list arguments)
{
    char line[512];

    (void)context;
    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = '\0';
    log_debug("api", "%s", line);
}

static int start_daemon(struct api *api, struct err *err)
{
    const struct api_config *config = &api->context.config;
    struct sockaddr_storage address;

    if (parse_listen(config->listen, &address, err) < 0)
        return -1;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0u);
    api->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, http_access, api, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_SOCK_ADDR,
        &address, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)config->threads, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)config->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)config->connections_per_address, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)config->timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, http_completed, api,
        MHD_OPTION_URI_LOG_CALLBACK, http_begin, api, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    if (!api->daemon)
        return err_set(err, ERR_PERMANENT, "cannot listen on %s: is something else there?", config->listen);
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_BIND_PORT);
    api->port = info ? info->port : 0;
    return 0;
}

static int start(struct api *api, const char *view_path, struct err *err)
{
    struct api_context *context = &api->context;

    context->view_path = strdup(view_path);
    if (!context->view_path)
        return err_memory(err, "api");
    if (load_admin_token(context, err) < 0 || replay_new(&context->replay, err) < 0 ||
        streams_new(context, &context->streams, err) < 0)
        return -1;
    api->has_key = pthread_key_create(&api->reader_key, close_reader) == 0;
    return api->has_key ? start_daemon(api, err) : err_set(err, ERR_RETRY, "too many thread keys");
}

int api_start(const struct api_config *config, struct coordinator *coordinator, const char *view_path, struct api **out,
              struct err *err)
{
    struct api *api = calloc(1, sizeof *api);

    if (!api)
        return err_memory(err, "api");
    api->context.config = *config;
    api->context.coordinator = coordinator;
    fill_defaults(&api->context.config);
    if (start(api, view_path, err) < 0) {
        api_stop(api);
        return err_wrap(err, "api");
    }
    *out = api;
    return 0;
}

void api_stop(struct api *api)
{
    if (!api)
        return;
    streams_stop(api->context.streams); /* also wakes the connections that sleep: the server cannot stop with them */
    if (api->daemon)
        MHD_stop_daemon(api->daemon);
    if (api->has_key)
        pthread_key_delete(api->reader_key);
    view_reader_close(api->asking);
    streams_free(api->context.streams);
    replay_free(api->context.replay);
    free(api->context.view_path);
    explicit_bzero(api->context.admin_hash, sizeof api->context.admin_hash);
    free(api);
}

int api_port(const struct api *api)
{
    return api->port;
}
