#pragma once
/*
 * Options as rows: a row says name, type, range, default and meaning once; the YAML parser, the command line, --help, docs/configuration.md and the check of
 * helm's values follow from it. Errors name file, line and column: "worker.yaml:14:9: executors: 400 is over the limit of 64". Unknown keys are refused.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct err;
struct text;

enum option_type {
    OPTION_STRING,  /* char *, owned by the config struct */
    OPTION_PATH,    /* char *, made absolute relative to the config file's folder */
    OPTION_STRINGS, /* struct option_strings; a YAML list or one scalar; PATHS below likewise */
    OPTION_PATHS,
    OPTION_INT,      /* int64_t within min..max */
    OPTION_BOOL,     /* bool */
    OPTION_SIZE,     /* int64_t bytes, "512MiB" */
    OPTION_DURATION, /* int64_t ms, "30s" */
    OPTION_CHOICE,   /* char *, one of `choices` ("a|b|c") */
    OPTION_MAP,      /* struct facts: free string map, e.g. extra librdkafka properties */
};

struct option_strings {
    char **items;
    size_t count;
};

struct option {
    const char *name; /* "kafka.brokers": a dot is a nested mapping in YAML, and stays a dot in --kafka.brokers=… */
    enum option_type type;
    size_t offset;        /* in the config struct */
    const char *fallback; /* default as text; NULL: required for STRING/PATH/CHOICE, unless `optional` */
    bool optional;        /* may be absent: NULL/empty */
    bool secret;          /* never printed */
    int64_t min, max;     /* INT, SIZE (bytes), DURATION (ms); both 0: no range */
    const char *choices;
    const char *doc; /* one or two sentences with the unit */
};

/* Rows end with name NULL. `config` is zeroed by the caller; on failure it is left freed. `path` NULL: defaults and overrides only. overrides: "name=value", NULL-terminated, may be NULL;
 * there lists are split at commas, paths start in the working directory, and a map takes "name.key=value" or "name=key=value,…". */
int config_load(const char *path, const char *const overrides[], const struct option *rows, void *config,
                struct err *err);
void config_free(const struct option *rows, void *config);
void config_help(const struct option *rows, FILE *out);                               /* for --help */
void config_markdown(const struct option *rows, const char *title, struct text *out); /* docs/configuration.md */
