#pragma once
/*
 * A repository of backups: a directory with a marker (fleetsnap-repository.json: format, id, name, created_at, min_free_percent). A directory without it is refused before a byte
 * is written: an unmounted NFS looks like an empty folder. Layout: <repository>/<target id>/<chain id>/<point id>/{manifest.json, domain.xml, vda.qcow2 …}; a chain's id is that
 * of the full that began it (which may have been merged into the next since). The manifest is written first (state incomplete) and renamed complete last, with fsync of file and folder. No other file is needed to restore.
 * Readers and writers of a chain hold a lease file in its folder: leases/<job id> (host; renewed every 10 s, stale after 10 min); delete, merge and clean refuse while one lives.
 * Any thread; one object per use.
 */
#include "model/restore_point.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct job;
struct repository_ref;

struct repository {
    char *path, *id, *name;
    int64_t min_free_percent;
};

void repository_clear(struct repository *repository);
int repository_init(
    const char *path, const char *id, const char *name, int64_t min_free_percent,
    struct err *err); /* ours already (same id): success; another's: ERR_CONFLICT; a non-empty directory without marker: ERR_PERMANENT */
int repository_open(const char *path, const char *expected_id, struct repository *out,
                    struct err *err); /* marker missing: ERR_PERMANENT "… not mounted?"; other id: ERR_CONFLICT */
int repository_open_ref(const struct repository_ref *ref, const struct strings *roots, struct repository *out,
                        struct err *err); /* of a job: in one of the configured folders, marker there, id as asked */
/* Out of the fleet and back: the marker gets another name, so that nobody takes the directory for a repository. May be repeated. */
int repository_retire(const char *path, const char *id, struct err *err);
int repository_reinstate(const char *path, struct err *err);
bool repository_retired(const char *path);
bool repository_allowed(const char *path,
                        const struct strings *roots); /* lies in, or is, one of the worker's configured folders */
int repository_space(const struct repository *repository, int64_t *free_bytes, int64_t *min_free_bytes, struct err *err);

/* Folder of a point: *out is malloc'ed, absolute. chain NULL: searched by point id. */
int repository_point_folder(const struct repository *repository, const char *target_id, const char *chain,
                            const char *point, char **out, struct err *err);
int repository_find(const struct repository *repository, const char *target_id, const char *point,
                    struct restore_point *out, char **out_folder, struct err *err); /* ERR_PERMANENT if there is none */
/* Whether anything is there under this id, in whatever state, of a target that may be unknown. */
int repository_has_folder(const struct repository *repository, const char *target_id, const char *point, bool *out,
                          struct err *err);
/* The id of the target whose restore point this is, by looking through all of them; *out NULL: nobody's. Caller frees. */
int repository_owner(const struct repository *repository, const char *point, char **out, struct err *err);
/* All complete (or, if asked, also incomplete) points of a target, oldest first. Damaged manifests are reported in `out_damaged`. */
int repository_points(const struct repository *repository, const char *target_id, bool incomplete_too,
                      struct list *out_points, struct strings *out_damaged, struct err *err);
/* The chain that leads to `point`: full first, point last. Refuses a broken one (missing or incomplete parent). */
int repository_chain(const struct repository *repository, const char *target_id, const char *point,
                     struct list *out_points, struct err *err);

/* Calls `visit` for each sub-directory whose name can be an id; a `path` that does not exist has none. Stops at the first non-zero answer, and returns it. */
typedef int repository_visit(void *context, const char *folder, const char *name, struct err *err);
int repository_each_folder(const char *path, repository_visit *visit, void *context, struct err *err);
int repository_targets(const struct repository *repository, struct strings *out, struct err *err); /* ids, sorted */

/* Lists of restore points, in memory. */
void points_clear(struct list *points);
const struct restore_point *points_find(const struct list *points, const char *id); /* NULL: none, or id is NULL */
int points_chain(const struct list *points, const char *point, struct list *out,
                 struct err *err); /* repository_chain of what was read already */

int manifest_write(const char *folder, const struct restore_point *point, struct err *err); /* atomic, fsync */
int manifest_read(const char *folder, struct restore_point *out, struct err *err);
bool manifest_exists(const char *folder); /* of any state, readable or not */
bool manifest_is_file(const char *name);  /* the name of a manifest, of any state */
/* State deleted, by rename: needs no room. From then on no reader counts the point; repeating is success. Unmark takes it back while the files are still there. */
int manifest_mark_deleted(const char *folder, struct err *err);
int manifest_unmark_deleted(const char *folder, struct err *err);
/* Serialises changes of one manifest between jobs of all hosts; closing *out_fd lets go. Waits: changes take milliseconds. */
int manifest_lock(const char *folder, int *out_fd, struct err *err);

int lease_take(const char *chain_folder, const char *job_id, const char *host, struct err *err);
/* Of somebody who is about to exchange files that readers know, which takes a moment: from here on no reader begins; then lease_check_free() says whether one has begun before. */
int lease_take_alone(const char *chain_folder, const char *job_id, const char *host, struct err *err);
int lease_check_calm(
    const char *chain_folder, const char *but_job_id,
    struct err *err); /* ERR_RETRY naming the job that exchanges files there; asked with the own lease taken */
int lease_renew(const char *chain_folder, const char *job_id, struct err *err);
void lease_drop(const char *chain_folder, const char *job_id);
int lease_stale(const char *chain_folder, struct strings *out_jobs, struct err *err); /* jobs whose lease is stale */
int lease_check_free(const char *chain_folder, const char *but_job_id,
                     struct err *err); /* ERR_RETRY naming the job and host that hold it */
