#pragma once
/*
 * What the files of coordinator/api share. Only http.c and api.c know libmicrohttpd: a request is plain data, so everything else is tested without a socket.
 */
#include "base/facts.h"
#include "coordinator/api/api.h"
#include "coordinator/coordinator.h"
#include "coordinator/view.h"

#include <jansson.h>
#include <pthread.h>

struct api_route;
struct replay;
struct selector;
struct streams;

enum {
    ARGUMENTS_MAX = 4,
    TOKEN_MAX_BYTES = 512,
    KEY_MAX_BYTES = 128,
    HASH_TEXT = 65,
};

struct api_context {          /* lives as long as the api; read-only after start but for what has its own lock */
    struct api_config config; /* with the defaults filled in */
    struct coordinator *coordinator;
    char *view_path;
    char admin_hash[HASH_TEXT]; /* SHA-256 of the bootstrap token; "": none */
    struct replay *replay;
    struct streams *streams;
};

struct api_request {
    struct api_context *context;
    struct view_reader *reader; /* of this thread */
    const char *method, *path;
    struct facts query;
    const char *authorization, *idempotency_key, *last_event_id, *peer; /* NULL: absent */
    const char *body;
    size_t body_len;
    /* filled in by api_dispatch */
    const struct api_route *route;
    char *arguments[ARGUMENTS_MAX]; /* what stands for {…} in the pattern, percent-decoded */
    struct caller caller;
    json_t *json; /* the body, an object; NULL without one */
};

struct api_response {
    int status;
    json_t *body;
    int64_t stream;  /* > 0: an event stream of struct streams follows instead of a body */
    char *location;  /* header Location */
    char *allow;     /* header Allow of a 405 */
    int retry_after; /* seconds; 0: no header */
    bool replayed;   /* answered from an earlier request with the same key */
};

typedef int api_handler(struct api_request *request, struct api_response *response);

enum api_role { ROLE_PUBLIC, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };

struct api_route {
    const char *method, *pattern; /* "/v1/jobs/{job}" */
    enum api_role role;
    api_handler *handler;
    const char *doc; /* one line; the summary in docs/openapi.yaml */
};

extern const struct api_route api_routes[]; /* ends with method NULL */

/* Answers one request: route, token, role, body, replay, handler. Never fails: what goes wrong is a problem document. */
void api_dispatch(struct api_request *request, struct api_response *response);
/* The same for a caller who is known already, and filled in: no token is asked for. */
void api_dispatch_known(struct api_request *request, struct api_response *response);
void api_request_clear(struct api_request *request); /* what dispatch filled in, and the query */
void api_response_clear(struct api_response *response);
bool api_route_match(const struct api_route *route, const char *path,
                     char *arguments[ARGUMENTS_MAX]); /* arguments: caller frees */

/* ---- problem documents (RFC 9457): all return 0, so that `return api_problem(…)` ends a handler ---- */

/* kind: usage, not_found, ambiguous, conflict, permanent, retry, unknown, unauthenticated, forbidden, too_large */
int api_problem(struct api_response *response, int status, const char *kind, const char *subject, const char *hint,
                const char *format, ...) __attribute__((format(printf, 6, 7)));
int api_problem_err(struct api_response *response, const char *subject, const struct err *err);
int api_usage(struct api_response *response, const char *subject, const struct err *err); /* 400, whatever the kind */
const char *api_status_title(int status);

/* ---- answers ---- */

int api_answer(struct api_response *response, int status, json_t *body); /* takes body; NULL = out of memory */
/* Answers a look-up in the view: 503 when it failed, else 200 with what was found (taken). */
int api_view(struct api_response *response, const char *subject, int failed, json_t *found, const struct err *err);

/* ---- tokens and what they allow (auth.c; pure but for the look-up) ---- */

