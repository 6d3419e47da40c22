#pragma once
/*
 * Circuit breakers: a repository, or a host, on which job after job of policies fails gets no more of them for a while, then a single one, to see. Pure.
 *
 *     closed ── 5 failures in a row ──► open ── its time is over ──► half-open: one job at a time ── it succeeds ──► closed
 *                                        ▲                                       │
 *                                        └── it fails: twice as long, 30 min at the most ──┘
 *
 * A leader remembers them for itself; a new one counts anew. Failures into one repository are not held against the hosts that write to it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct run_load;

enum { BREAKER_FAILURES = 5, BREAKER_FIRST_MS = 60 * 1000, BREAKER_MOST_MS = 30 * 60 * 1000 };

struct breakers;
int breakers_new(struct breakers **out, struct err *err);
void breakers_free(struct breakers *breakers);

/* How a job ended; repository NULL: it used none. *out_opened: with it one opened. */
void breakers_note(struct breakers *breakers, const char *host, const char *repository, bool ok, int64_t now_ms,
                   bool *out_opened);
/* No job where one is open, one where it is half-open. */
void breakers_limit(const struct breakers *breakers, int64_t now_ms, struct run_load *load);

struct breaker_state {
    const char *kind, *name; /* "host" or "repository"; of a repository its id */
    int64_t failures;        /* in a row */
    int64_t probe_at_ms;     /* when the next one is let through; past: half-open */
};
typedef void breaker_visitor(void *context, const struct breaker_state *state);
/* Those that are not closed. */
void breakers_each(const struct breakers *breakers, breaker_visitor *visit, void *context);
