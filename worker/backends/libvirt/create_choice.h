#pragma once
/* What a snapshot.create is going to make: kind, memory, the file of each overlay, libvirt's flags. Pure: from the parameters and what was seen of the domain. */
#include "worker/backends/libvirt/libvirt.h"

struct create_scene { /* what was seen */
    const char *domain, *job_id;
    int state;               /* virDomainState */
    bool persistent, pflash; /* pflash: UEFI with variables in a file */
    unsigned long version;
    const struct domain_disks *disks;
    const char *pool; /* where an overlay goes whose disk is no file; NULL: nowhere */
};

struct create_disk {
    const struct domain_disk *disk;
    const char *mode; /* internal, external, no */
    char *file;       /* external */
};

struct create_choice {
    bool internal, memory;
    char *memory_file; /* external with memory */
    unsigned flags;
    char *reason;      /* why this kind, of `auto` */
    const char *level; /* crash, memory, off: without a freeze */
    struct create_disk *disks;
    size_t disk_count;
};

/* Combinations that libvirt or the meaning forbid, before anything is looked at. */
int create_check_params(const struct params_snapshot_create *params, struct err *err);
int create_choose(const struct params_snapshot_create *params, const struct create_scene *scene,
                  struct create_choice *out, struct err *err);
void create_choice_clear(struct create_choice *choice);
/* <domainsnapshot> with the description as given (the mark is added when the level is known). */
int create_xml(const struct params_snapshot_create *params, const char *name, const struct create_choice *choice,
               char **out, struct err *err);
/* Beside the disk: "/pool/shop.vda.fs-0d9b1c1e-8c0c.qcow2"; the part that an earlier overlay added is replaced, so names do not grow with the chain. Caller frees. */
char *overlay_name(const char *source, const char *disk, const char *job_id);
