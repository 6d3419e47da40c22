#pragma once
/* Rows that several commands share: what an option means is said once. commands_*.c only. */
#include "coordinator/cli/command.h"

#define ARGUMENT_TARGET                           \
    {                                             \
        "TARGET", "target", .complete = "targets" \
    }
#define OPTION_QUIESCE                                                                                \
    {                                                                                                 \
        .name = "quiesce", .kind = OPT_CHOICE, .value = "HOW", .choices = "require|prefer|never",     \
        .implied = "require", .param = "quiesce",                                                     \
        .doc = "freeze the guest's file systems by its agent; alone it means require, default prefer" \
    }
#define OPTION_DESCRIPTION                                                                                    \
    {                                                                                                         \
        .name = "description", .kind = OPT_TEXT, .value = "TEXT", .param = "description", .doc = "for people" \
    }
#define OPTION_KEEP_OLD_FOR(text)                                                                                  \
    {                                                                                                              \
        .name = "keep-old-for", .kind = OPT_DURATION, .value = "DURATION", .param = "keep_old_for_ms", .doc = text \
    }
#define OPTION_CHILDREN(as_in_virsh)                                                                     \
    {                                                                                                    \
        .name = "children", .kind = OPT_FLAG, .param = "scope", .set = "children", .virsh = as_in_virsh, \
        .doc = "with all that stand on it"                                                               \
    }
/* Instead of the argument NAME. */
#define OPTION_CURRENT(text)                                            \
    {                                                                   \
        .name = "current", .kind = OPT_FLAG, .virsh = true, .doc = text \
    }
#define OPTION_DRY_RUN                                                                            \
    {                                                                                             \
        .name = "dry-run", .kind = OPT_FLAG, .doc = "show what would be done, and change nothing" \
    }
#define OPTION_NO_WAIT                                                                                  \
    {                                                                                                   \
        .name = "no-wait", .kind = OPT_FLAG, .doc = "print the job's id instead of waiting for its end" \
    }
#define OPTION_SELECTOR(text)                                                                 \
    {                                                                                         \
        .name = "selector", .letter = 'l', .kind = OPT_TEXT, .value = "SELECTOR", .doc = text \
    }
/* A consistency group, of what `made` says. */
#define OPTIONS_GROUP(made, more)                                                                \
    {.name = "group",                                                                            \
     .kind = OPT_FLAG,                                                                           \
     .doc = "with -l and --name: one point in time of all these machines, or none at all" more}, \
        {.name = "group-limit",                                                                  \
         .kind = OPT_TEXT,                                                                       \
         .value = "DURATION",                                                                    \
         .doc = "with --group: no guest stands still for longer; default 10s"},                  \
    {                                                                                            \
        .name = "group-ttl", .kind = OPT_TEXT, .value = "DURATION",                              \
        .doc = "with --group: its " made " are deleted after so long; default: they are kept"    \
    }
#define OPTION_SINCE(text)                                              \
    {                                                                   \
        .name = "since", .kind = OPT_TIME, .value = "TIME", .doc = text \
    }
#define OPTION_LIMIT(number)                                                                      \
    {                                                                                             \
        .name = "limit", .kind = OPT_INT, .value = "N", .doc = "at most so many; default " number \
    }
