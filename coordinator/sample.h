#pragma once
/*
 * Which restore points are verified this time, so that over time all are. Pure: who waits longest goes first, those never tested before all others; among equals a draw that follows
 * from the run's id decides, so that a preview, the run and a new leader that plans it again come to the same.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct sample_item {
    const char *point; /* id; no two alike */
    int64_t tested_ms; /* when it was last verified deep enough, whatever came of it; 0: never */
    bool chosen;       /* the answer */
};

/* Chooses `wanted` of them, or all. The order of the array stays, and does not matter. */
int sample_choose(const char *run_id, size_t wanted, struct sample_item *items, size_t count, struct err *err);
