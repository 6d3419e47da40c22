/*
 * export-room: a folder in one of the worker's pools for what the guest overwrites while it is exported. QEMU reaches it, and it holds nothing that is worth keeping.
 */
#include "base/text.h"
#include "worker/backends/libvirt/export.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "mkdir -p '%s'", step_arg(step, "folder"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    const struct export_server server = export_server_of(step);
    const char *folder = step_arg(step, "folder");

    (void)run;
    (void)learned;
    if (export_socket_free(&server, err) < 0 || export_room_make(folder, err) < 0)
        return -1;
    return export_note(folder, "free", err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    const struct export_server server = export_server_of(step);

    (void)run;
    (void)learned;
    return export_room_clear(step_arg(step, "folder"), &server, err);
}

const struct step_type step_export_room = {
    .name = "export-room",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle_by_repeating,
};
