/* clean-lease: the stale lease of a job that has ended. It keeps nobody out any more, but the folder of its chain would stay for ever. */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "rm '%s/leases/%s'", repository_arg(step, "folder"), repository_arg(step, "id"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(strings_endp) struct strings stale = {0};
    const char *chain = repository_arg(step, "folder"), *id = repository_arg(step, "id");
    struct job_finding finding = {.kind = (char *)"left",
                                  .path = (char *)chain + strlen(repository_arg(step, "path")) + 1,
                                  .point = (char *)id,
                                  .text = (char *)"stale lease removed"};
    struct list one = {.items = &finding, .count = 1};

    if (lease_stale(chain, &stale, err) < 0)
        return -1;
    if (!strings_have(&stale, id)) /* dropped, or renewed, meanwhile; or by an earlier attempt */
        return 0;
    lease_drop(chain, id);
    rmdir(chain); /* fails, as it should, while something is in it */
    return findings_learn(&one, run->known, learned, err);
}

const struct step_type step_clean_lease = {
    .name = "clean-lease",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating,
};
