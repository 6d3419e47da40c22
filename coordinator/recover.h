#pragma once
/*
 * Where the machines of a host that is gone are restored. Pure: it is told each machine with its backups, and each host that may take some; what it answers depends on nothing else. One thread.
 */
#include "model/record.h"
#include "model/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct restore_point;

enum { RECOVER_WHY = 200 };

struct recover_place { /* a host that may take machines */
    char host[64];
    bool ready;                  /* alive, and takes work */
    int64_t room_bytes;          /* in the pool for new disks, above what must stay free; less with each machine */
    struct strings repositories; /* ids of those that it can read */
    struct strings machines;     /* names that are taken there */
};

struct recover_item { /* a machine */
    char target[TARGET_TEXT];
    char *name;
    int64_t priority; /* highest of the policies that select it */
    /* The newest backup that is good: whole down to its full, not known to be damaged. */
    char point[64], repository[64], kind[16];
    int64_t created_at_ms; /* 0: there is none */
    int64_t size_bytes;    /* that its disks can grow to */
    /* The answer. */
    const struct recover_place *onto; /* NULL: */
    char why[RECOVER_WHY];            /* "no backup", "does not fit: …" */
};

struct recover {
    struct recover_place *places;
    size_t place_count;
    struct recover_item *items;
    size_t item_count;
    struct strings whole; /* points that are, as far as they were told */
};

/* NULL: out of memory. Valid until the next one is added. */
struct recover_place *recover_add_place(struct recover *recover, const char *host, struct err *err);
/* The one that is there, or a new one. */
struct recover_item *recover_add_item(struct recover *recover, const char *target, const char *name, struct err *err);
/* A backup; of a machine that was not added it is ignored. Those of one machine together, oldest first. */
int recover_add_point(struct recover *recover, const struct restore_point *point, struct err *err);
void recover_clear(struct recover *recover);

/*
 * Orders the machines (priority, then name) and gives each the host with the most room of those that can read its backup, have no machine of its name, and have the room.
 */
void recover_decide(struct recover *recover);
