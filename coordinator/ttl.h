#pragma once
/* Snapshots that were made with a time to live: which are over, and the job that deletes one. Pure. */
#include <stdbool.h>
#include <stdint.h>

struct err;
struct job;
struct restore_point;
struct strings;

enum { TTL_KEY_TEXT = 96 };

/* pins: ids, sorted. Backups have rules of their own. */
bool ttl_is_over(const struct restore_point *point, const struct strings *pins, int64_t now_ms);
/* Deletes that snapshot and no other of its name. Caller frees *out. */
int ttl_job(const struct restore_point *point, struct job **out, struct err *err);
/* The idempotency key: one job in six hours, so that what failed is tried again. */
void ttl_key(const struct restore_point *point, int64_t now_ms, char out[TTL_KEY_TEXT]);
