/*
 * fleetsnap-coordinator: reads its options, blocks signals before any library starts a thread, starts the coordinator and the API, and runs the main loop until a signal.
 */
#include "coordinator/api/api.h"
#include "coordinator/coordinator.h"
#include "coordinator/options.h"
#include "coordinator/requests.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/keys.h"
#include "kafka/kafka.h"
#include "redis/redis.h"
#include "wire/wire.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#ifndef FLEETSNAP_VERSION
#define FLEETSNAP_VERSION "0"
#endif

enum { OVERRIDES_MAX = 128, EXIT_FAILED = 1, EXIT_USAGE = 2, SECRET_MAX = 4096 };

struct arguments {
    const char *config;
    const char *overrides[OVERRIDES_MAX + 1];
    size_t override_count;
    bool check_config, help, version;
};

static int usage(const char *what, const char *argument)
{
    fprintf(stderr, "fleetsnap-coordinator: %s %s\nSee: fleetsnap-coordinator --help\n", what, argument);
    return -1;
}

static int parse_argument(struct arguments *arguments, int *at, int argc, char **argv)
{
    const char *argument = argv[*at];

    if (strcmp(argument, "--check-config") == 0)
        arguments->check_config = true;
    else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
        arguments->help = true;
    else if (strcmp(argument, "--version") == 0)
        arguments->version = true;
    else if (strncmp(argument, "--config=", 9) == 0)
        arguments->config = argument + 9;
    else if (strcmp(argument, "--config") == 0 || strcmp(argument, "-c") == 0) {
        if (*at + 1 >= argc)
            return usage("which file?", argument);
        arguments->config = argv[++*at];
    } else if (strncmp(argument, "--", 2) == 0 && strchr(argument, '=') && arguments->override_count < OVERRIDES_MAX)
        arguments->overrides[arguments->override_count++] = argument + 2;
    else
        return usage("unknown option", argument);
    return 0;
}

static int parse_arguments(struct arguments *arguments, int argc, char **argv)
{
    for (int at = 1; at < argc; at++)
        if (parse_argument(arguments, &at, argc, argv) < 0)
            return -1;
    return 0;
}

static void print_help(void)
{
    printf("Usage: fleetsnap-coordinator [--config FILE] [--name=value ...]\n"
           "       fleetsnap-coordinator --check-config | --version | --help\n\n"
           "Plans and publishes the jobs of a fleet, keeps its ledger, and serves the HTTP API.\n"
           "Every option of the configuration file can be given as --name=value.\n\n");
    config_help(coordinator_option_rows, stdout);
}

static int fail(const struct err *err, int code)
{
    log_error("coordinator", "%s%s%s", err->text, err->hint[0] ? ". " : "", err->hint);
    return code;
}

static void notify(const char *state)
{
    sd_notify(0, state);
}

/* Before the first thread: those of the libraries inherit the mask, and signals arrive at our descriptor only. */
static void block_signals(sigset_t *out)
{
    sigemptyset(out);
    sigaddset(out, SIGTERM);
    sigaddset(out, SIGINT);
    sigaddset(out, SIGHUP);
    pthread_sigmask(SIG_BLOCK, out, NULL);
    signal(SIGPIPE, SIG_IGN);
}

struct watcher {
    sigset_t signals;
    struct coordinator *coordinator;
    pthread_t thread;
    _Atomic bool done; /* main stops; it wakes the thread by a SIGHUP */
};

static void *watch_signals(void *argument)
{
    struct watcher *watcher = argument;
    int signal_number, asked = 0;

    pthread_setname_np(pthread_self(), "signals");
    while (sigwait(&watcher->signals, &signal_number) == 0) {
        if (atomic_load(&watcher->done))
            break;
        if (signal_number == SIGHUP)
            continue;
        if (++asked > 1)
            _exit(1); /* two signals: now */
        log_info("coordinator", "stops: %s", strsignal(signal_number));
        notify("STOPPING=1");
        coordinator_stop(watcher->coordinator);
    }
    return NULL;
}

static int read_password(const char *path, char **out, struct err *err)
{
    if (!path)
        return 0;
    if (file_read_secret(path, SECRET_MAX, out, NULL, err) < 0)
        return err_wrap(err, "password file");
    (*out)[strcspn(*out, "\r\n")] = '\0';
    return 0;
}

