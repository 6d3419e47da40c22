/*
 * The repository backend: targets "repository:<uuid>", which are directories with a marker in or at the configured folders. Here are its tables, and what it tells of
 * what is there and how much room it has. Single restore points are the business of the backends that make them, also where their guest is gone.
 */
#include "worker/backends/repository/repository_backend.h"

#include "base/err.h"
#include "base/file.h"
#include "model/inventory.h"

#include <assert.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char repository_marker[] = "fleetsnap-repository.json";

const char *repository_arg(const struct step *step, const char *key)
{
    const char *value = facts_get(&step->args, key);

    assert(value); /* a plan without it is a bug */
    return value;
}

int repository_of_job(struct backend *backend, const struct job *job, struct repository *out, struct err *err)
{
    return repository_open_ref(job_repository(job), backend->config->repositories, out, err);
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

    return snprintf(file, sizeof file, "%s/%s", path, repository_marker) < (int)sizeof file && file_exists(file);
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
    {OP_REPOSITORY_INIT, plan_repository_init, NULL},
    {OP_REPOSITORY_CHECK, plan_repository_check, report_repository_check},
    {OP_REPOSITORY_CLEAN, plan_repository_clean, report_repository_clean},
    {OP_REPOSITORY_IMPORT, plan_repository_import, report_repository_import},
    {OP_REPOSITORY_REMOVE, plan_repository_remove, report_repository_remove},
    {OP_NONE, NULL, NULL},
};

static const struct step_type *const steps[] = {&step_repository_init,
                                                &step_repository_check,
                                                &step_clean_check,
                                                &step_clean_lease,
                                                &step_clean_point,
                                                &step_import_target,
                                                &step_remove_check,
                                                &step_remove_target,
                                                &step_remove_backups,
                                                &step_remove_marker,
                                                NULL};

const struct backend_ops repository_backend_ops = {
    .kind = "repository",
    .verbs = verbs,
    .steps = steps,
    .open = open_backend,
    .close = close_backend,
    .inventory = inventory,
};
