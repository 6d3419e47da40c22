#pragma once
/*
 * What the tests of the Redis functions say: jobs of a host alpha on one target, against a server of their own. Everything fails the test if Redis does not answer. Each test begins
 * with an emptied server of which the leader (term 7) has written epoch 1.
 */
#include "own_redis.h"
#include "redis/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TARGET "libvirt:7c1d"
#define STEP   (INT64_C(1) << 32)

enum { TERM = 7, LONG_MS = 30000, SHORT_MS = 60, WAIT_MS = 60000, MONTH_S = 2592000 };

extern struct own_redis *server;
extern struct redis *redis;
extern struct store_command command;

#define RUN(...) \
    run((int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)), (const char *const[]){__VA_ARGS__})
#define DO(...)        redis_reply_free(RUN(__VA_ARGS__))
#define TEST(function) cmocka_unit_test_setup(function, begin)

/* Of the group. */
int start_server(void **state);
int stop_server(void **state);
struct redis_reply *run(int argc, const char *const *argv);
/* Both free the reply. */
int64_t number_of(struct redis_reply *reply);
void expect_text(struct redis_reply *reply, const char *expected);
void write_epoch(int64_t n);
/* Set-up of each test. */
int begin(void **state);
int write_holds(const struct facts *holds, struct err *err);
/* Sends `command`; so do those below after building it. */
struct redis_reply *call(void);
struct store_ticket new_ticket(const char *job, int job_class);
enum ticket_answer write_ticket(const struct store_ticket *ticket);
/* Writes a new one. */
void ticket(const char *job, int job_class);
enum ticket_answer tell(int (*build)(int64_t, const char *, const char *, struct store_command *, struct err *),
                        int64_t term, const char *job, const char *word);
struct store_acquire new_acquire(const char *job, int job_class);
struct acquire_result acquire(const struct store_acquire *request);
/* Acquires, and gives the token. */
int64_t take(const char *job);
/* Waits until the lock of a short ttl has run out by the server's clock. */
int64_t take_briefly(const char *job);
struct store_renew new_renew(const char *job, int64_t token);
struct renew_result renew(const struct store_renew *request);
enum renew_answer renew_plain(const char *job, int64_t token);
enum finish_answer finish_as(const char *job, const char *host, int64_t token, const char *end);
enum finish_answer finish(const char *job, int64_t token, const char *end);
struct store_job look(const char *job);
enum claim_answer claim(const char *instance, const char *boot, bool locked, int64_t ttl_ms, char detail[256]);