bool api_hash_equal(const char *a, const char *b); /* constant time for texts of equal length */
void api_token_hash(const char *token, char out[HASH_TEXT]);
bool api_token_name(const char *token, char *out, size_t size); /* "fst_<name>.<secret>" → name */
const char *api_bearer(const char *authorization);              /* the token of "Bearer …", or NULL */
enum api_role api_role_of(const char *name);                    /* ROLE_PUBLIC if unknown */
/* Copies; "from" stays as it is. */
int api_caller_fill(struct caller *caller, const char *name, const char *role, const char *classes,
                    const char *selector, struct err *err);
bool api_class_allowed(const char *classes, enum job_class job_class);
/* False: the response is a 401 or 403. */
bool api_authenticate(struct api_request *request, struct api_response *response);
bool api_authorize(struct api_request *request, struct api_response *response);

/* ---- what a token with a selector may see (scope.c) ---- */

/* 1: allowed, 0: not, -1: err. A caller without a selector may see everything. */
int api_scope_allows(struct api_request *request, const char *target, struct err *err);
/* Takes out of page.items what does not match; `member` names the item's target. */
int api_scope_filter(struct api_request *request, json_t *page, const char *member, struct err *err);
/* For what concerns the whole fleet. False: the response is a 403. */
bool api_scope_is_all(struct api_request *request, struct api_response *response);
/* The selector that lists of targets use: the query's and the caller's. Caller frees; NULL text = none. */
int api_scope_selector(struct api_request *request, char **out, struct err *err);

/* ---- what people type → what it means (resolve.c): 0, or -1 and the response says why ---- */

struct api_target {
    char *kind, *id, *name, *host, *state;
};
/* -1: the caller's selector does not include it, and the response says so. */
int api_scope_check(struct api_request *request, struct api_response *response, const struct api_target *target);
void api_target_clear(struct api_target *target);
/* "shop-1@3e1f": the machine of that name whose id begins so. False: it is not written like that. */
enum { API_NAME = 256 };
bool api_name_at(const char *text, char out_name[API_NAME], const char **out_prefix);
/* Machines that are there, as the view's items: by name, HOST/NAME, kind:id, and any name with @ and the beginning of its id. Caller decrefs; similar may be NULL. */
int api_find_targets(struct api_request *request, const char *text, json_t **out, json_t **out_similar, struct err *err);
int api_resolve_target(struct api_request *request, struct api_response *response, const char *text,
                       struct api_target *out);
/* The same as "kind:id" (out has TARGET_TEXT bytes), also of a machine that is gone and left backups (resolve_source.c). */
int api_resolve_source(struct api_request *request, struct api_response *response, const char *text, char *out);
/* "shop-1@3e1f0000, …": machines that are gone, had this name and left backups; empty: none. */
void api_gone_of_name(struct api_request *request, const char *name, char *out, size_t size);
/* Unique id of `what` ("job", "point") with this prefix; out has 37 bytes. */
int api_resolve_id(struct api_request *request, struct api_response *response, const char *what, const char *prefix,
                   char *out);
/* The job with this id or beginning of it, from the view, else from the ledger; caller decrefs. NULL: there is none, or it is outside the caller's selector, and the response says so. */
json_t *api_job(struct api_request *request, struct api_response *response, const char *prefix);
/* The restore point, or the newest complete backup of a target ("kind:id"; `typed`: what was asked for; at_ms 0: the latest of all). Caller decrefs. */
int api_resolve_point(struct api_request *request, struct api_response *response, const char *prefix, json_t **out);
int api_resolve_latest(struct api_request *request, struct api_response *response, const char *typed,
                       const char *target, int64_t at_ms, json_t **out);
/* A repository by name or id; text NULL: the default of the target, else the only one on that host. */
struct api_repository {
    char *id, *name, *path, *host;
};
void api_repository_clear(struct api_repository *repository);
int api_resolve_repository(struct api_request *request, struct api_response *response, const char *text,
                           const char *host, struct api_repository *out);

/* ---- bodies ---- */

/* Refuses members that are not in the NULL-terminated list. False: the response is a 400. */
bool api_members(struct api_request *request, struct api_response *response, const char *const *allowed);
const char *api_text(const struct api_request *request, const char *member); /* NULL: absent or no string */
bool api_flag(const struct api_request *request, const char *member);
/* Refuses query parameters that are not in the list, and fills limit, after, host, state, op, repository, kind, parent, since and the flags. False: the response is a 400. */
bool api_filter(struct api_request *request, struct api_response *response, const char *const *allowed,
                struct view_filter *out);
