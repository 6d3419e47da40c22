/* remove-marker: the marker gets another name. From here on no worker of any host takes the directory for a repository, and the name alone brings it back. */
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const char *path = repository_arg(step, "path");

    (void)run;
    (void)err;
    text_addf(command, "mv '%s/%s' '%s/fleetsnap-repository.removed.json'", path, repository_marker, path);
    text_addf(lost, "the repository %s", repository_arg(step, "name"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    if (repository_retire(repository_arg(step, "path"), run->job->target.id, err) < 0)
        return -1;
    return facts_set(learned, "path", repository_arg(step, "path"), err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    return repository_retired(repository_arg(step, "path")) ? repository_reinstate(repository_arg(step, "path"), err)
                                                            : 0;
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    (void)run;
    *out = repository_retired(repository_arg(step, "path")) ? SETTLED_DONE : SETTLED_NOT_DONE;
    return *out == SETTLED_DONE ? facts_set(learned, "path", repository_arg(step, "path"), err) : 0;
}

const struct step_type step_remove_marker = {
    .name = "remove-marker",
    .class = STEP_DESTROYS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
