/*
 * space: is there room, and reserves it against the other workers that write to the same repository. A full needs what its disks occupy, an incremental what has
 * changed, as the plan says (known "estimated_bytes"); both are estimates of a guest that goes on writing, so the push watches the room again while it runs.
 */
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "df '%s'", step_arg(step, "repository"));
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
    CLEANUP(repository_endp) struct repository repository = {0};
    int64_t need = facts_get_int(run->known, "estimated_bytes", 0), free_bytes, min_free;

    (void)learned;
    if (repository_open(step_arg(step, "repository"), step_arg(step, "repository_id"), &repository, err) < 0 ||
        repository_space(&repository, &free_bytes, &min_free, err) < 0)
        return -1;
    if (!already_begun(step) && free_bytes - min_free < need)
        return refuse(&repository, need, free_bytes - min_free, err);
    return attempt_reserve(run->attempt, repository.id, need, free_bytes, min_free, err);
}

const struct step_type step_backup_space = {
    .name = "space",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