/* The one of the words (NULL at the end) that is meant, large or small; NULL: none is, and the response is a 400 that lists them. */
const char *api_word(struct api_response *response, const char *name, const char *value, const char *const *words);
/* The query's `target` as "kind:id" (target_text has TARGET_TEXT bytes); false: the response says why. */
bool api_filter_target(struct api_request *request, struct api_response *response, char *target_text,
                       struct view_filter *filter);
const char *json_text(const json_t *object, const char *member); /* NULL: absent or no string */
int64_t json_int(const json_t *object, const char *member);      /* 0: absent */

/* ---- replays (replay.c): answers of the last requests that changed something, by caller and Idempotency-Key ---- */

int replay_new(struct replay **out, struct err *err);
void replay_free(struct replay *replay);
enum replay_answer { REPLAY_NEW, REPLAY_SAME, REPLAY_OTHER }; /* OTHER: the key was used for another request */
enum replay_answer replay_find(struct replay *replay, const struct api_request *request, struct api_response *response);
void replay_store(struct replay *replay, const struct api_request *request, const struct api_response *response);

/* ---- event streams (stream.c) ---- */

struct MHD_Connection;
/* What a running backup was told of its rate; false: nothing. */
bool api_rate_told(struct api_context *context, const json_t *job, struct coordinator_rate *out);
/* How a repository is shared, as an object; its name may be NULL. */
json_t *api_bandwidth(const struct coordinator_bandwidth *bandwidth, const char *repository);
int streams_new(struct api_context *context, struct streams **out, struct err *err);
void streams_stop(struct streams *streams); /* ends all of them; before the HTTP server stops */
void streams_free(struct streams *streams);
/* Of one job (ends after its terminal event) or of all (job NULL). ERR_RETRY: too many, of all or of this token. */
int streams_open(struct streams *streams, const char *token, const char *job, int64_t cursor, int64_t *out_stream,
                 struct err *err);
void streams_close(struct streams *streams, int64_t stream);
/* Up to max bytes; 0: none yet; -1: ended. `wake` is called (once) from the streams' thread when there is more after a 0. */
long streams_read(struct streams *streams, int64_t stream, char *out, size_t max, void (*wake)(void *context),
                  void *context);

/* ---- handlers, by noun ---- */

api_handler api_health, api_state, api_doctor, api_report, api_recover, api_admin_export, api_admin_import;
api_handler api_hosts_list, api_hosts_show, api_hosts_enroll, api_hosts_drain, api_hosts_resume, api_hosts_remove,
    api_hosts_replace;
api_handler api_targets_list, api_targets_show, api_targets_snapshots;
api_handler api_jobs_submit, api_jobs_list, api_jobs_show, api_jobs_events, api_events, api_jobs_cancel, api_jobs_rate,
    api_jobs_finish, api_jobs_retry, api_jobs_resolve;
api_handler api_points_list, api_points_show, api_repositories_list, api_repositories_show, api_repositories_init;
api_handler api_points_pin, api_points_unpin, api_holds_list, api_holds_create, api_holds_release;
/* Adds the member "pinned" to a restore point: {reason, by, at} or null. */
int api_pin_show(struct api_request *request, json_t *point, struct err *err);
api_handler api_defaults_list, api_defaults_set;
api_handler api_tokens_list, api_tokens_create, api_tokens_revoke, api_dead_letters_list, api_dead_letters_show;
api_handler api_policies_list, api_policies_show, api_policies_apply, api_policies_delete, api_policies_pause,
    api_policies_resume, api_policies_run, api_policies_preview, api_policies_preview_text;
api_handler api_deploys_list, api_deploys_begin, api_deploys_show, api_deploys_succeeded, api_deploys_failed;
api_handler api_runs_list, api_runs_show, api_runs_cancel;
