/*
 * Opening a librdkafka handle: settings, logging, errors. Three traps of librdkafka 2.0.2 are dealt with here:
 *
 * - rd_kafka_new() owns the conf only when it succeeds; on failure it is still ours.
 * - log_cb runs on library threads, even before rd_kafka_new() returns: it may use nothing but the logger.
 * - The default reconnect.backoff.max.ms of 10 s keeps a client blind for up to 9 s after a broker restart; 1 s is enough to be gentle.
 *
 * Trouble with the transport is not an error of ours: librdkafka reconnects and sends again for ever. So it is logged (once by log_cb), and
 * callers see it as silence.
 */
#include "kafka/client.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/facts.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SYSLOG_WARNING = 4, SYSLOG_INFO = 6 };

static const struct setting shared_settings[] = {
    {"allow.auto.create.topics", "false"}, /* a topic made by accident has the wrong settings */
    {"reconnect.backoff.ms", "100"},
    {"reconnect.backoff.max.ms", "1000"},
    {"socket.connection.setup.timeout.ms", "10000"},
    {"socket.nagle.disable", "true"}, /* 2.0.2 leaves Nagle on */
    {"socket.keepalive.enable", "true"},
    {"log.connection.close", "false"}, /* brokers close idle connections; that is no news */
    {NULL, NULL},
};

static const rd_kafka_resp_err_t permanent_codes[] = {
    RD_KAFKA_RESP_ERR__AUTHENTICATION,
    RD_KAFKA_RESP_ERR__SSL,
    RD_KAFKA_RESP_ERR__INVALID_ARG,
    RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,
    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
    RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
    RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
    RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
    RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
    RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,
    RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR,
    RD_KAFKA_RESP_ERR_INVALID_CONFIG,
    RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
    RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION,
};

static enum err_kind kind_of(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        return ERR_CONFLICT;
    for (size_t i = 0; i < sizeof permanent_codes / sizeof *permanent_codes; i++) {
        if (permanent_codes[i] == code)
            return ERR_PERMANENT;
    }
    return ERR_RETRY;
}

int kafka_err(struct err *err, rd_kafka_resp_err_t code, const char *format, ...)
{
    char what[256];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return err_set_code(err, kind_of(code), code, "%s: %s", what, rd_kafka_err2str(code));
}

rd_kafka_resp_err_t kafka_list_error(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; !code && list && i < list->cnt; i++)
        code = list->elems[i].err;
    return code;
}

/*
 * What the library tries again by itself, as a broker that has just started loads its coordinator: no news for people. When it goes on, records are not acknowledged, and
 * those who wait for them say so.
 */
static bool is_retry(const char *text)
{
    static const char end[] = ": retrying";
    size_t len = strlen(text);

    return len >= sizeof end - 1 && strcmp(text + len - (sizeof end - 1), end) == 0;
}

/* Library threads. librdkafka writes "[thrd:…]: " in front of its text; people need only the rest. */
static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
    const struct kafka_client *client = rd_kafka_opaque(handle);
    const char *rest = strstr(text, "]: ");

    text = strncmp(text, "[thrd:", 6) == 0 && rest ? rest + 3 : text;
    if (strcmp(facility, "CONFWARN") == 0 && strstr(text, "allow.auto.create.topics"))
        return; /* called a consumer's property, yet a producer obeys it too */
    if (client->quiet || level > SYSLOG_INFO || is_retry(text) ||
        strcmp(facility, "AUTOCREATE") == 0) /* the last: only the mock broker is that old */
        log_debug("kafka", "%s: %s", facility, text);
    else if (level > SYSLOG_WARNING)
        log_info("kafka", "%s: %s", facility, text);
    else
        log_warning("kafka", "%s: %s", facility, text);
}

