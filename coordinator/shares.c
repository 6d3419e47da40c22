/*
 * The leader sees to it that the backups that run into a repository share its bandwidth (limits.bandwidth, bandwidth.h). Main loop only, but for what the API asks at the end.
 *
 * Nothing of it is in the ledger: what is shared follows from the open jobs, from what their hosts say (the view tells when a backup begins or ceases to run, and a new leader all that run) and from the
 * options. What a job was told is in its ticket, as the word `rate:…`; a new leader says it once more. A job that does not run yet has the word in its ticket before it
 * begins, so that not even its first second is without limit: what it would get beside those that run now.
 */
#include "coordinator/internal.h"

#include "base/clock.h"
#include "base/err.h"
#include "coordinator/bandwidth.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_EVERY_MS = 1000 };

struct share {
    UT_hash_handle hh;
    char repository[UUID_TEXT];
    int64_t limit;           /* bytes/s; 0: none */
    int64_t level, newcomer; /* of those that run; of one that begins now */
    int64_t *own;            /* limits of those that run */
    size_t running, room;
};

/* ---- who shares ---- */

/* The repository of a backup; NULL: it is none, or only planned for show. */
static const struct repository_ref *repository_of(const struct ledger_node *node)
{
    const struct job *job = node->entry && node->entry->job ? node->entry->job->job : NULL;
    const struct repository_ref *repository = job && job->op == OP_BACKUP_CREATE && !job->dry_run ? job_repository(job)
                                                                                                  : NULL;

    return repository && repository->id && strlen(repository->id) < UUID_TEXT ? repository : NULL;
}

/* A host that gives no sign of life is told nothing, and keeps nothing from others. */
static bool takes_part(const struct ledger_node *node)
{
    return node->running && !node->lost && !node->entry->job->outcome;
}

static struct share *share_of(struct coordinator *coordinator, const struct repository_ref *repository)
{
    struct share *share = NULL;

    HASH_FIND_STR(coordinator->shares, repository->id, share);
    if (share)
        return share;
    if (!(share = calloc(1, sizeof *share)))
        return NULL;
    snprintf(share->repository, sizeof share->repository, "%s", repository->id);
    share->limit = share->level = share->newcomer = coordinator_bandwidth_of(&coordinator->options, repository->name);
    HASH_ADD_STR(coordinator->shares, repository, share);
    return share;
}

void shares_free(struct coordinator *coordinator)
{
    struct share *share, *next;

    HASH_ITER (hh, coordinator->shares, share, next) {
        HASH_DEL(coordinator->shares, share);
        free(share->own);
        free(share);
    }
}

/* There is always room for one more than run. */
static int add(struct share *share, int64_t own, struct err *err)
{
    if (share->running + 1 >= share->room) {
        size_t room = share->room ? share->room * 2 : 16;
        int64_t *more = reallocarray(share->own, room, sizeof *more);

        if (!more)
            return err_memory(err, "bandwidth");
        share->own = more;
        share->room = room;
    }
    share->own[share->running++] = own;
    return 0;
}

static int count_running(struct coordinator *coordinator, struct err *err)
{
    shares_free(coordinator);
    for (struct ledger_node *node = ledger_first_open_job(coordinator->ledger); node; node = node->next) {
        const struct repository_ref *repository = repository_of(node);
        struct share *share = repository ? share_of(coordinator, repository) : NULL;

        if (repository && !share)
            return err_memory(err, "bandwidth");
        if (share && share->limit && takes_part(node) && add(share, ledger_job_own_rate(node->entry->job), err) < 0)
            return -1;
    }
    for (struct share *share = coordinator->shares; share; share = share->hh.next) {
        if (!share->running)
            continue;
        share->level = bandwidth_level(share->limit, share->own, share->running);
        share->own[share->running] = 0;
        share->newcomer = bandwidth_level(share->limit, share->own, share->running + 1);
    }
    return 0;
}

/* ---- what they are told ---- */

static void set_level(struct coordinator *coordinator, struct ledger_node *node, int64_t level)
{
    LOCK_SCOPE(&coordinator->lock);
    node->level = level;
    node->level_ms = clock_monotonic_ms();
}

void shares_begin(struct coordinator *coordinator, struct ledger_node *node)
{
    const struct repository_ref *repository = node->level ? NULL : repository_of(node);
    struct share *share = repository ? share_of(coordinator, repository) : NULL;

    if (share && share->newcomer)
        set_level(coordinator, node, share->newcomer);
}

void shares_running(struct coordinator *coordinator, struct ledger_node *node, int state)
{
    bool running = state == STATE_RUNNING;

    if (node->running == running || !repository_of(node))
        return;
    coordinator->shares_wanted = true;
    LOCK_SCOPE(&coordinator->lock);
    node->running = running;
}

