/* remove-check: nobody reads or writes anything in the repository now. */
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "ls -l '%s'/*/*/leases   # none of the last ten minutes", repository_arg(step, "path"));
    return 0;
}

static int check_chain(void *context, const char *folder, const char *name, struct err *err)
{
    const struct step_run *run = context;

    (void)name;
    return lease_check_free(folder, run->job->job_id, err);
}

static int check_target(void *context, const char *folder, const char *name, struct err *err)
{
    (void)name;
    return repository_each_folder(folder, check_chain, context, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    struct step_run copy = *run;

    (void)learned;
    return repository_each_folder(repository_arg(step, "path"), check_target, &copy, err);
}

const struct step_type step_remove_check = {
    .name = "remove-check",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
