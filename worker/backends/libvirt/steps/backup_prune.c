/*
 * prune: a new full is whole, so the checkpoints of the chains before it serve nobody: each costs memory in QEMU and time at every write. Only ours, only of this
 * repository; the backup is good whether or not they go, so a failure is told and no more.
 */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <string.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    CLEANUP(freep) char *names = strdup(step_arg(step, "checkpoints"));
    char *rest = NULL;

    (void)lost;
    if (!names)
        return err_memory(err, "checkpoints");
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        text_addf(command, "%svirsh checkpoint-delete '%s' %s", command->len ? "\n" : "", step_subject(run), name);
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(freep) char *names = strdup(step_arg(step, "checkpoints"));
    char *rest = NULL;

    if (!names)
        return err_memory(err, "checkpoints");
    if (step_domain(run, &domain, err) < 0)
        return -1;
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        struct err why = {0};

        if (checkpoint_remove(domain, name, &why) < 0 && facts_set(learned, "prune_failed", why.text, err) < 0)
            return -1;
    }
    return 0;
}

const struct step_type step_backup_prune = {
    .name = "prune",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating,
};
