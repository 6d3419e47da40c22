#include "coordinator/options.h"

#include "base/err.h"
#include "base/parse.h"
#include "coordinator/bandwidth.h"
#include "kafka/kafka.h"
#include "model/target.h"

#include <stddef.h>
#include <string.h>

#define AT(member) .offset = offsetof(struct coordinator_options, member)
/* A fetch under way keeps partitions that are assigned meanwhile, and the questions of a candidate, waiting; two coordinators cost the brokers nothing. */
enum { SECOND = 1000, MINUTE = 60 * SECOND, FETCH_WAIT_MS = 200 };

const struct option coordinator_option_rows[] = {
    {"name", OPTION_STRING, AT(name), .fallback = "c1",
     .doc = "Name of this coordinator in the fleet; a leader and its standby have different ones."},
    {"state_directory", OPTION_PATH, AT(state_directory), .fallback = "/var/lib/fleetsnap-coordinator",
     .doc =
         "Folder for the view (a cache) and the identity of this instance; locked, so that only one coordinator uses it."},
    {"log_level", OPTION_CHOICE, AT(log_level), .fallback = "info", .choices = "error|warning|info|debug",
     .doc = "Least important lines that are logged."},
    {"kafka.brokers", OPTION_STRING, AT(kafka_brokers), .doc = "Bootstrap brokers, host:port with commas between."},
    {"kafka.extra", OPTION_MAP, AT(kafka_extra), .optional = true,
     .doc = "Further librdkafka properties, for instance for TLS."},
    {"redis.address", OPTION_STRING, AT(redis_address), .fallback = "127.0.0.1:6379",
     .doc = "Redis server: host:port or the path of a socket."},
    {"redis.user", OPTION_STRING, AT(redis_user), .optional = true, .doc = "ACL user of the coordinator role."},
    {"redis.password_file", OPTION_PATH, AT(redis_password_file), .optional = true,
     .doc = "File with the password of redis.user, mode 0600."},
    {"master_key_file", OPTION_PATH, AT(master_key_file), .fallback = "/etc/fleetsnap/master.key",
     .doc =
         "File with the fleet's master key (32 bytes, base64), mode 0600. Made when it is missing; losing it means to enroll every host again."},
    {"http.listen", OPTION_STRING, AT(http_listen), .fallback = "127.0.0.1:8420",
     .doc = "Address and port of the HTTP API."},
    {"http.threads", OPTION_INT, AT(http_threads), .fallback = "4", .min = 1, .max = 64,
     .doc = "Threads that serve the HTTP API."},
    {"admin_token_file", OPTION_PATH, AT(admin_token_file), .fallback = "/etc/fleetsnap/admin.token",
     .doc = "File with a bearer token of role admin, mode 0600. Made when it is missing."},
    {"dev", OPTION_BOOL, AT(dev), .fallback = "false",
     .doc = "Topics with few partitions and one replica are right: for one machine, never for a fleet."},
    {"write_timeout", OPTION_DURATION, AT(write_timeout_ms), .fallback = "10s", .min = 100, .max = 10 * MINUTE,
     .doc = "How long a caller waits until what was asked is in the ledger; past it the outcome is said to be not known."},
    {"host_silent", OPTION_DURATION, AT(host_silent_ms), .fallback = "5m", .min = SECOND, .max = 24 * 60 * MINUTE,
     .doc = "A host without a sign of life for this long has its open jobs shown as LOST."},
    {"holders_grace", OPTION_DURATION, AT(holders_grace_ms), .fallback = "45s", .min = 0, .max = 10 * MINUTE,
     .doc = "After Redis lost its memory: time for hosts to take back their locks before new ones are given."},
    {"heartbeat_poll", OPTION_DURATION, AT(heartbeat_poll_ms), .fallback = "3s", .min = 100, .max = MINUTE,
     .doc = "How often the heartbeats of the hosts are read."},
    {"overdue_grace", OPTION_DURATION, AT(overdue_grace_ms), .fallback = "1h", .min = SECOND, .max = 7 * 24 * 60 * MINUTE,
     .doc =
         "A job that no worker has given a sign of this long after its deadline is EXPIRED. A host that comes back has as long to speak of what it has."},
    {"key_overlap", OPTION_DURATION, AT(key_overlap_ms), .fallback = "15m", .min = SECOND, .max = 24 * 60 * MINUTE,
     .doc =
         "After a host's key was rotated: how long what it signs with the old one is still believed. Install the new file and restart its worker before."},
    {"jobs_in_flight", OPTION_INT, AT(jobs_in_flight), .fallback = "20000", .min = 16, .max = 1000000,
     .doc = "Requests taken at once between their arrival and the ledger's answer; more are refused for now."},
    {"limits.jobs", OPTION_INT, AT(limits_jobs), .fallback = "500", .min = 0, .max = 1000000,
     .doc = "Jobs of all policies that are under way at a time; more wait for their turn. 0: no limit."},
    {"limits.per_host", OPTION_INT, AT(limits_per_host), .fallback = "4", .min = 0, .max = 10000,
     .doc = "The same on one host."},
    {"limits.per_repository", OPTION_INT, AT(limits_per_repository), .fallback = "32", .min = 0, .max = 100000,
     .doc = "The same into one repository."},
    {"limits.per_pool", OPTION_INT, AT(limits_per_pool), .fallback = "0", .min = 0, .max = 100000,
     .doc = "The same with disks in one storage pool: a directory that a worker's pools names, else the disk's own."},
    {"shared_pools", OPTION_STRINGS, AT(shared_pools), .optional = true,
     .doc =
         "Directories of disks that are the same storage on all hosts: for limits.per_pool each is one pool, not one on each host."},
    {"limits.bandwidth", OPTION_SIZE, AT(limits_bandwidth), .fallback = "0", .min = 0, .max = 1LL << 50,
     .doc =
         "Bytes a second that all backups that run into one repository may take together, at least 1MiB; they share it evenly. 0: no limit."},
    {"limits.bandwidth_of", OPTION_MAP, AT(limits_bandwidth_of), .optional = true,
     .doc = "The same for single repositories: name and size of each, as in `main: 200MiB`; 0: no limit."},
    {"retention.every", OPTION_DURATION, AT(retention_every_ms), .fallback = "1h", .min = SECOND,
     .max = 7 * 24 * 60 * MINUTE,
     .doc = "How often retention looks at what policies made; also after each run that made something."},
    {"notify.webhooks", OPTION_MAP, AT(notify_webhooks), .optional = true,
     .doc = "Who is told by HTTP POST of what goes wrong: name and URL of each. None: nobody (docs/monitoring.md)."},
    {"notify.secret_file", OPTION_PATH, AT(notify_secret_file), .optional = true,
     .doc =
         "File with the secret by which webhooks are signed, mode 0600, at least 16 characters. Needed with notify.webhooks."},
    {"notify.rules", OPTION_STRINGS, AT(notify_rules),
     .fallback = "failed,late,parked,host_lost,repository_filling,unprotected",
     .doc = "What is told: failed, late, parked, host_lost, repository_filling, unprotected."},
    {"notify.every", OPTION_DURATION, AT(notify_every_ms), .fallback = "30s", .min = 100, .max = 60 * MINUTE,
     .doc = "How often the rules look."},
    {"notify.timeout", OPTION_DURATION, AT(notify_timeout_ms), .fallback = "10s", .min = 100, .max = 2 * MINUTE,
     .doc = "How long a webhook may take to answer."},
    {"notify.attempts", OPTION_INT, AT(notify_attempts), .fallback = "20", .min = 1, .max = 1000,
     .doc =
         "How often the same is tried, 5 s to 10 min apart, before it is given up; what is given up is counted and said by doctor."},
    {"notify.filling_within", OPTION_DURATION, AT(notify_filling_within_ms), .fallback = "7d", .min = MINUTE,
     .max = 366LL * 24 * 60 * MINUTE,
     .doc = "A repository that will be full within this time, by how it filled in the last days, is told of."},
    {"kafka.linger_us", OPTION_INT, AT(linger_us), .fallback = "20000", .min = 0, .max = 100000,
     .doc = "Microseconds after which a record leaves although the turn of the main loop that wrote it is not over."},
    {"worker.kafka_brokers", OPTION_STRING, AT(worker_kafka_brokers), .optional = true,
     .doc = "For the bundles of `fleetsnap host enroll`: brokers as the hosts see them; absent: kafka.brokers."},
    {"worker.kafka_extra", OPTION_MAP, AT(worker_kafka_extra), .optional = true,
     .doc = "For the bundles: librdkafka properties of the workers."},
    {"worker.redis_address", OPTION_STRING, AT(worker_redis_address), .optional = true,
     .doc = "For the bundles: Redis as the hosts see it; absent: redis.address."},
    {"worker.redis_user", OPTION_STRING, AT(worker_redis_user), .optional = true,
     .doc = "For the bundles: ACL user of the worker role."},
    {"worker.redis_password_file", OPTION_PATH, AT(worker_redis_password_file), .optional = true,
     .doc = "For the bundles: file, here, with the password of worker.redis_user; its content goes into the bundle."},
    {.name = NULL},
};

