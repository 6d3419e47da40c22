#pragma once
/*
 * What a job that takes disks out of use (a revert by hand, a restore in place, an undo of one) notes before it stops the guest, so that it can be undone: what the domain was, and what
 * the job leaves. One small file in the state directory, "undo/<job id>.json", mode 0600: it holds definitions with their secrets. A set of facts:
 *
 *   op, target, made_at (ms), boot (of the host)
 *   definition                     the domain's, inactive, with secrets
 *   snapshot.<n>, checkpoint.<n>   moments.h: as they were
 *   kept:<disk>, now:<disk>        the file that holds the disk of before once the job is done, and the one that the job leaves as the disk
 *   swapped                        the disk of before has another name then, and the one that is left has its name
 *   file:<disk>, base:<disk>:<n>   which file the disk of before is, and what it stands on: undo_file()
 *   left:<disk>                    which file the job leaves as the disk
 *   after.<n>, after_current       snapshots when the job is done: "<created, ms> <name>"; the current one
 *   point.<n>                      checkpoints when the job is done: names
 *   until (ms)                     since the job's last step before the start; before it there is nothing to undo
 *   undone_by                      the job that has undone it
 *
 * Any thread; two jobs never write the same record, for they hold the target's lock.
 */
#include "worker/backends/libvirt/libvirt.h"

int undo_record_write(const struct backend_config *config, const char *job_id, const struct facts *record,
                      struct err *err);
/* `out` zeroed; empty when there is none. */
int undo_record_read(const struct backend_config *config, const char *job_id, struct facts *out, struct err *err);
int undo_record_remove(const struct backend_config *config, const char *job_id, struct err *err); /* absent is success */
/* value NULL: taken out. Without a record nothing is done. */
int undo_record_set(const struct backend_config *config, const char *job_id, const char *key, const char *value,
                    struct err *err);
/* Removes those whose time was over long ago: until then they say so to who asks. */
int undo_record_tidy(const struct backend_config *config, struct err *err);

/* Visits "<kind>:<disk>"; NULL when the fact is of another kind. */
const char *undo_disk_of(const struct fact *fact, const char *kind);
/* "<device>:<inode>", and of a file that nobody writes its last change, too: ":<ns>". Caller frees. */
int undo_file(const char *path, bool unwritten, char **out, struct err *err);
/* The file is there and is still the one that was noted. Devices are numbered anew by each boot of the host: they count only in the same one. */
bool undo_file_is(const char *path, const char *noted, bool same_boot);
int host_boot(char out[40], struct err *err);
