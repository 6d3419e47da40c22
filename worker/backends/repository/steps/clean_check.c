/* clean-check: nobody reads or writes a chain now in which something is about to be taken away. */
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "ls -l '%s/leases'   # none of the last ten minutes", repository_arg(step, "chain"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};

    (void)learned;
    if (repository_open(repository_arg(step, "path"), run->job->target.id, &repository, err) < 0)
        return -1;
    return lease_check_free(repository_arg(step, "chain"), run->job->job_id, err);
}

const struct step_type step_clean_check = {
    .name = "clean-check",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