static int check_bandwidth(const char *name, const char *of, int64_t size, struct err *err)
{
    if (size == 0 || size >= BANDWIDTH_LEAST)
        return 0;
    return err_set(err, ERR_PERMANENT, "%s%s%s: must be 0 (no limit) or at least 1MiB (a second)", name, *of ? "." : "",
                   of);
}

static int check_bandwidths(const struct coordinator_options *options, struct err *err)
{
    for (size_t i = 0; i < options->limits_bandwidth_of.count; i++) {
        const struct fact *fact = &options->limits_bandwidth_of.items[i];
        int64_t size;

        if (parse_size(fact->value, &size, err) < 0)
            return err_wrap(err, "limits.bandwidth_of.%s", fact->key);
        if (check_bandwidth("limits.bandwidth_of", fact->key, size, err) < 0)
            return -1;
    }
    return check_bandwidth("limits.bandwidth", "", options->limits_bandwidth, err);
}

int64_t coordinator_bandwidth_of(const struct coordinator_options *options, const char *repository)
{
    const char *its = repository ? facts_get(&options->limits_bandwidth_of, repository) : NULL;
    int64_t size;

    return its && parse_size(its, &size, NULL) == 0 ? size : options->limits_bandwidth;
}

int coordinator_options_load(const char *path, const char *const overrides[], struct coordinator_options *out,
                             struct err *err)
{
    struct coordinator_options options = {0};

    if (config_load(path, overrides, coordinator_option_rows, &options, err) < 0)
        return -1;
    if (!name_valid_host(options.name)) {
        err_set(err, ERR_PERMANENT, "name: \"%s\" is no name of letters a-z, digits, dots and dashes", options.name);
        coordinator_options_free(&options);
        return -1;
    }
    if (check_bandwidths(&options, err) < 0) {
        coordinator_options_free(&options);
        return -1;
    }
    *out = options;
    return 0;
}

void coordinator_options_free(struct coordinator_options *options)
{
    config_free(coordinator_option_rows, options);
}

void coordinator_kafka_options(const struct coordinator_options *options, struct kafka_options *out)
{
    *out = (struct kafka_options){
        .brokers = options->kafka_brokers,
        .client_id = options->name,
        .extra = &options->kafka_extra,
        .linger_us = (int)options->linger_us,
        .fetch_wait_ms = FETCH_WAIT_MS,
    };
}
