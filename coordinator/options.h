#pragma once
/* What can be set of a coordinator. The rows in options.c are the one place: file, command line, --help and docs/configuration.md follow from them. */
#include "base/config.h"
#include "base/facts.h"

struct err;
struct kafka_options;

struct coordinator_options {
    char *name;
    char *state_directory;
    char *log_level;
    char *kafka_brokers;
    struct facts kafka_extra;
    char *redis_address, *redis_user, *redis_password_file;
    char *master_key_file;
    char *http_listen;
    char *admin_token_file;
    bool dev;
    int64_t write_timeout_ms;
    int64_t host_silent_ms;
    int64_t holders_grace_ms;
    int64_t heartbeat_poll_ms;
    int64_t overdue_grace_ms;
    int64_t key_overlap_ms;
    int64_t jobs_in_flight;
    int64_t linger_us;
    int64_t http_threads;
    int64_t limits_jobs, limits_per_host, limits_per_repository,
        limits_per_pool; /* of jobs that policies start; 0: no limit */
    struct option_strings shared_pools;
    int64_t limits_bandwidth;         /* bytes/s of all backups into a repository; 0: no limit */
    struct facts limits_bandwidth_of; /* the same of some repositories: name → size */
    int64_t retention_every_ms;
    struct facts notify_webhooks; /* name → URL */
    char *notify_secret_file;
    struct option_strings notify_rules;
    int64_t notify_every_ms, notify_timeout_ms, notify_attempts, notify_filling_within_ms;
    /* What `host enroll` writes into the bundle of a worker; absent: what the coordinator itself uses. */
    char *worker_kafka_brokers;
    char *worker_redis_address, *worker_redis_user, *worker_redis_password_file;
    struct facts worker_kafka_extra;
};

extern const struct option coordinator_option_rows[];

/* `path` may be NULL. On success the caller frees with coordinator_options_free. */
int coordinator_options_load(const char *path, const char *const overrides[], struct coordinator_options *out,
                             struct err *err);
/* limits.bandwidth of the repository of that name (NULL: it has none); 0: no limit. */
int64_t coordinator_bandwidth_of(const struct coordinator_options *options, const char *repository);
void coordinator_options_free(struct coordinator_options *options);
/* The part that common/kafka wants; its pointers live as long as `options`. */
void coordinator_kafka_options(const struct coordinator_options *options, struct kafka_options *out);
