#pragma once
/*
 * The HTTP API: JSON over libmicrohttpd, under /v1 (docs/openapi.yaml). Reads come from the view, one view_reader per HTTP thread; writes are handed to the coordinator.
 * Every request but GET /v1/health carries a bearer token. Nothing listens beyond loopback unless `listen` says so.
 */
#include "coordinator/requests.h"

#include <stdbool.h>
#include <stddef.h>

struct api;
struct caller;
struct coordinator;
struct err;
struct facts;
struct kafka_options;
struct redis_options;

struct api_config {               /* zero or NULL: the default. All pointers outlive the api. */
    const char *listen;           /* "127.0.0.1:8420", "[::1]:8420"; port 0: any free one, see api_port() */
    const char *admin_token_file; /* 0600; its only line is a token with role admin; NULL: tokens of the ledger only */
    int threads;                  /* 4 */
    size_t body_max_bytes;        /* 256 KiB; more is 413 */
    size_t url_max_bytes;         /* 4 KiB; more is 414 */
    int headers_max;              /* 64; more is 431 */
    int connections_max;          /* 256 */
    int connections_per_address;  /* 128; enough for a fleet's automation behind one address */
    int timeout_s;                /* 30: an idle connection is closed; event streams are kept alive */
    int streams_max;              /* 128 event streams; more is 503 */
    int streams_per_token;        /* 32 of them; one watcher must leave some to others */
    const struct kafka_options *kafka; /* doctor checks the topics; NULL: it does not */
    bool dev;                          /* topics with small partition counts and one replica are right */
    /* What `host enroll` hands out for a worker's configuration; NULL: left out. */
    const char *worker_kafka_brokers;
    const struct facts *worker_kafka_extra;
    const char *worker_redis_address, *worker_redis_user, *worker_redis_password;
    const struct redis_options *redis; /* doctor asks the server for version, append-only, noeviction; NULL: it does not */
};

/* `coordinator` outlives the api. ERR_PERMANENT: address or token file are wrong. */
int api_start(const struct api_config *config, struct coordinator *coordinator, const char *view_path, struct api **out,
              struct err *err);
/* Ends all streams, waits for running requests. NULL is fine. */
void api_stop(struct api *api);
int api_port(const struct api *api); /* that it listens on */

/*
 * POST /v1/jobs for one who asked in another way and whose token was checked there: the same rules, and the same job for the same key. `body` is its JSON. REFUSED: `why` says
 * so; LATER: nothing is known to be wrong with it, this coordinator cannot take it now. Any thread, one at a time (it keeps a view reader). Blocks as coordinator_submit does.
 */
enum request_answer api_ask(struct api *api, const struct caller *caller, const char *key, const char *body, char *why,
                            size_t size);
