#pragma once
/* What the backup verbs and steps share: the repository of a job, the lease on a chain, and looks at libvirt's backup jobs and checkpoints. */
#include "worker/backends/libvirt/libvirt.h"
#include "worker/repository.h"

#include <limits.h>

/* The job's repository: inside the worker's configured folders, marker there, id as asked. */
int backup_repository(struct backend *backend, const struct repository_ref *ref, struct repository *out,
                      struct err *err);
/* A directory in one of the worker's pools: what was asked for, or the first pool. `out` has PATH_MAX bytes. */
int pool_directory(const struct backend *backend, const char *asked, char *out, struct err *err);
/* Whose points a verify or delete is about: the job's target, or where that is the repository itself (the host of the guest is gone), the one found there; NULL: nobody's. */
int backup_source(const struct job *job, const struct repository *repository, const char *point, char **out,
                  struct err *err);
static inline void repository_endp(struct repository *repository)
{
    repository_clear(repository);
}
static inline void point_endp(struct restore_point *point)
{
    restore_point_clear(point);
}

/* Holds the lease of this job on a chain until the end of the scope: CLEANUP(chain_lease_endp) struct chain_lease lease = {0}; */
struct chain_lease {
    char folder[PATH_MAX];
    const char *job_id;
    int64_t renewed_ms; /* monotonic */
};
/* Waits, for seconds, while somebody exchanges files there. */
int chain_lease_take(struct chain_lease *lease, const struct step_run *run, const char *chain_folder, struct err *err);
/* For who exchanges files himself: waits for others to leave, a minute at most, then ERR_RETRY. Nobody begins to read until it is given back. */
int chain_lease_take_alone(struct chain_lease *lease, const struct step_run *run, const char *chain_folder,
                           struct err *err);
void chain_lease_tick(struct chain_lease *lease); /* renews when it is time; call often */
void chain_lease_endp(struct chain_lease *lease);
/* For settle(): gives back what this job holds on the chains of the step, whose call died with the worker; not while something of that call is still at work. */
void chain_lease_settle(const struct step_run *run, const struct step *step, enum settled settled);

bool step_cancelled(const struct step_run *run);                /* false where there is no attempt: undo, settle */
const char *step_arg(const struct step *step, const char *key); /* never NULL: a plan without it is a bug */
/* What people call the target. Not virDomainGetName(): that erases libvirt's last error before libvirt_err() reads it. */
const char *step_subject(const struct step_run *run);
int step_domain(const struct step_run *run, virDomainPtr *out, struct err *err);

/* The backup job that runs on a domain, by the folder that it writes to. */
enum running_backup { BACKUP_NONE, BACKUP_OURS, BACKUP_FOREIGN };
int backup_running(virDomainPtr domain, const char *folder, enum running_backup *out, struct err *err);
/* Asks the running job to end if it is ours, and waits for that; none is success. A guest that it has stopped, by a write that the repository did not take, goes on. */
int backup_abort(virDomainPtr domain, const char *folder, struct err *err);
bool backup_stopped_guest(virDomainPtr domain); /* by an I/O error */

/* Bytes per second for the whole push, shared by its disks ("vda vdb"); 0: no limit. A disk whose part has ended has no job: its refusal is no failure. */
void backup_set_rate(virDomainPtr domain, const char *disks, int64_t rate);

/* ERR_… or the state of the checkpoint of a restore point; dirty_bytes may be NULL. */
int checkpoint_look(virDomainPtr domain, const struct restore_point *point, int *out_state, int64_t *dirty_bytes,
                    struct err *err);
int checkpoint_exists(virDomainPtr domain, const char *name, bool *out, struct err *err);
/* Gone afterwards, with its bitmaps where they can be reached; absent is success. */
int checkpoint_remove(virDomainPtr domain, const char *name, struct err *err);

int file_copy(const char *from, const char *to, mode_t mode, int64_t *out_bytes, struct err *err);