/* The first token, with which all others are made. */
static int make_admin_token(const char *path, struct err *err)
{
    unsigned char secret[32];
    char token[2 * sizeof secret + 8] = "fs_";
    size_t len = strlen(token);

    if (file_exists(path))
        return 0;
    if (key_random(secret, sizeof secret, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof secret; i++)
        len += (size_t)snprintf(token + len, sizeof token - len, "%02x", secret[i]);
    token[len++] = '\n';
    int result = file_write_atomic(path, token, len, 0600, err);
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(token, sizeof token);
    if (result == 0)
        log_info("coordinator", "made an admin token: %s", path);
    return result < 0 ? err_wrap(err, "admin_token_file") : 0;
}

struct secrets {
    char *redis_password, *worker_redis_password;
};

static void secrets_clear(struct secrets *secrets)
{
    char *all[] = {secrets->redis_password, secrets->worker_redis_password};

    for (size_t i = 0; i < 2; i++)
        if (all[i]) {
            explicit_bzero(all[i], strlen(all[i]));
            free(all[i]);
        }
}

static int start_api(const struct coordinator_options *kept, const struct secrets *secrets,
                     struct coordinator *coordinator, const struct kafka_options *kafka,
                     const struct redis_options *redis, struct api **out, struct err *err)
{
    struct api_config config = {
        .listen = kept->http_listen,
        .admin_token_file = kept->admin_token_file,
        .threads = (int)kept->http_threads,
        .kafka = kafka,
        .dev = kept->dev,
        .worker_kafka_brokers = kept->worker_kafka_brokers ? kept->worker_kafka_brokers : kept->kafka_brokers,
        .worker_kafka_extra = &kept->worker_kafka_extra,
        .worker_redis_address = kept->worker_redis_address ? kept->worker_redis_address : kept->redis_address,
        .worker_redis_user = kept->worker_redis_user,
        .worker_redis_password = secrets->worker_redis_password,
        .redis = redis,
    };

    return api_start(&config, coordinator, coordinator_view_path(coordinator), out, err);
}

static enum request_answer ask_api(void *context, const struct caller *caller, const char *key, const char *body,
                                   char *why, size_t size)
{
    return api_ask(context, caller, key, body, why, size);
}

static int serve(const struct coordinator_options *kept, struct watcher *watcher, struct err *err)
{
    CLEANUP(secrets_clear) struct secrets secrets = {0};
    struct kafka_options kafka;
    struct redis_options redis;
    struct requests *requests = NULL;
    struct api *api = NULL;

    coordinator_kafka_options(kept, &kafka);
    if (make_admin_token(kept->admin_token_file, err) < 0 ||
        read_password(kept->redis_password_file, &secrets.redis_password, err) < 0 ||
        read_password(kept->worker_redis_password_file, &secrets.worker_redis_password, err) < 0)
        return -1;
    redis = (struct redis_options){kept->redis_address, kept->redis_user, secrets.redis_password, 0};
    if (start_api(kept, &secrets, watcher->coordinator, &kafka, &redis, &api, err) < 0)
        return -1;
    if (requests_start(watcher->coordinator, ask_api, api, &requests, err) < 0)
        return api_stop(api), -1;
    log_info("coordinator", "%s: http on port %d", kept->name, api_port(api));
    notify("READY=1");
    coordinator_notify(watcher->coordinator, notify);
    int result = coordinator_run(watcher->coordinator, err);
    requests_stop(requests);
    api_stop(api);
    return result;
}

/* Nobody may ask a coordinator to stop that is being freed. From here on a signal ends the process. */
static void end_watch(struct watcher *watcher)
{
    atomic_store(&watcher->done, true);
    pthread_kill(watcher->thread, SIGHUP);
    pthread_join(watcher->thread, NULL);
    pthread_sigmask(SIG_UNBLOCK, &watcher->signals, NULL);
}

static int run(struct coordinator_options *options, const struct coordinator_options *kept, struct err *err)
{
    struct watcher watcher = {0};

    block_signals(&watcher.signals);
    wire_init();
    if (coordinator_start(options, &watcher.coordinator, err) < 0)
        return -1;
    if (pthread_create(&watcher.thread, NULL, watch_signals, &watcher) != 0) {
        coordinator_free(watcher.coordinator);
        return err_set(err, ERR_RETRY, "no thread for signals");
    }
    int result = serve(kept, &watcher, err);
    end_watch(&watcher);
    coordinator_free(watcher.coordinator);
    return result;
}

static void set_log_level(const char *name)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};

    for (size_t i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            log_set_level((enum log_level)i);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct coordinator_options options = {0}, kept = {0};
    struct err err = {0};

    if (parse_arguments(&arguments, argc, argv) < 0)
        return EXIT_USAGE;
    if (arguments.help)
        return print_help(), 0;
    if (arguments.version)
        return printf("fleetsnap-coordinator %s\n", FLEETSNAP_VERSION), 0;
    /* Twice: the coordinator takes one over, main keeps the other for the API. */
    if (coordinator_options_load(arguments.config, arguments.overrides, &options, &err) < 0 ||
        coordinator_options_load(arguments.config, arguments.overrides, &kept, &err) < 0)
        return fail(&err, EXIT_USAGE);
    set_log_level(options.log_level);
    int result = arguments.check_config ? 0 : run(&options, &kept, &err);
    coordinator_options_free(&options);
    coordinator_options_free(&kept);
    return result < 0 ? fail(&err, EXIT_FAILED) : 0;
}
