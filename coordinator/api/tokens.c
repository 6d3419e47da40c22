#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/api/internal.h"
#include "crypto/keys.h"
#include "model/select.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

/* Never the hash: whoever sees lists need not see what a stolen database would have to be compared with. */
static int add_token(void *context, const struct ledger_entry *entry, struct err *err)
{
    json_t *item = record_json(&ledger_token_record, entry->token, err);

    if (!item)
        return -1;
    json_object_del(item, "hash");
    json_object_del(item, "sealed");
    json_object_set_new(item, "topics", json_boolean(entry->token->sealed != NULL));
    json_object_set_new(item, "by", entry->who ? json_string(entry->who) : json_null());
    return json_array_append_new(context, item) < 0 ? err_memory(err, "tokens") : 0;
}

static int each_token(void *context, const struct ledger_entry *entry, struct err *err)
{
    return entry->gone || !entry->token ? 0 : add_token(context, entry, err);
}

int api_tokens_list(struct api_request *request, struct api_response *response)
{
    json_t *items = json_array();
    struct err err = {0};

    if (!api_scope_is_all(request, response))
        return json_decref(items), 0;
    if (coordinator_each(request->context->coordinator, LEDGER_TOKEN, each_token, items, &err) < 0)
        return json_decref(items), api_problem_err(response, "tokens", &err);
    return api_answer(response, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

/* "fst_<name>.<256 random bits in base64url>" */
static int make_token(const char *name, char *out, size_t size, struct err *err)
{
    unsigned char random[KEY_BYTES];
    char secret[64];

    if (key_random(random, sizeof random, err) < 0)
        return -1;
    key_base64(random, sizeof random, secret, sizeof secret);
    explicit_bzero(random, sizeof random);
    for (char *c = secret; *c; c++) {
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
        if (*c == '=')
            *c = '\0';
        if (!*c)
            break;
    }
    snprintf(out, size, "fst_%s.%s", name, secret);
    explicit_bzero(secret, sizeof secret);
    return 0;
}

static bool classes_valid(const char *classes)
{
    static const char *const valid[] = {"A", "B", "C", "AB", "AC", "BC", "ABC", NULL};

    return name_index(valid, classes) >= 0;
}

static bool selector_valid(const char *text, struct err *err)
{
    struct selector *selector = NULL;

    if (selector_parse(text, &selector, err) < 0)
        return false;
    selector_free(selector);
    return true;
}

static bool bad(struct api_response *response, const char *member, const char *what)
{
    api_problem(response, 400, "usage", member, NULL, "%s: %s", member, what);
    return false;
}

static const char *default_classes(const char *role)
{
    return strcmp(role, "viewer") == 0 ? "A" : strcmp(role, "admin") == 0 ? "ABC" : "AB";
}

static bool fill(struct api_request *request, struct api_response *response, struct ledger_token *token)
{
    const char *name = api_text(request, "name"), *role = api_text(request, "role");
    const char *selector = api_text(request, "selector"), *classes = api_text(request, "classes");
    const char *expires = api_text(request, "expires_in");
    int64_t expires_ms = 0;
    struct err err = {0};

    if (!name || !name_valid_plain(name) || strlen(name) > 64 || strcmp(name, "bootstrap") == 0)
        return bad(response, "name", "must be 1 to 64 letters, digits, '.', '_' and '-'");
    if (!role || api_role_of(role) == ROLE_PUBLIC)
        return bad(response, "role", "must be viewer, operator or admin");
    if (classes && !classes_valid(classes))
        return bad(response, "classes", "must be some of A, B and C, as in \"AB\"");
    if (selector && !selector_valid(selector, &err))
        return bad(response, "selector", err.text);
    if (expires && parse_duration(expires, &expires_ms, &err) < 0)
        return bad(response, "expires_in", err.text);
    token->created_at_ms = clock_real_ms();
    token->expires_at_ms = expires_ms ? token->created_at_ms + expires_ms : 0;
    if (string_set(&token->name, name, &err) < 0 || string_set(&token->role, role, &err) < 0 ||
        string_set(&token->selector, selector && *selector ? selector : NULL, &err) < 0 ||
        string_set(&token->classes, classes ? classes : default_classes(role), &err) < 0)
        return bad(response, "name", "out of memory");
    return true;
}

static bool name_is_new(struct api_request *request, struct api_response *response, const char *name)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    struct err err = {0};

    if (coordinator_get(request->context->coordinator, LEDGER_TOKEN, name, &entry, &err) < 0)
        return api_problem_err(response, name, &err), false;
    if (!entry || entry->gone)
        return true;
    api_problem(response, 409, "conflict", name, "Revoke it first: fleetsnap token revoke, or take another name",
                "there is a token named %s already", name);
    return false;
}

static int put_token(struct api_request *request, struct ledger_entry *entry, const char *secret, struct err *err)
{
    char hash[HASH_TEXT];

    api_token_hash(secret, hash);
    if (api_flag(request, "topics") &&
        coordinator_topic_key(request->context->coordinator, secret, &entry->token->sealed, err) < 0)
        return -1;
    if (string_set(&entry->token->hash, hash, err) < 0 || string_set(&entry->id, entry->token->name, err) < 0 ||
        string_set(&entry->who, request->caller.token, err) < 0)
        return -1;
    return coordinator_add(request->context->coordinator, &request->caller, entry, err);
}

int api_tokens_create(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"name", "role", "selector", "classes", "expires_in", "topics", NULL};
    CLEANUP(ledger_entry_clear) struct ledger_entry entry = {.kind = LEDGER_TOKEN};
    char secret[TOKEN_MAX_BYTES];
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    entry.token = calloc(1, sizeof *entry.token);
    if (!entry.token)
        return api_problem(response, 503, "retry", NULL, NULL, "out of memory");
    if (!fill(request, response, entry.token) || !name_is_new(request, response, entry.token->name))
        return 0;
    if (make_token(entry.token->name, secret, sizeof secret, &err) < 0 || put_token(request, &entry, secret, &err) < 0)
        return api_problem_err(response, entry.token->name, &err);
    json_t *body = record_json(&ledger_token_record, entry.token, &err);
    json_object_del(body, "hash");
    json_object_del(body, "sealed");
    json_object_set_new(body, "topics", json_boolean(entry.token->sealed != NULL));
    json_object_set_new(body, "token", json_string(secret));
    explicit_bzero(secret, sizeof secret);
    return api_answer(response, 201, body);
}

int api_tokens_revoke(struct api_request *request, struct api_response *response)
{
    const char *name = request->arguments[0];
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    struct err err = {0};

    if (!api_scope_is_all(request, response))
        return 0;
    if (coordinator_get(request->context->coordinator, LEDGER_TOKEN, name, &entry, &err) < 0)
        return api_problem_err(response, name, &err);
    if (!entry || entry->gone)
        return api_problem(response, 404, "not_found", name, "All of them: fleetsnap tokens", "no token \"%s\"", name);
    entry->gone = true;
    if (coordinator_put(request->context->coordinator, &request->caller, entry, &err) < 0)
        return api_problem_err(response, name, &err);
    return api_answer(response, 200, json_pack("{s:s, s:b}", "name", name, "revoked", 1));
}
