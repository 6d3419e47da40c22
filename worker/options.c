#include "worker/options.h"

#include "base/err.h"
#include "model/target.h"

#include <string.h>

#define ROW(field, row_name, row_type, ...)                                                               \
    {                                                                                                     \
        .name = row_name, .type = row_type, .offset = offsetof(struct worker_options, field), __VA_ARGS__ \
    }
#define MIB        (INT64_C(1) << 20)
#define MINUTES(n) ((n)*INT64_C(60000))

const struct option worker_option_rows[] = {
    ROW(host, "host", OPTION_STRING, .doc = "This host's name in the fleet. It never changes: jobs are addressed to it."),
    ROW(state_directory, "state_directory", OPTION_PATH, .fallback = "/var/lib/fleetsnap",
        .doc = "Where the journal lives. On a local disk that survives a reboot; one worker per directory."),
    ROW(kafka_brokers, "kafka.brokers", OPTION_STRING, .doc = "Kafka bootstrap servers: host:port, separated by commas."),
    ROW(kafka_extra, "kafka.extra", OPTION_MAP, .optional = true,
        .doc = "More librdkafka properties, e.g. security.protocol and ssl.certificate.location for mutual TLS."),
    ROW(redis_address, "redis.address", OPTION_STRING, .fallback = "127.0.0.1:6379",
        .doc = "Redis as host:port, or the path of its socket."),
    ROW(redis_user, "redis.user", OPTION_STRING, .optional = true, .doc = "Redis ACL user."),
    ROW(redis_password_file, "redis.password_file", OPTION_PATH, .optional = true,
        .doc = "File that holds the password of the Redis user; readable by its owner only."),
    ROW(key_file, "key_file", OPTION_PATH, .fallback = "/etc/fleetsnap/host.key",
        .doc = "This host's keys, as `fleetsnap host enroll` wrote them; readable by their owner only."),
    ROW(libvirt_uri, "libvirt.uri", OPTION_STRING, .fallback = "qemu:///system", .doc = "The libvirt to connect to."),
    ROW(pools, "pools", OPTION_PATHS, .optional = true,
        .doc = "Directories where new disks may be made; the first is the default."),
    ROW(repositories, "repositories", OPTION_PATHS, .optional = true,
        .doc = "Directories that are, or directly hold, repositories of backups."),
    ROW(backends, "backends", OPTION_STRINGS, .fallback = "libvirt,repository",
        .doc = "What this worker serves: libvirt, repository, null (null does nothing: benchmarks and tests)."),
    ROW(executors, "executors", OPTION_INT, .fallback = "4", .min = 1, .max = 64,
        .doc = "Jobs that run at the same time."),
    ROW(spare_executors, "spare_executors", OPTION_INT, .fallback = "4", .min = 0, .max = 64,
        .doc = "Executors started beyond that while others are stuck in a call that does not return."),
    ROW(limit_reads, "limit.reads", OPTION_INT, .fallback = "0", .min = 0, .max = 64,
        .doc = "Class A jobs (they read) at the same time; 0: as many as executors."),
    ROW(limit_adds, "limit.adds", OPTION_INT, .fallback = "0", .min = 0, .max = 64,
        .doc = "Class B jobs (they add) at the same time; 0: as many as executors."),
    ROW(limit_destroys, "limit.destroys", OPTION_INT, .fallback = "0", .min = 0, .max = 64,
        .doc = "Class C jobs (they take away) at the same time; 0: as many as executors."),
    ROW(repository_slots, "limit.repository", OPTION_INT, .fallback = "16", .min = 1, .max = 4096,
        .doc = "Jobs of the whole fleet that use one repository at the same time. The same on every worker."),
    ROW(agent_timeout_ms, "agent_timeout", OPTION_DURATION, .fallback = "5s", .min = 100, .max = MINUTES(5),
        .doc = "How long one guest agent command may take."),
    ROW(frozen_limit_ms, "frozen_limit", OPTION_DURATION, .fallback = "10s", .min = 500, .max = MINUTES(5),
        .doc = "A frozen guest is thawed by then, whatever happens."),
    ROW(drain_ms, "drain", OPTION_DURATION, .fallback = "60s", .min = 0, .max = MINUTES(24 * 60),
        .doc = "After SIGTERM: how long running jobs may go on. What is left is continued by the next start."),
    ROW(stuck_ms, "stuck_after", OPTION_DURATION, .fallback = "60s", .min = 1000, .max = MINUTES(60),
        .doc =
            "A call that has not returned this long after its job's deadline is said to be stuck, and a spare executor takes its place."),
    ROW(heartbeat_ms, "heartbeat", OPTION_DURATION, .fallback = "30s", .min = 1000, .max = MINUTES(2),
        .doc = "How often the host's inventory record is published when nothing changes."),
    ROW(inventory_ms, "inventory", OPTION_DURATION, .fallback = "60s", .min = 1000, .max = MINUTES(24 * 60),
        .doc = "How often everything is looked at, beside the changes that are heard."),
    ROW(min_free_bytes, "min_free", OPTION_SIZE, .fallback = "64MiB", .min = 0, .max = MIB << 20,
        .doc = "With less free space than this for the journal no new job is accepted."),
    ROW(outbox_limit, "outbox_limit", OPTION_INT, .fallback = "200000", .min = 1000, .max = 10000000,
        .doc = "With more records than this waiting for Kafka no new job is accepted."),
    ROW(log_level, "log_level", OPTION_CHOICE, .fallback = "info", .choices = "error|warning|info|debug",
        .doc = "What is written to the log."),
    ROW(dev, "dev", OPTION_BOOL, .fallback = "false", .doc = "For development: allows the backend null."),
    {0},
};

