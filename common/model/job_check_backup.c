#include "base/err.h"
#include "model/job_check.h"

#include <string.h>

#define DAY_MS  (24LL * 3600 * 1000)
#define YEAR_MS (366 * DAY_MS)

static int check_repository(const struct repository_ref *repository, struct err *err)
{
    if (!repository)
        return check_wrong(err, "params.repository", "is missing");
    if (check_uuid("params.repository.id", repository->id, err) < 0)
        return -1;
    if (!name_valid_plain(repository->name))
        return check_wrong(err, "params.repository.name", "cannot be the name of a repository");
    if (!repository->path)
        return check_wrong(err, "params.repository.path", "is missing");
    return check_path("params.repository.path", repository->path, err);
}

int check_backup_create(const struct params_backup_create *params, struct err *err)
{
    if (check_repository(params->repository, err) < 0 || check_disk_choice(&params->include, &params->exclude, err) < 0)
        return -1;
    if (params->parent && check_uuid("params.parent", params->parent, err) < 0)
        return -1;
    if (params->parent && params->kind == BACKUP_FULL)
        return check_contradiction(err, "kind=full", "parent", "a full backup has no parent");
    if (check_text("params.description", params->description, true, err) < 0)
        return -1;
    if (check_range("params.rate_limit", params->rate_limit, 0, INT64_MAX, err) < 0)
        return -1;
    if (check_range("params.max_chain", params->max_chain, 1, 1000, err) < 0)
        return -1;
    return check_range("params.max_chain_ms", params->max_chain_ms, 0, 10 * YEAR_MS, err);
}

static int check_new_domain(const struct job *job, const struct params_backup_restore *params, struct err *err)
{
    if (!name_valid_domain(params->new_name))
        return check_wrong(err, "params.new_name", "cannot be the name of a domain");
    if (params->drop_snapshots)
        return check_contradiction(err, "new_name", "drop_snapshots", "a new domain has no snapshots");
    if (params->keep_old_for_ms != DAY_MS) /* the default */
        return check_contradiction(err, "new_name", "keep_old_for", "a new domain has no old disks");
    if (params->new_identity && strcmp(params->source, job->target.id) == 0)
        return check_contradiction(err, "new_identity", "the UUID of the source",
                                   "a new domain needs a UUID of its own");
    return check_path("params.directory", params->directory, err);
}

static int check_in_place(const struct job *job, const struct params_backup_restore *params, struct err *err)
{
    const struct {
        bool given;
        const char *name, *why;
    } of_new[] = {
        {params->directory != NULL, "directory", "the disks stay where they are"},
        {params->disk_files.count > 0, "disk_files", "the disks stay where they are"},
        {params->map_pool.count > 0, "map_pool", "the disks stay where they are"},
        {params->map_network.count > 0, "map_network", "the definition stays as it is"},
        {params->map_machine.count > 0, "map_machine", "the definition stays as it is"},
        {params->xml != NULL, "xml", "the definition stays as it is"},
    };

    for (size_t i = 0; i < sizeof of_new / sizeof *of_new; i++)
        if (of_new[i].given)
            return check_contradiction(err, "in_place", of_new[i].name, of_new[i].why);
    if (strcmp(params->source, job->target.id) != 0)
        return check_wrong(err, "params.source", "in_place takes only a restore point of the target itself");
    return 0;
}

static int check_names(const char *field, const struct facts *map, struct err *err)
{
    for (size_t i = 0; i < map->count; i++)
        if (!name_valid_domain(map->items[i].key) || !name_valid_domain(map->items[i].value))
            return check_wrong(err, field, "\"%.64s\" cannot be mapped so", map->items[i].key);
    return 0;
}

/* A name, or a directory. */
static int check_pool(const char *pool, struct err *err)
{
    if (*pool == '/')
        return check_path("params.map_pool", pool, err);
    return name_valid_domain(pool) ? 0 : check_wrong(err, "params.map_pool", "\"%.64s\" is no name or directory", pool);
}

static int check_maps(const struct params_backup_restore *params, struct err *err)
{
    const struct facts *files = &params->disk_files, *pools = &params->map_pool;

    if (check_names("params.map_network", &params->map_network, err) < 0 ||
        check_names("params.map_machine", &params->map_machine, err) < 0)
        return -1;
    for (size_t i = 0; i < pools->count; i++)
        if (check_pool(pools->items[i].key, err) < 0 || check_pool(pools->items[i].value, err) < 0)
            return -1;
    for (size_t i = 0; i < files->count; i++) {
        const char *path = files->items[i].value;

        if (!check_disk_name(files->items[i].key))
            return check_wrong(err, "params.disk_files", "\"%.64s\" cannot be the name of a disk", files->items[i].key);
        if (check_path("params.disk_files", path, err) < 0)
            return -1;
        if (path[strlen(path) - 1] == '/')
            return check_wrong(err, "params.disk_files", "%s is no name of a file", path);
    }
    return check_text("params.xml", params->xml, true, err);
}

