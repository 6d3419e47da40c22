#pragma once
/* What the two ways of backup.restore (to a new domain, in place) share: the chain that is read and the disks that come of it. */
#include "worker/backends/libvirt/backup_tools.h"

struct restore_disk {
    char *name;
    char *image;  /* the file in the repository: newest link of the chain */
    char *target; /* what it is restored to, first under this name; NULL: not decided yet */
    char *format; /* of the target */
    char *room;   /* the directory that it takes room in; NULL: that of the others */
    char *place;  /* in place: the disk that it replaces; else NULL */
    int64_t size_bytes;
};

struct restore {
    struct libvirt_backend *backend;
    const struct job *job;
    const struct params_backup_restore *params;
    const char *uuid; /* of the new domain */
    struct repository repository;
    struct restore_point point;
    char *point_folder;
    char chain_folder[PATH_MAX];
    struct restore_disk *disks;
    size_t disk_count;
    bool compares_late; /* the check leaves it to each disk's step to compare checksums */
};
void restore_end(struct restore *restore);

/* Arguments of restore-check and restore-define: where a disk takes room, and to which file it goes, if not where the others do. */
#define RESTORE_ROOM "room."
#define RESTORE_FILE "file."

/* Repository, point and the wanted disks of it; the chain is complete. The targets are not set yet. */
int restore_open(struct restore *restore, struct backend *backend, const struct job *job, struct err *err);
/* The same with parameters that are not the job's own, and outlive `restore`. */
int restore_open_as(struct restore *restore, struct backend *backend, const struct job *job,
                    const struct params_backup_restore *params, struct err *err);
int restore_add_check(struct restore *restore, const char *room_folder, struct plan *plan, struct err *err);
int restore_add_disks(struct restore *restore, struct plan *plan, struct err *err);

/* Sets the targets of the disks that were asked for elsewhere. Nothing is there yet, and it is in a pool of this worker's. restore_asked.c */
int restore_place_asked(struct restore *restore, struct err *err);
/* Sets those of the others to folder/<name>.<format>. */
int restore_place_disks(struct restore *restore, const char *folder, struct err *err);
/* Makes the new domain's definition, of the one that was given or saved. It may hold secrets: it stays on this host, and is not put into a plan. */
int restore_definition(struct restore *restore, const char *folder, xmlDocPtr *out, struct err *err);
int restore_saved_definition(const struct restore *restore, xmlDocPtr *out, struct err *err); /* as it is in the backup */

int plan_restore_new(struct restore *restore, struct plan *plan, struct err *err);
/* The disks alone, with definition and NVRAM beside them, into a new directory: asked for on the host itself, never by a job from outside. */
int plan_restore_files(struct restore *restore, struct plan *plan, struct err *err);
int plan_restore_in_place(struct restore *restore, struct plan *plan, struct err *err);
