#pragma once
/* Turns the definition that a backup saved into that of a restored domain. Pure: XML in, XML changed. */
#include "worker/backends/libvirt/libvirt.h"

struct edit_disk {
    const char *name;   /* target dev */
    const char *file;   /* where it is restored to */
    const char *format; /* qcow2, raw */
};

struct domain_edit {
    const char *name, *uuid;
    const char *folder; /* of the restored files: NVRAM, serial ports that are files */
    const struct edit_disk
        *disks; /* what is restored; every other writable disk is taken out, so that two guests never share one */
    size_t disk_count;
    const struct facts *networks; /* old network or bridge → network; may be empty */
    const struct facts *machines; /* old machine type → machine type; may be empty */
    bool new_identity;            /* new MACs, new generation id */
    bool nvram;                   /* <nvram> becomes folder/nvram.fd */
};

/* ERR_PERMANENT when a disk that is restored, or a network or machine type that is mapped, is not in the definition. */
int domain_edit(xmlDocPtr doc, const struct domain_edit *edit, struct err *err);
