#pragma once
/*
 * What only time shows: how repositories filled, and since when targets are backed up by no policy. Each coordinator observes, a standby too, so that one who takes over does not begin anew, and
 * keeps it in a file over a restart. A cache: without the file it is observed anew. Pure, but for that file; one thread.
 */
#include "coordinator/alarm.h"

enum { OBSERVED_SAMPLES = 168, OBSERVED_EVERY_MS = 3600 * 1000 }; /* of each repository: one an hour, for a week */

struct observed;
int observed_new(struct observed **out, struct err *err);
void observed_free(struct observed *observed);

void observed_room(struct observed *observed, const char *repository, int64_t free_bytes, int64_t now_ms);
/* Oldest first, lent until the next is taken. NULL: none. */
const struct space_sample *observed_samples(const struct observed *observed, const char *repository, size_t *out_count);
/* A look at all repositories: each that somebody sees (false: it was seen in this look before), then those that nobody did. */
bool observed_see(struct observed *observed, const char *repository, int64_t now_ms);
typedef int observed_repository(void *context, const char *repository, struct err *err);
int observed_each_unseen(const struct observed *observed, int64_t now_ms, observed_repository *visit, void *context,
                         struct err *err);

/* A look at all targets: each that is unprotected, then its end, which forgets those that are so no more. */
void observed_unprotected(struct observed *observed, const char *target, const char *host, const char *name,
                          int64_t now_ms);
void observed_looked(struct observed *observed, int64_t now_ms);
/* When the last look ended, in this process; 0: none has. */
int64_t observed_looked_ms(const struct observed *observed);
typedef int observed_target(void *context, const struct alarm_unprotected *target, struct err *err);
int observed_each_unprotected(const struct observed *observed, observed_target *visit, void *context, struct err *err);

int observed_save(const struct observed *observed, const char *path, struct err *err);
/* What is older than a week, or not yet, is left out; a file that is not there is fine. */
int observed_load(struct observed *observed, const char *path, int64_t now_ms, struct err *err);
