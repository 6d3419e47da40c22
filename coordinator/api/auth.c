/*
 * Who asks, and what that token allows.
 *
 * A bearer token reads "fst_<name>.<43 characters of base64url>"; its name finds the record in the ledger, which keeps only the SHA-256 of the whole token.
 * (256 random bits need no slow hash.) The bootstrap token from admin_token_file may have any form. Comparisons take the same time wherever they differ, and an
 * unknown name is compared too, against a hash that nothing has.
 */
#include "base/clock.h"
#include "base/err.h"
#include "coordinator/api/internal.h"
#include "crypto/digest.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char prefix[] = "fst_";

bool api_hash_equal(const char *a, const char *b)
{
    size_t len = strlen(a);
    volatile unsigned char difference = strlen(b) == len ? 0 : 1;

    for (size_t i = 0; i < len && b[i]; i++)
        difference |= (unsigned char)a[i] ^ (unsigned char)b[i];
    return difference == 0 && len > 0;
}

void api_token_hash(const char *token, char out[HASH_TEXT])
{
    digest_bytes(token, strlen(token), out);
}

bool api_token_name(const char *token, char *out, size_t size)
{
    const char *dot = strrchr(token, '.');

    if (strncmp(token, prefix, strlen(prefix)) != 0 || !dot)
        return false;
    token += strlen(prefix);
    if (dot <= token || (size_t)(dot - token) >= size)
        return false;
    snprintf(out, size, "%.*s", (int)(dot - token), token);
    return name_valid_plain(out);
}

const char *api_bearer(const char *authorization)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    const char *token = authorization + 7 + strspn(authorization + 7, " ");
    size_t len = strlen(token);
    return len >= 16 && len <= TOKEN_MAX_BYTES && !strpbrk(token, " \t") ? token : NULL;
}

enum api_role api_role_of(const char *name)
{
    static const char *const names[] = {"", "viewer", "operator", "admin", NULL};
    int role = name ? name_index(names, name) : -1;

    return role > 0 ? (enum api_role)role : ROLE_PUBLIC;
}

bool api_class_allowed(const char *classes, enum job_class job_class)
{
    return classes && strchr(classes, class_names[job_class][0]);
}

int api_caller_fill(struct caller *caller, const char *name, const char *role, const char *classes,
                    const char *selector, struct err *err)
{
    if (string_set(&caller->token, name, err) < 0 || string_set(&caller->role, role, err) < 0 ||
        string_set(&caller->classes, classes, err) < 0 || string_set(&caller->selector, selector, err) < 0)
        return -1;
    return 0;
}

/* *out NULL: no such token. */
static int find_token(struct api_request *request, const char *token, struct ledger_entry **out, struct err *err)
{
    static const char nothing[] = "0000000000000000000000000000000000000000000000000000000000000000";
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    char name[160], hash[HASH_TEXT];

    api_token_hash(token, hash);
    if (api_token_name(token, name, sizeof name) &&
        coordinator_get(request->context->coordinator, LEDGER_TOKEN, name, &entry, err) < 0)
        return -1;
    bool known = entry && !entry->gone && entry->token && entry->token->hash;
    bool same = api_hash_equal(hash, known ? entry->token->hash : nothing);
    *out = known && same ? TAKE_PTR(entry) : NULL;
    return 0;
}

/* 1: known, 0: not, -1: err. */
static int identify(struct api_request *request, const char *token, int64_t *expires_at_ms, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    char hash[HASH_TEXT];

    *expires_at_ms = 0;
    api_token_hash(token, hash);
    if (*request->context->admin_hash && api_hash_equal(hash, request->context->admin_hash))
        return api_caller_fill(&request->caller, "bootstrap", "admin", "ABC", NULL, err) < 0 ? -1 : 1;
    if (find_token(request, token, &entry, err) < 0)
        return -1;
    if (!entry)
        return 0;
    const struct ledger_token *known = entry->token;
    *expires_at_ms = known->expires_at_ms;
    return api_caller_fill(&request->caller, known->name ? known->name : entry->id, known->role, known->classes,
                           known->selector && *known->selector ? known->selector : NULL, err) < 0
               ? -1
               : 1;
}

static void refuse(struct api_request *request, struct api_response *response, const char *why, const char *hint)
{
    coordinator_audit(request->context->coordinator, &request->caller, "api.refused", request->path, NULL, why);
    api_problem(response, 401, "unauthenticated", NULL, hint, "%s", why);
}

bool api_authenticate(struct api_request *request, struct api_response *response)
{
    const char *token = api_bearer(request->authorization);
    int64_t expires_at_ms = 0;
    struct err err = {0};

    if (!token) {
        api_problem(response, 401, "unauthenticated", NULL,
                    "Send \"Authorization: Bearer TOKEN\"; an admin makes one with: fleetsnap token create",
                    request->authorization ? "the Authorization header holds no bearer token" : "a token is needed");
        return false;
    }
    int known = identify(request, token, &expires_at_ms, &err);
    if (known < 0)
        return api_problem_err(response, "token", &err), false;
    if (!known)
        return refuse(request, response, "the token is not known, or it was revoked",
                      "An admin makes a new one with: fleetsnap token create"),
               false;
    if (expires_at_ms && expires_at_ms <= clock_real_ms())
        return refuse(request, response, "the token has expired",
                      "An admin makes a new one with: fleetsnap token create"),
               false;
    return true;
}

bool api_authorize(struct api_request *request, struct api_response *response)
{
    static const char *const names[] = {"", "viewer", "operator", "admin"};
    char why[256];

    if (api_role_of(request->caller.role) >= request->route->role)
        return true;
    snprintf(why, sizeof why, "the token %s has the role %s, but this needs %s", request->caller.token,
             request->caller.role ? request->caller.role : "none", names[request->route->role]);
    coordinator_audit(request->context->coordinator, &request->caller, "api.refused", request->path, NULL, why);
    api_problem(response, 403, "forbidden", request->caller.token, "Ask an admin for a token with that role", "%s", why);
    return false;
}
