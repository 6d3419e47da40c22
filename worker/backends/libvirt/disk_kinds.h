#pragma once
/*
 * What the verbs can do with a disk, decided here and nowhere else: docs/backends/disks.md is made from these. Each says why not (static text), or NULL. Pure.
 */
#include "worker/backends/libvirt/libvirt.h"

const char *domain_disk_refused(const struct domain_disk *disk);    /* no backup or export takes it */
const char *domain_disk_full_only(const char *format);              /* of those that are taken: never incremental */
const char *domain_disk_no_overlay(const struct domain_disk *disk); /* in a snapshot, no external one */
const char *domain_disk_no_internal(const struct domain_disk *disk);
const char *domain_disk_no_restore(const struct domain_disk *disk); /* in place */
