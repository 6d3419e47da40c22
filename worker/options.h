#pragma once
/* The worker's options: one row each (base/config.h), and what the command line asks for. */
#include "base/config.h"
#include "base/facts.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

struct worker_options {
    char *host, *state_directory;
    char *kafka_brokers;
    struct facts kafka_extra;
    char *redis_address, *redis_user, *redis_password_file;
    char *key_file;
    char *libvirt_uri;
    struct option_strings pools, repositories, backends;
    int64_t executors, spare_executors;
    int64_t limit_reads, limit_adds, limit_destroys; /* 0: as many as there are executors */
    int64_t repository_slots;
    int64_t agent_timeout_ms, frozen_limit_ms, drain_ms, stuck_ms;
    int64_t heartbeat_ms, inventory_ms;
    int64_t min_free_bytes, outbox_limit;
    char *log_level;
    bool dev;
};

extern const struct option worker_option_rows[];

enum worker_mode { MODE_RUN, MODE_CHECK, MODE_INSPECT, MODE_HELP, MODE_VERSION };

struct command_line {
    enum worker_mode mode;
    bool json;
    const char *config;         /* path, or NULL */
    const char *overrides[128]; /* "name=value", NULL at the end; point into argv */
};

/* ERR_PERMANENT with a text for people; exit code 2. */
int command_line_parse(int argc, char *const argv[], struct command_line *out, struct err *err);
/* Rows, then what rows cannot say: host name, backends known, absolute directories. `out` zeroed; freed on failure. */
int worker_options_load(const struct command_line *line, struct worker_options *out, struct err *err);
void worker_options_free(struct worker_options *options);
void worker_help(FILE *out);
