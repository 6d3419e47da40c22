#include "model/deploy.h"

#include "base/err.h"
#include "model/fields.h"
#include "model/job.h"
#include "model/select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t HOUR_MS = 3600 * 1000LL, DAY_MS = 24 * HOUR_MS;

const char *const deploy_state_names[] = {"planning",      "snapshotting", "ready",     "undoing", "reverting",
                                          "refused",       "undone",       "succeeded", "failed",  "reverted",
                                          "revert_failed", "expired",      NULL};
const char *const deploy_operation_names[] = {"snapshot.create", "backup.create", NULL};
const char *const deploy_overlap_names[] = {"refuse", "wait", NULL};
const char *const deploy_says_names[] = {"succeeded", "failed", NULL};

static const struct field deploy_fields[] = {
    STRING(deploy, selector),
    STRING(deploy, snapshot, .max = 255),
    ENUM(deploy, quiesce, quiesce_names, OPTIONAL),
    ENUM(deploy, overlap, deploy_overlap_names, OPTIONAL),
    BOOL(deploy, auto_revert, OPTIONAL),
    STRING(deploy, token, .max = 128),
    INT(deploy, ttl_ms),
    INT(deploy, timeout_ms),
    INT(deploy, within_ms),
    TIME(deploy, begun_at),
    STRING(deploy, reason, OPTIONAL, .max = 1024),
    ENUM(deploy, state, deploy_state_names),
    TIME(deploy, state_at),
    STRING(deploy, why, OPTIONAL, .max = 1024),
    INT(deploy, words, OPTIONAL),
    STRINGS(deploy, order, OPTIONAL, .max = DEPLOY_ORDER_MAX),
    BOOL(deploy, keep_going, OPTIONAL),
    INT(deploy, parallel, OPTIONAL, .fallback = 1),
    TIME(deploy, expires_at, OPTIONAL),
    BOOL(deploy, cleaning, OPTIONAL),
    TIME(deploy, cleaned_at, OPTIONAL),
    TIME(deploy, revert_at, OPTIONAL),
    TIME(deploy, delete_at, OPTIONAL),
    INT(deploy, group_limit_ms, OPTIONAL),
    BOOL(deploy, standing, OPTIONAL),
    ENUM(deploy, operation, deploy_operation_names, OPTIONAL),
    STRING(deploy, repository, OPTIONAL, .max = 255),
    ENUM(deploy, kind, backup_kind_names, OPTIONAL),
    INT(deploy, rate_limit_bytes, OPTIONAL),
    {0},
};
const struct record_type deploy_record = {"deploy", sizeof(struct deploy), deploy_fields};

static const struct field word_fields[] = {
    ENUM(deploy_word, says, deploy_says_names),
    BOOL(deploy_word, revert, OPTIONAL),
    STRINGS(deploy_word, order, OPTIONAL, .max = DEPLOY_ORDER_MAX),
    BOOL(deploy_word, keep_going, OPTIONAL),
    INT(deploy_word, parallel, OPTIONAL, .fallback = 1),
    STRING(deploy_word, reason, OPTIONAL, .max = 1024),
    {0},
};
const struct record_type deploy_word_record = {"deploy_word", sizeof(struct deploy_word), word_fields};

bool deploy_id_valid(const char *id)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = strnlen(id, DEPLOY_ID_MAX + 1);

    return len >= 1 && len <= DEPLOY_ID_MAX && strchr(first, *id) &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:+-") == len;
}

bool deploy_ended(const struct deploy *deploy)
{
    return deploy->state >= DEPLOY_REFUSED;
}

static int complete_time(int64_t *time_ms, int64_t fallback_ms, int64_t most_ms, const char *name, struct err *err)
{
    if (*time_ms == 0)
        *time_ms = fallback_ms;
    if (*time_ms > 0 && *time_ms <= most_ms)
        return 0;
    return err_set(err, ERR_PERMANENT, "%s: must be above 0 and at most %lld h", name, (long long)(most_ms / HOUR_MS));
}

