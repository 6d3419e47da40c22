/* A configuration file, against rows of every type. */
#include "fuzz.h"

#include "base/config.h"
#include "base/err.h"
#include "base/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct sample {
    char *text, *path, *choice;
    struct option_strings list, paths;
    int64_t number, size, duration;
    bool truth;
    struct facts map;
};

static const struct option rows[] = {
    {"text", OPTION_STRING, offsetof(struct sample, text), .optional = true},
    {"path", OPTION_PATH, offsetof(struct sample, path), .optional = true},
    {"a.choice", OPTION_CHOICE, offsetof(struct sample, choice), "x", .choices = "x|y"},
    {"a.list", OPTION_STRINGS, offsetof(struct sample, list), .doc = ""},
    {"paths", OPTION_PATHS, offsetof(struct sample, paths), .doc = ""},
    {"a.b.number", OPTION_INT, offsetof(struct sample, number), "1", .min = 0, .max = 9},
    {"size", OPTION_SIZE, offsetof(struct sample, size), "1K", .doc = ""},
    {"duration", OPTION_DURATION, offsetof(struct sample, duration), "1s", .doc = ""},
    {"truth", OPTION_BOOL, offsetof(struct sample, truth), "no", .doc = ""},
    {"a.map", OPTION_MAP, offsetof(struct sample, map), .doc = ""},
    {0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sample sample = {0};
    struct err err;
    char path[64];
    int fd = memfd_create("config", 0);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (config_load(path, NULL, rows, &sample, &err) == 0)
        config_free(rows, &sample);
    close(fd);
    return 0;
}
