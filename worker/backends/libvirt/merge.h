#pragma once
/*
 * Merging a restore point into those that build directly on it, its heirs, so that it can be deleted: each heir's files are written anew beside the old ones (merge-disk), standing on
 * what the point stands on, or on nothing where it is a full; then they take the place of the old ones and the manifest says so (merge-swap). A part of backup.delete.
 *
 * The names of files do not change, because whatever builds on the heir has them in its header. Until the swap has come through, the new file of vda.qcow2 is called
 * vda.qcow2.<job>.merged. At each moment of the swap heir and descendants can be restored:
 *   1 the manifest names the new files, and their checksums      (the old ones are there for the headers of others)
 *   2 hard links exchange each old file for the new one          (same content: the headers of others do not see it)
 *   3 the manifest names the files as before, and the new parent (from here on nothing needs the point that goes)
 *   4 the new names go; the chain is shorter for all that follows
 */
#include "worker/backends/libvirt/removal.h"

/* The steps for all heirs of the removal. Reads the images to learn how much room they need. */
int merge_add_steps(const struct removal *removal, const struct job *job, struct plan *plan, struct err *err);
/* What report_merged_points() needs; also where there is nothing to merge any more: an earlier attempt may have done it. */
int merge_add_facts(const struct removal *removal, struct plan *plan, struct err *err);
/* The restore points of the chain as they are now, for the catalog: a merge changes the manifests of heirs and all that follows. */
int report_merged_points(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err);

/* The name of the new file of a disk, until it has the old one's: "<file>.<job>.merged"; and the name that it will have. */
enum { MERGED_NAME = 256 };
int merged_name(const char *file, const char *job_id, char out[MERGED_NAME], struct err *err);
bool merged_final_name(const char *file, char out[MERGED_NAME]); /* false: it is no such name */
/* "sha256.<heir>.<disk>", "stored.<heir>.<disk>": what merge-disk learns for merge-swap. */
void merge_fact(const char *what, const char *heir, const char *disk, char out[MERGED_NAME]);
/* A merge concerns it: it has a file of its own that stands on its parent's. */
bool merge_concerns(const struct point_disk *disk);
const struct point_disk *point_disk_named(const struct restore_point *point, const char *name); /* with a file; or NULL */