static int complete_selector(struct deploy *deploy, const char *selector, const char *own, struct err *err)
{
    CLEANUP(freep) char *both = NULL;
    struct selector *parsed = NULL;

    if (!selector || !*selector)
        return err_set(err, ERR_PERMANENT, "selector: is missing: the labels of the targets");
    if (selector_parse(selector, &parsed, err) < 0)
        return err_wrap(err, "selector");
    selector_free(parsed);
    if (asprintf(&both, "%s%s%s", selector, own ? "," : "", own ? own : "") < 0)
        return both = NULL, err_memory(err, "deploy");
    return string_set(&deploy->selector, both, err);
}

static bool kept_for_good(const struct deploy *deploy)
{
    return deploy->standing && !deploy->ttl_ms;
}

static int complete_backups(const struct deploy *deploy, struct err *err)
{
    if (deploy->operation == DEPLOY_BACKUPS && !deploy->group_limit_ms)
        return err_set(err, ERR_PERMANENT, "operation: backup.create is for a group: say group");
    if (deploy->operation != DEPLOY_BACKUPS && (deploy->repository || deploy->kind || deploy->rate_limit_bytes))
        return err_set(err, ERR_PERMANENT,
                       "repository, kind and rate_limit are of backups: operation is not backup.create");
    return deploy->rate_limit_bytes < 0 ? err_set(err, ERR_PERMANENT, "rate_limit: must not be below 0") : 0;
}

static int complete_group(const struct deploy *deploy, struct err *err)
{
    if (complete_backups(deploy, err) < 0)
        return -1;
    if (!deploy->group_limit_ms)
        return deploy->standing ? err_set(err, ERR_PERMANENT, "standing: is for a group: say group") : 0;
    if (deploy->group_limit_ms < GROUP_LIMIT_MIN_MS || deploy->group_limit_ms > GROUP_LIMIT_MAX_MS)
        return err_set(err, ERR_PERMANENT, "group_limit: must be from %d s to %d s", GROUP_LIMIT_MIN_MS / 1000,
                       GROUP_LIMIT_MAX_MS / 1000);
    if (deploy->quiesce == QUIESCE_NEVER)
        return err_set(err, ERR_PERMANENT, "quiesce: never is no group: each of its guests stands still for the moment");
    if (deploy->operation == DEPLOY_BACKUPS && !deploy->standing)
        return err_set(err, ERR_PERMANENT,
                       "operation: backup.create is for a group that stands for itself: say standing, too");
    if (deploy->standing && deploy->auto_revert)
        return err_set(err, ERR_PERMANENT,
                       "auto_revert: is for a deploy that somebody says ended, not for a group alone");
    return 0;
}

int deploy_complete(struct deploy *deploy, const char *id, const char *selector, const char *own, const char *token,
                    struct err *err)
{
    char snapshot[DEPLOY_ID_MAX + 16];

    if (!id || !deploy_id_valid(id))
        return err_set(err, ERR_PERMANENT,
                       "id: a deploy needs an id of its own, of 1 to %d letters, digits and . _ : + -", DEPLOY_ID_MAX);
    snprintf(snapshot, sizeof snapshot, "%s%s", deploy->standing ? "" : "deploy-", id);
    if (complete_selector(deploy, selector, own, err) < 0 || complete_group(deploy, err) < 0 ||
        (!kept_for_good(deploy) && complete_time(&deploy->ttl_ms, DAY_MS, 365 * DAY_MS, "ttl", err) < 0) ||
        complete_time(&deploy->timeout_ms, DAY_MS, 30 * DAY_MS, "timeout", err) < 0 ||
        complete_time(&deploy->within_ms, HOUR_MS / 6, DAY_MS, "within", err) < 0 ||
        string_set(&deploy->snapshot, snapshot, err) < 0)
        return -1;
    return string_set(&deploy->token, token, err);
}
