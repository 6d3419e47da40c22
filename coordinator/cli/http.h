#pragma once
/* HTTP to the coordinator, by libcurl (only here). One thread. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct err;
struct http;

struct http_answer {
    int status;   /* 0: none came */
    json_t *body; /* NULL: none, or no JSON */
    bool sent;    /* it may have been received: a change may have happened */
};

int http_open(const char *url, const char *token, struct http **out, struct err *err);
void http_close(struct http *http);
void http_patience(struct http *http, int seconds); /* how long an answer may take; 60 */
/* key: Idempotency-Key, NULL for reads. -1: no answer (answer.sent says whether the request may have arrived). Any status is 0. */
int http_request(struct http *http, const char *method, const char *path, const json_t *body, const char *key,
                 struct http_answer *out, struct err *err);
void http_answer_clear(struct http_answer *answer);
/* "a b/c" → "a%20b%2Fc". Caller frees. */
char *http_escape(const char *text);

enum stream_verdict { STREAM_GO_ON, STREAM_STOP };

struct stream_watcher {
    enum stream_verdict (*event)(void *context, const char *name, const json_t *data);
    enum stream_verdict (*tick)(void *context); /* some 10 times a second, also while nothing comes */
    void *context;
};

/*
 * Follows a stream of server-sent events until the watcher stops it, or it ends. *cursor (0: from the start; -1: from now) moves on, so that a call after a broken
 * connection goes on where it was. answer: what came instead of a stream. -1: no connection, or it broke.
 */
int http_stream(struct http *http, const char *path, int64_t *cursor, const struct stream_watcher *watcher,
                struct http_answer *answer, struct err *err);
