#pragma once
/* Requests on Kafka: the topic fleetsnap.requests, read by whoever leads, in a thread of its own. docs/requests.md has what is promised. */
#include <stddef.h>

struct caller;
struct coordinator;
struct err;
struct requests;

enum request_answer { REQUEST_TAKEN, REQUEST_REFUSED, REQUEST_LATER };

/* Hands a request over as the body of POST /v1/jobs; `why` when it was not taken. On the thread of the requests. */
typedef enum request_answer requests_ask(void *context, const struct caller *caller, const char *key, const char *body,
                                         char *why, size_t size);

/* `context` outlives it. */
int requests_start(struct coordinator *coordinator, requests_ask *ask, void *context, struct requests **out,
                   struct err *err);
void requests_stop(struct requests *requests); /* before what `ask` uses is gone; NULL is fine */
