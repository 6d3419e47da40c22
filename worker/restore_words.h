#pragma once
/* What was typed after `fleetsnap-worker restore`. All strings of the command line itself are borrowed; what is asked is owned. */
#include "worker/local_restore.h"

#include <stdbool.h>
#include <stddef.h>

struct err;
struct worker_options;

enum { RESTORE_OVERRIDES_MAX = 64 };

struct restore_words {
    struct local_restore asked;
    const char *config;
    const char *overrides[RESTORE_OVERRIDES_MAX]; /* options of the worker: "name=value" */
    size_t override_count;
    bool json, help;
};

/* Of main's arguments, the first of which is not looked at. What is relative is made absolute: the shell's directory is not the worker's. ERR_PERMANENT: it cannot be understood. Clear it in any case. */
int restore_words_read(struct restore_words *words, int argc, char *const argv[], struct err *err);
void restore_words_clear(struct restore_words *words);

/* The worker's options. A host that has lost its configuration restores all the same: only libvirt, the pool and the state directory matter, and have defaults. */
int restore_words_options(const struct restore_words *words, struct worker_options *options, struct err *err);
