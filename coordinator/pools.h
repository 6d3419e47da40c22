#pragma once
/*
 * Where disks lie, as limits.per_pool counts it: in the directory of a storage pool (those that the worker of the host names, those that the coordinator knows to be shared), the
 * innermost one; else in the disk's own directory. Directories of different hosts are different pools, unless they are said to be shared. Pure.
 */
#include <stdbool.h>

struct err;
struct pools;
struct strings;

int pools_new(struct pools **out, struct err *err);
void pools_free(struct pools *pools);
/* A pool of that host; host "": the same on all hosts. */
int pools_add(struct pools *pools, const char *host, const char *path, struct err *err);

enum { POOL_NAME = 160 }; /* "alpha:/var/lib/images"; of a shared one "/mnt/images"; a longer one is cut */
/* The pool of a file or device on that host. False: it is none (a disk on the network, or empty). */
bool pools_find(const struct pools *pools, const char *host, const char *source, char out[POOL_NAME]);

/* Names of a target's pools when the target has moved: the same directories of the new host; a shared pool stays. */
int pools_move(struct strings *names, const char *from, const char *to, struct err *err);