/* The level that the job is to have; 0: nothing is to be said. The leader before this one may have had a limit: then it counts no longer. */
static int64_t level_for(const struct ledger_node *node, const struct share *share)
{
    if (node->lost || node->entry->job->outcome)
        return 0;
    if (!share->limit)
        return node->untold && node->running ? BANDWIDTH_OPEN : 0;
    return node->running ? share->level : share->newcomer;
}

static bool is_worth_it(struct coordinator *coordinator, const struct ledger_node *node, int64_t level, int64_t now_ms)
{
    int64_t own = ledger_job_own_rate(node->entry->job);
    bool later, matters = bandwidth_matters(bandwidth_rate(node->level, own), bandwidth_rate(level, own),
                                            now_ms - node->level_ms, &later);

    coordinator->shares_wanted |= later;
    return matters || node->untold;
}

static void tell(struct coordinator *coordinator, int64_t now_ms)
{
    for (struct ledger_node *node = ledger_first_open_job(coordinator->ledger), *next; node; node = next) {
        const struct repository_ref *repository = repository_of(node);
        struct share *share = repository ? share_of(coordinator, repository) : NULL;
        int64_t level = share ? level_for(node, share) : 0;

        next = node->next;
        if (!level || !is_worth_it(coordinator, node, level, now_ms))
            continue;
        set_level(coordinator, node, level);
        node->untold = node->control_written = false;
        dispatch_job(coordinator, node);
    }
}

/* What was said to a Redis that lost its memory is said again. */
static void forget_words(struct coordinator *coordinator)
{
    for (struct ledger_node *node = ledger_first_open_job(coordinator->ledger); node; node = node->next)
        node->untold = node->untold || node->level;
}

void shares_tick(struct coordinator *coordinator, int64_t now_ms)
{
    int64_t epoch = coordinator->kept.epoch;
    struct err err = {0};

    if (epoch && epoch != coordinator->shares_epoch) {
        coordinator->shares_epoch = epoch;
        coordinator->shares_wanted = true;
        forget_words(coordinator);
    }
    if (!coordinator->shares_wanted || now_ms - coordinator->shares_ms < LOOK_EVERY_MS)
        return;
    coordinator->shares_wanted = false;
    coordinator->shares_ms = now_ms;
    if (count_running(coordinator, &err) == 0)
        tell(coordinator, now_ms);
    else
        coordinator->shares_wanted = true;
}

/* ---- what people see; any thread ---- */

void coordinator_bandwidth(struct coordinator *coordinator, const char *repository, const char *name,
                           struct coordinator_bandwidth *out)
{
    struct share share = {.limit = coordinator_bandwidth_of(&coordinator->options, name)};

    *out = (struct coordinator_bandwidth){.limit = share.limit};
    if (!share.limit)
        return;
    LOCK_SCOPE(&coordinator->lock);
    for (struct ledger_node *node = ledger_first_open_job(coordinator->ledger); node; node = node->next) {
        const struct repository_ref *its = repository_of(node);
        if (its && strcmp(its->id, repository) == 0 && takes_part(node) &&
            add(&share, ledger_job_own_rate(node->entry->job), NULL) < 0)
            break;
    }
    out->running = share.running;
    out->each = bandwidth_level(share.limit, share.own, share.running);
    free(share.own);
}

/* What the job was told, and whose repository it is; false: nothing. */
static bool told(struct coordinator *coordinator, const char *job_id, struct coordinator_rate *out, char id[UUID_TEXT])
{
    LOCK_SCOPE(&coordinator->lock);
    const struct ledger_node *node = ledger_find_job(coordinator->ledger, job_id);
    const struct repository_ref *repository = node ? repository_of(node) : NULL;

    if (!repository || (!node->entry->job->rate_limit && (!node->level || node->level == BANDWIDTH_OPEN)))
        return false;
    int64_t own = ledger_job_own_rate(node->entry->job);
    out->rate_limit = bandwidth_rate(node->level, own);
    out->shared = out->rate_limit != own;
    snprintf(out->repository, sizeof out->repository, "%s", repository->name ? repository->name : repository->id);
    snprintf(id, UUID_TEXT, "%s", repository->id);
    return out->shared || node->entry->job->rate_limit;
}

bool coordinator_rate(struct coordinator *coordinator, const char *job_id, struct coordinator_rate *out)
{
    struct coordinator_rate rate = {0};
    char id[UUID_TEXT];

    if (!told(coordinator, job_id, &rate, id))
        return false;
    if (rate.shared)
        coordinator_bandwidth(coordinator, id, rate.repository, &rate.of);
    *out = rate;
    return true;
}
