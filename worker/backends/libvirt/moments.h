#pragma once
/*
 * All that libvirt knows of the moments of a domain, its snapshots and its checkpoints, as XML with secrets: saved before the disks that they belong to are taken out of use, told again when
 * those disks are back. Keys: "snapshot.000000", "snapshot_current.000001", "checkpoint.000000", parents first. Only libvirt's metadata is touched, never a file.
 */
#include "worker/backends/libvirt/libvirt.h"

int moments_save(virDomainPtr domain, struct facts *out, struct err *err);
/* Afterwards there are none. */
int moments_forget(virDomainPtr domain, struct err *err);
/* Afterwards there are the saved ones and no others; of a guest that is off. A checkpoint that libvirt does not take costs a full backup, not data: *out_lost counts them (may be NULL). */
int moments_set(virDomainPtr domain, const struct facts *saved, int *out_lost, struct err *err);
bool moment_is(const struct fact *fact, const char *kind); /* kind: "snapshot" (current or not), "checkpoint" */
char *moment_name(const struct fact *fact);                /* caller frees; NULL: none, or no memory */
