/*
 * repository.clean: check … · lease … · point …. Takes away what jobs left that the ledger knows as ended: their ids are in the params, put there by the coordinator, so that what
 * a silent host may still be writing is never touched. Of what is marked as deleted nobody can say which job marked it: it goes only while no backup.delete is open.
 *
 * What is left is found by the same look as repository.check's, at planning, and looked at again by each step.
 */
#include "base/parse.h"
#include "worker/backends/repository/check.h"
#include "worker/backends/repository/repository_backend.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { CLEAN_MAX = 400 }; /* things that one job takes away, as each is a fact; the next one takes more */

static bool may_go(const struct params_repository_clean *params, const struct left *left)
{
    return left->kind == LEFT_DELETED ? params->deletes_ended : strings_have(&params->ended, left->id);
}

static int look(const struct repository *repository, struct check *check, struct err *err)
{
    CLEANUP(strings_endp) struct strings targets = {0};

    check->repository = repository;
    if (repository_targets(repository, &targets, err) < 0)
        return -1;
    for (size_t i = 0; i < targets.count; i++)
        if (check_target(check, targets.items[i], err) < 0)
            return -1;
    return 0;
}

/* The folder of the chain that a thing lies in. */
static void chain_of(const struct left *left, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s", left->folder);
    if (left->kind != LEFT_LEASE)
        *strrchr(out, '/') = '\0';
}

static int add_checks(const struct repository *repository, const struct left *const things[], size_t count,
                      struct plan *plan, struct err *err)
{
    CLEANUP(strings_endp) struct strings chains = {0};
    char chain[PATH_MAX];

    for (size_t i = 0; i < count; i++) {
        chain_of(things[i], chain);
        if (strings_have(&chains, chain))
            continue;
        if (strings_add(&chains, chain, err) < 0 ||
            !plan_add(plan, &step_clean_check, err, "path", repository->path, "chain", chain, NULL))
            return -1;
    }
    return 0;
}

static int add_thing(const struct repository *repository, const struct left *left, struct plan *plan, struct err *err)
{
    const struct step_type *type = left->kind == LEFT_LEASE ? &step_clean_lease : &step_clean_point;
    struct step *step = plan_add(plan, type, err, "path", repository->path, "folder", left->folder, "id", left->id,
                                 "deleted", left->kind == LEFT_DELETED ? "yes" : NULL, NULL);
    char key[160];

    if (!step || facts_set_int(&step->args, "bytes", left->bytes, err) < 0)
        return -1;
    if (left->kind != LEFT_DELETED)
        return 0;
    snprintf(key, sizeof key, "deleted.%s", left->id);
    return facts_set_int(&plan->facts, key, left->revision + 1,
                         err); /* its tombstone, also if its own job never said it */
}

static int add_all(const struct repository *repository, const struct params_repository_clean *params,
                   const struct check *check, struct plan *plan, struct err *err)
{
    CLEANUP(freep) const struct left **things = calloc(check->left_count + 1, sizeof *things);
    size_t count = 0, more = 0;
    int64_t bytes = 0;
    char size[32];

    if (!things)
        return err_memory(err, repository->name);
    for (size_t i = 0; i < check->left_count; i++) {
        if (!may_go(params, &check->left[i]))
            continue;
        if (count == CLEAN_MAX)
            more++;
        else
            things[count++] = &check->left[i];
    }
    if (add_checks(repository, things, count, plan, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        bytes += things[i]->bytes;
        if (add_thing(repository, things[i], plan, err) < 0)
            return -1;
    }
    if (count && plan_lose(plan, err, "%zu thing%s that ended jobs left in %s, %s", count, count == 1 ? "" : "s",
                           repository->name, format_size(bytes, size, sizeof size)) < 0)
        return -1;
    return facts_set_int(&plan->facts, "left", (int64_t)(check->left_count - count), err) < 0
               ? -1
               : facts_set_int(&plan->facts, "more", (int64_t)more, err);
}

int plan_repository_clean(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(check_clear) struct check check = {0};

    if (repository_of_job(backend, job, &repository, err) < 0 || look(&repository, &check, err) < 0)
        return -1;
    return add_all(&repository, job->params, &check, plan, err);
}

int report_repository_clean(struct backend *backend, const struct job *job, const struct facts *known,
                            struct report *report, struct err *err)
{
    static const char prefix[] = "deleted.";

    (void)backend;
    (void)job;
    for (size_t i = 0; i < known->count; i++) {
        const struct fact *fact = &known->items[i];

        if (strncmp(fact->key, prefix, sizeof prefix - 1) == 0 &&
            report_add_tombstone(report, fact->key + sizeof prefix - 1, facts_get_int(known, fact->key, 0), err) < 0)
            return -1;
    }
    return findings_report(report, err);
}
