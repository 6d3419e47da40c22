/* restore-beside: what belongs to the disks (the definition, which may hold secrets, and the NVRAM) is put beside them, as the backup has it. */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <stdio.h>

static const char *const members[] = {"definition", "nvram"};

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (facts_get(&step->args, members[i]))
            text_addf(command, "%scp '%s/%s' '%s'", command->len ? "\n" : "", step_arg(step, "from"),
                      facts_get(&step->args, members[i]), step_arg(step, "folder"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    char from[PATH_MAX], to[PATH_MAX];

    (void)run;
    (void)learned;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const char *name = facts_get(&step->args, members[i]);

        if (!name)
            continue;
        if (!name_valid_plain(name))
            return err_set(err, ERR_PERMANENT, "the manifest names a file \"%s\", which is no name", name);
        snprintf(from, sizeof from, "%s/%s", step_arg(step, "from"), name);
        snprintf(to, sizeof to, "%s/%s", step_arg(step, "folder"), name);
        if (file_copy(from, to, 0600, NULL, err) < 0)
            return -1;
    }
    return file_sync_directory(step_arg(step, "folder"), err);
}

const struct step_type step_restore_beside = {
    .name = "restore-beside",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating, /* the folder is ours, and its undo takes them away */
};
