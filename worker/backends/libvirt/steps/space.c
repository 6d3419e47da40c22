/*
 * space, copy-space: is there room in the repository, and reserves it against the other workers that write there. A full backup needs what its disks occupy, an incremental one what
 * has changed, as the plan says (known "estimated_bytes"); both are estimates of a guest that goes on writing, so the push watches the room again while it runs. What a copy needs was
 * planned from the manifests.
 */
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

static int render_space(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                        struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "df '%s'", step_arg(step, "repository"));
    return 0;
}

static int render_copy(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    char size[32];

    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "df '%s'   # needs %s", step_arg(step, "repository"),
              format_size(facts_get_int(&step->args, "bytes", 0), size, sizeof size));
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

/* begun: the worker was restarted, and the job itself takes part of the room; then only the reservation is made again. */
static int reserve(const struct step_run *run, const struct step *step, int64_t need, bool begun, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};
    int64_t free_bytes, min_free;

    if (repository_open(step_arg(step, "repository"), step_arg(step, "repository_id"), &repository, err) < 0 ||
        repository_space(&repository, &free_bytes, &min_free, err) < 0)
        return -1;
    if (!begun && free_bytes - min_free < need)
        return refuse(&repository, need, free_bytes - min_free, err);
    return attempt_reserve(run->attempt, repository.id, need, free_bytes, min_free, err);
}

static int execute_space(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(point_endp) struct restore_point point = {0};
    bool begun = manifest_read(step_arg(step, "folder"), &point, NULL) == 0;

    (void)learned;
    return reserve(run, step, facts_get_int(run->known, "estimated_bytes", 0), begun, err);
}

static int execute_copy(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)learned;
    return reserve(run, step, facts_get_int(&step->args, "bytes", 0), file_exists(step_arg(step, "folder")), err);
}

const struct step_type step_backup_space = {
    .name = "space",
    .class = STEP_READS,
    .render = render_space,
    .execute = execute_space,
};

const struct step_type step_copy_space = {
    .name = "copy-space",
    .class = STEP_READS,
    .render = render_copy,
    .execute = execute_copy,
};
