/* repository.init: init. */
#include "base/file.h"
#include "model/target.h"
#include "worker/backends/repository/repository_backend.h"

#include <stdio.h>

static int refuse_other(const char *path, const char *id, bool *had, struct err *err)
{
    struct repository repository = {0};
    struct err why = {0};

    *had = repository_open(path, id, &repository, &why) == 0;
    repository_clear(&repository);
    if (*had)
        return 0;
    if (why.kind != ERR_CONFLICT)
        return 0;
    *err = why;
    return -1;
}

int plan_repository_init(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    const struct params_repository_init *params = job->params;
    char percent[32];
    bool had;

    if (!params->path || params->path[0] != '/' || !name_valid_plain(params->name))
        return err_set(err, ERR_PERMANENT, "repository.init needs an absolute path and a name");
    if (!repository_allowed(params->path, backend->config->repositories)) {
        err_set(err, ERR_PERMANENT, "%s is not in a folder that this worker may use", params->path);
        return err_hint(err, "add its folder to repositories in the worker's configuration");
    }
    if (refuse_other(params->path, job->target.id, &had, err) < 0)
        return -1;
    snprintf(percent, sizeof percent, "%lld", (long long)params->min_free_percent);
    return plan_add(plan, &step_repository_init, err, "path", params->path, "id", job->target.id, "name", params->name,
                    "min_free_percent", percent, "made", file_exists(params->path) ? NULL : "yes", "had",
                    had ? "yes" : NULL, NULL)
               ? 0
               : -1;
}
