#pragma once
/* One signed POST. The only user of libcurl in the coordinator. A webhook belongs to one thread. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct webhook;

enum { WEBHOOK_SIGNATURE = 80 };

/* `stopping` (borrowed) ends a POST that is under way. */
int webhook_open(int64_t timeout_ms, const _Atomic bool *stopping, struct webhook **out, struct err *err);
void webhook_close(struct webhook *webhook); /* NULL is fine */
/* 0: the receiver answered 2xx within the time. ERR_RETRY: anything else. No redirect is followed; the answer is not read. */
int webhook_post(struct webhook *webhook, const char *url, const char *secret, const char *body, int64_t now_ms,
                 struct err *err);

/* "v1=<hex HMAC-SHA256 over TIMESTAMP.BODY>"; timestamp in seconds. Pure. */
void webhook_sign(const char *secret, int64_t timestamp, const char *body, char out[WEBHOOK_SIGNATURE]);
/* How long to wait after the n-th failure in a row (from 1): 5 s, 10 s … 10 min, a quarter more or less by `random`. Pure. */
int64_t webhook_pause_ms(int64_t failures, uint32_t random);
