#pragma once
/*
 * The throw-away copy of a machine by which backup.verify --depth boot proves that a backup starts: a transient domain with the job's id as its UUID, and its disks in one
 * folder in a pool. It shares nothing with the source, reaches no network and no device of the host, and is not a target: the inventory passes it over.
 */
#include "worker/backends/libvirt/restore.h"

enum { BOOT_NAME = 64 };

const char *boot_copy_name(const char *job_id, char out[BOOT_NAME]);
/* Cuts what could reach out, or in, of a definition that domain_edit() made new; its consoles go to files "*.log" in `folder`. Pure. */
int boot_copy_isolate(xmlDocPtr doc, const char *job_id, const char *folder, struct err *err);
int64_t boot_copy_memory_kib(xmlDocPtr doc); /* that the definition asks of the host; 0: it does not say */
bool boot_copy_is(virDomainPtr domain);      /* by its mark; the name alone is no proof */

/* The restore that the copy is, of a job with params_backup_verify: `as` is filled in and outlives `out`. */
int boot_copy_open(struct backend *backend, const struct job *job, const char *source, struct params_backup_restore *as,
                   struct restore *out, struct err *err);
