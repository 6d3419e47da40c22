/*
 * The repository backend: targets "repository:<uuid>", which are directories with a marker in or at the configured folders. It makes new ones, and tells what is there
 * and how much room it has. Restore points are the business of the backends that make them, also where their guest is gone.
 */
#include "base/err.h"
#include "base/file.h"
#include "model/inventory.h"
#include "model/job.h"
#include "worker/backend.h"
#include "worker/repository.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct backend_ops repository_backend_ops;

/* ---- repository.init ---- */

static const char marker[] = "fleetsnap-repository.json";

static const char *arg(const struct step *step, const char *key)
{
    return facts_get_or(&step->args, key, "");
}

static int init_render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "mkdir -p '%s'\n# writes '%s/%s': id %s, name %s, min_free %s %%", arg(step, "path"),
              arg(step, "path"), marker, arg(step, "id"), arg(step, "name"), arg(step, "min_free_percent"));
    return 0;
}

static int init_execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)run;
    if (repository_init(arg(step, "path"), arg(step, "id"), arg(step, "name"),
                        facts_get_int(&step->args, "min_free_percent", 10), err) < 0)
        return -1;
    if (facts_set(learned, "id", arg(step, "id"), err) < 0 || facts_set(learned, "name", arg(step, "name"), err) < 0)
        return -1;
    return facts_set(learned, "path", arg(step, "path"), err);
}

static bool only_marker(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    bool only = dir != NULL;

    while (only && (entry = readdir(dir)))
        only = entry->d_name[0] == '.' || strcmp(entry->d_name, marker) == 0;
    if (dir)
        closedir(dir);
    return only;
}

/* Only what this job made, and only while nothing but the marker is in it. */
static int init_undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    struct repository repository = {0};
    char path[PATH_MAX];

    (void)run;
    (void)learned;
    if (facts_get(&step->args, "had") || !only_marker(arg(step, "path")) ||
        repository_open(arg(step, "path"), arg(step, "id"), &repository, NULL) < 0)
        return 0;
    repository_clear(&repository);
    snprintf(path, sizeof path, "%s/%s", arg(step, "path"), marker);
    if (file_remove(path, err) < 0)
        return -1;
    if (facts_get(&step->args, "made"))
        rmdir(arg(step, "path"));
    return 0;
}

static int init_settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                       struct err *err)
{
    struct repository repository = {0};

    (void)run;
    (void)learned;
    (void)err;
    *out = SETTLED_NOT_DONE;
    if (repository_open(arg(step, "path"), arg(step, "id"), &repository, NULL) < 0)
        return 0;
    repository_clear(&repository);
    *out = SETTLED_DONE;
    return 0;
}

static const struct step_type step_init = {
    .name = "repository-init",
    .class = STEP_ADDS,
    .render = init_render,
    .execute = init_execute,
    .undo = init_undo,
    .settle = init_settle,
};

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

static int plan_init(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
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
    return plan_add(plan, &step_init, err, "path", params->path, "id", job->target.id, "name", params->name,
                    "min_free_percent", percent, "made", file_exists(params->path) ? NULL : "yes", "had",
                    had ? "yes" : NULL, NULL)
               ? 0
               : -1;
}

/* ---- inventory ---- */

static int describe(const char *path, struct inventory_space *space, struct err *err)
{
    struct repository repository = {0};
    struct err why = {0};

    if (string_set(&space->path, path, err) < 0 || string_set(&space->name, path, err) < 0)
        return -1;
    if (repository_open(path, NULL, &repository, &why) < 0)
        return string_set(&space->text, why.text, err);
    space->id = TAKE_PTR(repository.id);
    free(space->name);
    space->name = TAKE_PTR(repository.name);
    space->ok = repository_space(&repository, &space->free_bytes, &space->min_free_bytes, &why) == 0 &&
                file_free_space(path, &space->free_bytes, &space->total_bytes, &why) == 0;
    repository_clear(&repository);
    return space->ok ? 0 : string_set(&space->text, why.text, err);
}

static int add_repository(struct inventory_host *host, const char *path, struct err *err)
{
    struct inventory_space *space = list_add(&host->repositories, &inventory_space_record, err);

    return space ? describe(path, space, err) : -1;
}

static bool has_marker(const char *path)
{
    char file[PATH_MAX];

    return snprintf(file, sizeof file, "%s/%s", path, marker) < (int)sizeof file && file_exists(file);
}

/* A root is a repository, or its direct children are. A root that is neither is told too: it may be a mount that is missing. */
static int add_root(struct inventory_host *host, const char *root, struct err *err)
{
    size_t before = host->repositories.count;
    char path[PATH_MAX];
    struct dirent *entry;
    int result = 0;
    DIR *dir;

    if (has_marker(root) || !(dir = opendir(root)))
        return add_repository(host, root, err);
    while (result == 0 && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && snprintf(path, sizeof path, "%s/%s", root, entry->d_name) < (int)sizeof path &&
            has_marker(path))
            result = add_repository(host, path, err);
    closedir(dir);
    return result == 0 && host->repositories.count == before ? add_repository(host, root, err) : result;
}

static int add_backend(struct inventory_host *host, struct err *err)
{
    struct inventory_backend *self = list_add(&host->backends, &inventory_backend_record, err);

    if (!self || string_set(&self->kind, repository_backend_ops.kind, err) < 0 ||
        string_set(&self->uri, "file:", err) < 0)
        return -1;
    for (const struct verb *verb = repository_backend_ops.verbs; verb->op != OP_NONE; verb++)
        if (strings_add(&self->verbs, op_names[verb->op], err) < 0)
            return -1;
    self->ok = true;
    return 0;
}

static int inventory(struct backend *backend, struct inventory_host *host, inventory_target_found *found, void *context,
                     struct err *err)
{
    const struct strings *roots = backend->config->repositories;

    (void)found;
    (void)context;
    if (add_backend(host, err) < 0)
        return -1;
    for (size_t i = 0; roots && i < roots->count; i++)
        if (add_root(host, roots->items[i], err) < 0)
            return -1;
    return 0;
}

/* ---- the two tables ---- */

static int open_backend(const struct backend_config *config, struct backend **out, struct err *err)
{
    struct backend *backend = calloc(1, sizeof *backend);

    if (!backend)
        return err_memory(err, "repository backend");
    *backend = (struct backend){&repository_backend_ops, config};
    *out = backend;
    return 0;
}

static void close_backend(struct backend *backend)
{
    free(backend);
}

static const struct verb verbs[] = {
    {OP_REPOSITORY_INIT, plan_init, NULL},
    {OP_NONE, NULL, NULL},
};

static const struct step_type *const steps[] = {&step_init, NULL};

const struct backend_ops repository_backend_ops = {
    .kind = "repository",
    .verbs = verbs,
    .steps = steps,
    .open = open_backend,
    .close = close_backend,
    .inventory = inventory,
};
