#pragma once
/* The checks of GET /v1/doctor. Each finding: {status ok|warn|fail, subject, text, hint?}. */
#include "coordinator/api/internal.h"

void doctor_add(json_t *checks, const char *status, const char *subject, const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* host: an item of view_hosts. made: array of {host, path} of the repositories that were ever made. Pure. */
void doctor_host(const json_t *host, const json_t *made, int64_t now_ms, json_t *checks);
void doctor_target(const json_t *target, json_t *checks); /* an item of view_targets; pure */
/* jobs: items of view_jobs; a line for each that is LOST, PARKED and not resolved, or stuck; the first of each kind. Pure. */
void doctor_job_lines(const json_t *jobs, json_t *checks);
/* letters: items of view_dead_letters, newest first; more: they are not all. Pure. */
void doctor_dead_letter_line(const json_t *letters, bool more, int64_t now_ms, json_t *checks);
/* True: a line says that Redis is being filled anew. Pure. */
bool doctor_redis_rebuild(const struct coordinator_state *state, json_t *checks);
/* Whether webhooks are told what goes wrong; pure. */
void doctor_webhooks(const struct coordinator_state *state, json_t *checks);
/* Hosts and repositories to which policies start nothing for a while; repositories: items of view_repositories. Pure. */
void doctor_breakers(const struct coordinator_state *state, const json_t *repositories, int64_t now_ms, json_t *checks);
json_t *doctor_jobs(struct api_request *request); /* those for doctor_job_lines that the caller may see; caller decrefs */
int64_t doctor_parked_on(const json_t *jobs, const char *host);
void doctor_dead_letters(struct api_request *request, json_t *checks);
void doctor_redis_info(const char *info, json_t *checks);               /* the text of INFO; pure */
void doctor_redis(const struct redis_options *options, json_t *checks); /* asks the server */
