/*
 * space: is there room, and reserves it against the other workers that write to the same repository. A full needs what its disks occupy, an incremental what has
 * changed; both are estimates of a guest that goes on writing, so the push watches the room again while it runs.
 */
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <string.h>

enum { ROOM_FOR_METADATA = 4 << 20 };

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "df '%s'", step_arg(step, "repository"));
    return 0;
}

static int add_allocation(virDomainPtr domain, const char *disk, int64_t *bytes, struct err *err)
{
    virDomainBlockInfo info;

    if (virDomainGetBlockInfo(domain, disk, &info, 0) < 0)
        return libvirt_err(err, "size of disk %s", disk);
    *bytes += (int64_t)(info.allocation < info.capacity ? info.allocation : info.capacity);
    return 0;
}

/* The disks of an incremental that are full all the same: those without a bitmap. */
static bool counted_as_full(const struct restore_point *parent, const char *disk)
{
    for (size_t i = 0; i < parent->disks.count; i++) {
        const struct point_disk *other = list_at(&parent->disks, struct point_disk, i);

        if (strcmp(other->name, disk) == 0)
            return !other->checkpoint;
    }
    return true;
}

static int add_full_disks(const struct step *step, virDomainPtr domain, const struct restore_point *parent,
                          int64_t *bytes, struct err *err)
{
    CLEANUP(freep) char *names = strdup(step_arg(step, "disks"));
    char *rest = NULL;

    if (!names)
        return err_memory(err, "disks");
    for (char *disk = strtok_r(names, " ", &rest); disk; disk = strtok_r(NULL, " ", &rest))
        if ((!parent || counted_as_full(parent, disk)) && add_allocation(domain, disk, bytes, err) < 0)
            return -1;
    return 0;
}

static int estimate(const struct step *step, virDomainPtr domain, int64_t *out_bytes, int64_t *out_dirty,
                    struct err *err)
{
    CLEANUP(point_endp) struct restore_point parent = {0};
    const char *folder = facts_get(&step->args, "parent");
    int64_t bytes = 0, dirty = 0;
    int state;

    if (folder && (manifest_read(folder, &parent, err) < 0 || checkpoint_look(domain, &parent, &state, &dirty, err) < 0))
        return -1;
    if (add_full_disks(step, domain, folder ? &parent : NULL, &bytes, err) < 0)
        return -1;
    *out_bytes = bytes + dirty + ROOM_FOR_METADATA;
    *out_dirty = dirty;
    return 0;
}

static int refuse(const struct repository *repository, int64_t need, int64_t room, struct err *err)
{
    char need_text[32], room_text[32];

    err_set(err, ERR_RETRY, "repository %s: no room: needs %s, has %s above what must stay free", repository->name,
            format_size(need, need_text, sizeof need_text),
            format_size(room < 0 ? 0 : room, room_text, sizeof room_text));
    return err_hint(err, "delete old backups, or add space");
}

/* After a restart of the worker part of the room is taken by the job itself: then only the reservation is made again. */
static bool already_begun(const struct step *step)
{
    CLEANUP(point_endp) struct restore_point point = {0};

    return manifest_read(step_arg(step, "folder"), &point, NULL) == 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(repository_endp) struct repository repository = {0};
    int64_t need, dirty, free_bytes, min_free;

    if (step_domain(run, &domain, err) < 0 || estimate(step, domain, &need, &dirty, err) < 0 ||
        repository_open(step_arg(step, "repository"), step_arg(step, "repository_id"), &repository, err) < 0 ||
        repository_space(&repository, &free_bytes, &min_free, err) < 0)
        return -1;
    if (!already_begun(step) && free_bytes - min_free < need)
        return refuse(&repository, need, free_bytes - min_free, err);
    if (attempt_reserve(run->attempt, repository.id, need, free_bytes, min_free, err) < 0)
        return -1;
    if (dirty && facts_set_int(learned, "dirty_bytes", dirty, err) < 0)
        return -1;
    return facts_set_int(learned, "estimated_bytes", need, err);
}

const struct step_type step_backup_space = {
    .name = "space",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