int check_backup_restore(const struct job *job, const struct params_backup_restore *params, struct err *err)
{
    struct target source = {.kind = job->target.kind, .id = params->source};

    if (check_uuid("params.point", params->point, err) < 0 || check_repository(params->repository, err) < 0)
        return -1;
    if (!target_valid(&source))
        return check_wrong(err, "params.source", "is not the id of a %s target", job->target.kind);
    if (params->new_name && params->in_place)
        return check_contradiction(err, "new_name", "in_place", "a restore goes to a new domain or over the old one");
    if (!params->new_name && !params->in_place)
        return check_wrong(err, "params", "say where to: new_name or in_place");
    if (params->in_place ? check_in_place(job, params, err) < 0 : check_new_domain(job, params, err) < 0)
        return -1;
    if (check_disk_names("params.disks", &params->disks, err) < 0 || check_maps(params, err) < 0)
        return -1;
    return check_range("params.keep_old_for_ms", params->keep_old_for_ms, 0, YEAR_MS, err);
}

int check_backup_verify(const struct params_backup_verify *params, struct err *err)
{
    if (check_uuid("params.point", params->point, err) < 0 || check_repository(params->repository, err) < 0)
        return -1;
    if (params->console && params->depth != VERIFY_BOOT)
        return check_contradiction(err, "console", "depth", "only depth boot has a console");
    if (params->console && !*params->console)
        return check_wrong(err, "params.console", "is empty");
    if (check_text("params.console", params->console, false, err) < 0)
        return -1;
    return check_range("params.timeout_ms", params->timeout_ms, 1000, 3600 * 1000, err);
}

int check_backup_delete(const struct params_backup_delete *params, struct err *err)
{
    if (check_uuid("params.point", params->point, err) < 0 || check_repository(params->repository, err) < 0)
        return -1;
    if (params->scope == SCOPE_CHILDREN_ONLY)
        return check_wrong(err, "params.scope", "must be self, children or all");
    if (params->merge && params->scope != SCOPE_SELF)
        return check_contradiction(err, "merge", "scope=children or all", "there are no children left to merge into");
    return 0;
}

int check_repository_init(const struct params_repository_init *params, struct err *err)
{
    if (!name_valid_plain(params->name))
        return check_wrong(err, "params.name", "cannot be the name of a repository");
    if (!params->path)
        return check_wrong(err, "params.path", "is missing");
    if (check_path("params.path", params->path, err) < 0)
        return -1;
    return check_range("params.min_free_percent", params->min_free_percent, 0, 90, err);
}

int check_repository_job(const struct job *job, struct err *err)
{
    const struct repository_ref *repository = job_repository(job);

    if (check_repository(repository, err) < 0)
        return -1;
    if (strcmp(job->target.kind, "repository") != 0 || strcmp(job->target.id, repository->id) != 0)
        return check_wrong(err, "target", "must be repository:%s", repository->id);
    return 0;
}

int check_repository_clean(const struct job *job, const struct params_repository_clean *params, struct err *err)
{
    if (check_repository_job(job, err) < 0)
        return -1;
    for (size_t i = 0; i < params->ended.count; i++)
        if (check_uuid("params.ended", params->ended.items[i], err) < 0)
            return -1;
    return 0;
}

int check_backup_copy(const struct params_backup_copy *params, struct err *err)
{
    if (check_uuid("params.point", params->point, err) < 0 || check_repository(params->repository, err) < 0 ||
        check_repository(params->to, err) < 0)
        return -1;
    if (strcmp(params->repository->id, params->to->id) == 0)
        return check_wrong(err, "params.to", "the backup is in that repository already");
    return 0;
}

int check_target_retire(const struct params_target_retire *params, struct err *err)
{
    bool delete = params->backups == RETIRE_DELETE_BACKUPS;

    if (delete &&!params->repository)
        return check_wrong(err, "params.repository", "is missing: whose backups go");
    if (!delete &&params->repository)
        return check_contradiction(err, "backups=keep", "repository", "no backup is touched");
    if (!delete &&params->really_last)
        return check_contradiction(err, "backups=keep", "really_last", "no backup is touched");
    return delete ? check_repository(params->repository, err) : 0;
}
