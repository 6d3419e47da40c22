#include "model/deploy.h"

#include "model/fields.h"
#include "model/job.h"

#include <string.h>

const char *const deploy_state_names[] = {"planning",      "snapshotting", "ready",     "undoing", "reverting",
                                          "refused",       "undone",       "succeeded", "failed",  "reverted",
                                          "revert_failed", "expired",      NULL};
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
