/* The two tables of the libvirt backend. A new verb is a row here and a file in verbs/; a new step is a file in steps/ and its name in a table of steps. */
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/export.h"
#include "worker/backends/libvirt/inventory.h"
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/libvirt.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/thaw_guard.h"
#include "worker/backends/libvirt/undo_record.h"
#include "worker/backends/libvirt/verbs/verbs.h"

#include <stdlib.h>

static int libvirt_open_backend(const struct backend_config *config, struct backend **out, struct err *err)
{
    struct libvirt_backend *backend = calloc(1, sizeof *backend);

    if (!backend)
        return err_memory(err, "libvirt");
    backend->base = (struct backend){&libvirt_backend_ops, config};
    *out = &backend->base;
    return 0;
}

static void libvirt_close_backend(struct backend *base)
{
    struct libvirt_backend *backend = libvirt_of(base);

    if (!backend)
        return;
    thaw_guard_end(backend);
    if (backend->connection)
        virConnectClose(backend->connection);
    free(backend);
}

static void libvirt_connect_now(struct backend *base)
{
    struct err later = {0};

    libvirt_connect(libvirt_of(base), &later);
}

static int libvirt_tidy(struct backend *base, struct err *err)
{
    return kept_tidy(libvirt_of(base), err) < 0 ? -1 : undo_record_tidy(base->config, err);
}

static const struct verb verbs[] = {
    {OP_SNAPSHOT_CREATE, plan_snapshot_create, report_snapshot_create},
    {OP_SNAPSHOT_LIST, plan_snapshot_list, report_snapshot_list},
    {OP_SNAPSHOT_SHOW, plan_snapshot_show, report_snapshot_show},
    {OP_SNAPSHOT_REVERT, plan_snapshot_revert, report_snapshot_revert},
    {OP_SNAPSHOT_DELETE, plan_snapshot_delete, report_snapshot_delete},
    {OP_BACKUP_CREATE, plan_backup_create, report_backup_create},
    {OP_BACKUP_RESTORE, plan_backup_restore, report_backup_restore},
    {OP_BACKUP_VERIFY, plan_backup_verify, report_backup_verify},
    {OP_BACKUP_DELETE, plan_backup_delete, report_backup_delete},
    {OP_BACKUP_COPY, plan_backup_copy, report_backup_copy},
    {OP_TARGET_RETIRE, plan_target_retire, report_target_retire},
    {OP_JOB_UNDO, plan_job_undo, report_job_undo},
    {OP_TARGET_EXPORT, plan_target_export, NULL},
    {OP_TARGET_EXPORT_FINISH, plan_target_export_finish, NULL},
    {OP_NONE, NULL, NULL},
};

static const struct step_type *const steps[] = {SNAPSHOT_STEPS, BACKUP_STEPS, EXPORT_STEPS, NULL};

const struct backend_ops libvirt_backend_ops = {
    .kind = "libvirt",
    .verbs = verbs,
    .steps = steps,
    .open = libvirt_open_backend,
    .close = libvirt_close_backend,
    .connect = libvirt_connect_now,
    .inventory = libvirt_inventory,
    .tidy = libvirt_tidy,
    .watch = libvirt_watch,
    .unwatch = libvirt_unwatch,
    .only_here = true,
};
