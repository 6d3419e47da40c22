#pragma once
/* Where the disks of a new domain go: to the file that was asked for, to the pool that takes the place of theirs, else into the folder of the domain. Pure. */
#include "base/facts.h"

#include <stddef.h>

struct err;

struct restore_origin { /* a disk that is restored */
    const char *name, *format;
    const char *pool; /* libvirt's pool that it was a volume of; NULL: none */
    const char *file; /* absolute path of then; NULL: not known, or no file */
};

struct restore_wish {
    const char *domain;        /* the new name */
    const struct facts *files; /* disk → absolute path */
    const struct facts *pools; /* pool or directory of then → directory of now */
};

/* out[i], for each of `count` disks: the absolute path, the caller's to free; NULL: the domain's folder. A disk or pool that is named and not there is refused, and so are two disks in one file. */
int restore_choose_files(const struct restore_wish *wish, const struct restore_origin *disks, size_t count, char **out,
                         struct err *err);