static int set_mode(struct command_line *line, enum worker_mode mode, struct err *err)
{
    if (line->mode != MODE_RUN && line->mode != mode)
        return err_set(err, ERR_PERMANENT, "give only one of --check-config, --inspect, --version and --help");
    line->mode = mode;
    return 0;
}

/* One word of the command line; *taken counts the words used. */
static int read_word(struct command_line *line, char *const words[], int *taken, size_t *overrides, struct err *err)
{
    const char *word = words[0];

    *taken = 1;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return set_mode(line, MODE_HELP, err);
    if (strcmp(word, "--version") == 0)
        return set_mode(line, MODE_VERSION, err);
    if (strcmp(word, "--check-config") == 0)
        return set_mode(line, MODE_CHECK, err);
    if (strcmp(word, "--inspect") == 0)
        return set_mode(line, MODE_INSPECT, err);
    if (strcmp(word, "--json") == 0)
        return line->json = true, 0;
    if (strncmp(word, "--config=", 9) == 0)
        return line->config = word + 9, 0;
    if (strcmp(word, "--config") == 0 && words[1])
        return line->config = words[1], *taken = 2, 0;
    if (strncmp(word, "--", 2) != 0 || !strchr(word, '='))
        return err_set(err, ERR_PERMANENT, "%s: not understood; see --help", word);
    if (*overrides + 1 >= sizeof line->overrides / sizeof *line->overrides)
        return err_set(err, ERR_PERMANENT, "%s: too many options on the command line", word);
    line->overrides[(*overrides)++] = word + 2;
    return 0;
}

int command_line_parse(int argc, char *const argv[], struct command_line *out, struct err *err)
{
    struct command_line line = {.mode = MODE_RUN};
    size_t overrides = 0;
    int taken;

    for (int i = 1; i < argc; i += taken)
        if (read_word(&line, argv + i, &taken, &overrides, err) < 0)
            return -1;
    *out = line;
    return 0;
}

static int check_backends(const struct worker_options *options, struct err *err)
{
    for (size_t i = 0; i < options->backends.count; i++) {
        const char *name = options->backends.items[i];
        bool null = strcmp(name, "null") == 0;

        if (!null && strcmp(name, "libvirt") != 0 && strcmp(name, "repository") != 0)
            return err_set(err, ERR_PERMANENT, "backends: %s is none of libvirt, repository, null", name);
        if (null && !options->dev) {
            err_set(err, ERR_PERMANENT, "backends: null does nothing, and says that it succeeded");
            return err_hint(err, "set dev: true where that is wanted");
        }
    }
    return 0;
}

int worker_options_load(const struct command_line *line, struct worker_options *out, struct err *err)
{
    if (config_load(line->config, line->overrides, worker_option_rows, out, err) < 0)
        return -1;
    int failed = 0;
    if (!name_valid_host(out->host))
        failed = err_set(err, ERR_PERMANENT, "host: %s: use a-z, 0-9, '.', '_' and '-', at most 63", out->host);
    else
        failed = check_backends(out, err);
    if (failed)
        worker_options_free(out);
    return failed;
}

void worker_options_free(struct worker_options *options)
{
    config_free(worker_option_rows, options);
}

void worker_help(FILE *out)
{
    fputs("fleetsnap-worker: executes the fleet's snapshot and backup jobs on one host\n\n"
          "  fleetsnap-worker --config FILE [--name=value ...]\n"
          "  fleetsnap-worker --config FILE --check-config     read the configuration, say what is wrong, exit\n"
          "  fleetsnap-worker --config FILE --inspect [--json] what the worker, or its journal, holds\n"
          "  fleetsnap-worker restore --repository DIR ...     bring a backup back without coordinator, Kafka and Redis: restore --help\n"
          "  fleetsnap-worker mount --repository DIR ...       show a backup's disks as files: mount --help\n"
          "  fleetsnap-worker --version | --help\n\n"
          "Examples\n"
          "  fleetsnap-worker --config /etc/fleetsnap/worker.yaml\n"
          "  fleetsnap-worker --config worker.yaml --executors=8 --kafka.brokers=kafka-1:9092,kafka-2:9092\n"
          "  fleetsnap-worker --config worker.yaml --inspect\n\n"
          "Signals\n"
          "  SIGTERM, SIGINT  drain: finish what runs (option drain), then stop; a second one stops at once\n\n"
          "Options (in the file: YAML, a dot is a nested key; on the command line: --name=value)\n",
          out);
    config_help(worker_option_rows, out);
}
