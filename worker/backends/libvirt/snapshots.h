#pragma once
/* Snapshots of a domain: what exists, the tree of it, and whose they are. Pure but for the reading. */
#include "model/status.h"
#include "worker/backends/libvirt/libvirt.h"

/* All snapshots of the domain as snapshot_info, parents before children. `out` zeroed; freed with snapshots_clear. */
int snapshots_read(virDomainPtr domain, struct list *out, struct err *err);
/* One, from its XML; children, current and has_metadata stay as they are. Pure. */
int snapshot_parse(xmlDocPtr doc, struct snapshot_info *out, struct err *err);
void snapshots_clear(struct list *snapshots);
int snapshot_xml(virDomainPtr domain, const char *name, unsigned flags, xmlDocPtr *out,
                 struct err *err); /* ERR_PERMANENT 72 if there is none */
int snapshot_lookup(virDomainPtr domain, const char *name, virDomainSnapshotPtr *out,
                    struct err *err); /* *out NULL: there is none */

/* Of a snapshot's XML (its root element). Pure. */
bool snapshot_takes(xmlNodePtr snapshot, const char *disk); /* the disk is part of it, inside or outside its image */
char *snapshot_state_file(
    xmlNodePtr snapshot,
    const char *disk); /* the file that holds its state of the disk: the source in its <domain>; NULL: none. Caller frees */
char *snapshot_state_format(xmlNodePtr snapshot, const char *disk); /* "qcow2", "raw". Caller frees */
char *snapshot_overlay_file(xmlNodePtr snapshot, const char *disk); /* made with it; caller frees; NULL: none */
void snapshot_set_overlay(xmlNodePtr snapshot, const char *disk, const char *file);
int snapshot_disks(xmlNodePtr snapshot, struct strings *out, struct err *err); /* names of the disks that it takes */

/* The tree. Pure. */
const struct snapshot_info *snapshots_find(const struct list *snapshots, const char *name);
const struct snapshot_info *snapshots_current(const struct list *snapshots);
bool snapshots_below(const struct list *snapshots, const char *name,
                     const char *ancestor); /* `name` descends from `ancestor` */
bool snapshot_external(const struct snapshot_info *snapshot);
/* Names of the subtree of `name`, children before parents; itself last, or not at all. */
int snapshots_subtree(const struct list *snapshots, const char *name, bool itself, struct strings *out, struct err *err);

static inline void snapshots_endp(struct list *snapshots)
{
    snapshots_clear(snapshots);
}
static inline void strings_endp(struct strings *strings)
{
    strings_clear(strings);
}
