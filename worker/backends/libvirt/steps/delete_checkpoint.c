/*
 * delete-checkpoint: the checkpoints of deleted points can be the base of nothing any more. Where the guest is gone there is nothing to do; where one cannot
 * be removed, that is told: the backups are deleted all the same.
 */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <string.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)lost;
    (void)err;
    text_addf(command, "virsh checkpoint-delete '%s' NAME   # each of: %s", step_subject(run),
              step_arg(step, "checkpoints"));
    return 0;
}

static int remove_all(const struct step *step, virDomainPtr domain, struct facts *learned, struct err *err)
{
    CLEANUP(freep) char *names = strdup(step_arg(step, "checkpoints"));
    char *rest = NULL;

    if (!names)
        return err_memory(err, "checkpoints");
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        struct err why = {0};

        if (checkpoint_remove(domain, name, &why) < 0 && facts_set(learned, "checkpoint_left", why.text, err) < 0)
            return -1;
    }
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    struct err why = {0};

    if (step_domain(run, &domain, &why) == 0)
        return remove_all(step, domain, learned, err);
    return why.code == VIR_ERR_NO_DOMAIN ? 0 : facts_set(learned, "checkpoint_left", why.text, err);
}

const struct step_type step_delete_checkpoint = {
    .name = "delete-checkpoint",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating,
};