/* The polling thread. log_cb has told most of it already; what remains is that nothing can work any more. */
static void on_error(rd_kafka_t *handle, int code, const char *reason, void *opaque)
{
    const struct kafka_client *client = opaque;

    (void)handle;
    if (code == RD_KAFKA_RESP_ERR__FATAL && !client->quiet)
        log_warning("kafka", "this handle must be opened again: %s", reason);
    else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !client->quiet)
        log_warning("kafka", "no broker can be reached: %s", reason);
    else
        log_debug("kafka", "%s: %s", rd_kafka_err2name(code), reason);
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
    char why[256];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        return err_set(err, ERR_PERMANENT, "kafka setting %s: %s", name, why);
    return 0;
}

static int set_all(rd_kafka_conf_t *conf, const struct setting *settings, struct err *err)
{
    for (; settings->name; settings++) {
        if (set(conf, settings->name, settings->value, err) < 0)
            return -1;
    }
    return 0;
}

static void conf_destroyp(rd_kafka_conf_t **conf)
{
    if (*conf)
        rd_kafka_conf_destroy(*conf);
}

static int configure(rd_kafka_conf_t *conf, const struct kafka_options *options, const struct setting *settings,
                     struct err *err)
{
    if (set_all(conf, shared_settings, err) < 0 || set(conf, "bootstrap.servers", options->brokers, err) < 0 ||
        set(conf, "client.id", options->client_id ? options->client_id : "fleetsnap", err) < 0 ||
        set_all(conf, settings, err) < 0)
        return -1;
    for (size_t i = 0; options->extra && i < options->extra->count; i++) {
        if (set(conf, options->extra->items[i].key, options->extra->items[i].value, err) < 0)
            return -1;
    }
    return 0;
}

int kafka_client_open(const struct kafka_options *options, rd_kafka_type_t type, const struct setting *settings,
                      void (*callbacks)(rd_kafka_conf_t *conf), struct kafka_client *client, struct err *err)
{
    CLEANUP(conf_destroyp) rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];

    client->event_fd = -1;
    if (!options->brokers || !*options->brokers)
        return err_set(err, ERR_PERMANENT, "kafka: no brokers configured");
    if (configure(conf, options, settings, err) < 0)
        return -1;
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (callbacks)
        callbacks(conf);
    client->handle = rd_kafka_new(type, conf, why, sizeof why);
    if (!client->handle)
        return err_set(err, ERR_PERMANENT, "kafka: %s", why);
    conf = NULL;
    return 0;
}

int kafka_client_watch(struct kafka_client *client, rd_kafka_queue_t *queue, struct err *err)
{
    static const uint64_t one = 1;

    client->queue = queue;
    client->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (client->event_fd < 0)
        return err_errno(err, errno, "kafka: eventfd");
    rd_kafka_queue_io_event_enable(queue, client->event_fd, &one, sizeof one);
    return 0;
}

void kafka_client_close(struct kafka_client *client)
{
    if (client->queue) {
        rd_kafka_queue_io_event_enable(client->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(client->queue);
    }
    /* Without leaving a group: we are in none, and the answer of its coordinator could be waited for until the broker is back. */
    if (client->handle) {
        rd_kafka_destroy_flags(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        if (client->event_fd >= 0)
            close(client->event_fd);
    }
    *client = (struct kafka_client){.event_fd = -1};
}

int kafka_client_open_probe(const struct kafka_options *options, struct kafka_client *client, struct err *err)
{
    static const struct setting settings[] = {
        {"group.id", "fleetsnap-probe"}, /* never joined, never committed to; assign() wants one */
        {"enable.auto.commit", "false"},
        {"auto.offset.reset", "error"},
        {"isolation.level", "read_committed"},
        {"enable.partition.eof", "true"},
        {"check.crcs", "true"},
        {"fetch.wait.max.ms", "50"},
        {NULL, NULL},
    };

    client->quiet = true;
    if (kafka_client_open(options, RD_KAFKA_CONSUMER, settings, NULL, client, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(client->handle);
    return 0;
}

void kafka_fd_clear(int fd)
{
    uint64_t count;

    while (fd >= 0 && read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}
