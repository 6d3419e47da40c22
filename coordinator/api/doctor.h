#pragma once
/* The checks of GET /v1/doctor. Each finding: {status ok|warn|fail, subject, text, hint?}. */
#include "coordinator/api/internal.h"

void doctor_add(json_t *checks, const char *status, const char *subject, const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* host: an item of view_hosts. made: array of {host, path} of the repositories that were ever made. Pure. */
void doctor_host(const json_t *host, const json_t *made, int64_t now_ms, json_t *checks);
void doctor_target(const json_t *target, json_t *checks);               /* an item of view_targets; pure */
void doctor_redis_info(const char *info, json_t *checks);               /* the text of INFO; pure */
void doctor_redis(const struct redis_options *options, json_t *checks); /* asks the server */
