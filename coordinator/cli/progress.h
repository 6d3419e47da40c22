#pragma once
/*
 * What is known of a running job, from its events, and how it is shown: one line that is drawn again on a terminal; else one line per phase and one every 10 s. Pure but for
 * the clock that is given.
 */
#include "base/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
    char target[256], host[64], op[32];
    char state[16], phase[64], waiting[256];
    struct text phases; /* "freeze · begin · thaw" */
    int64_t begun_ms;   /* when watching began */
    int64_t phase_ms;   /* when the phase began */
    int64_t done, total;
    int64_t sample_ms, sample_done;
    double rate;   /* bytes per second, smoothed */
    int64_t limit; /* of it, as told while it runs; 0: none */
    bool terminal, lost;
    bool until_exported; /* watched until its export can be read */
    bool exported;       /* where has been said */
    bool with_host;      /* the host has spoken */
    bool class_c_begun;  /* a step of class C was seen to begin */
    json_t *steps;       /* of the dry run, if there was one; borrowed */
};

void progress_begin(struct progress *progress, const char *target, const char *host, const char *op, int64_t now_ms);
void progress_clear(struct progress *progress);
/* A status or progress event. True: the phase or the state is another. */
bool progress_event(struct progress *progress, const json_t *event, int64_t now_ms);
bool progress_worth_a_line(const struct progress *progress); /* a phase, or a reason to wait; not the way there */
/* "  push    ██████████░░░░░░░  61 %   812 MiB of 1.3 GiB   412 MiB/s   1 s left", at most `width` columns. */
void progress_line(const struct progress *progress, int64_t now_ms, size_t width, struct text *out);
/* "shop-1 on alpha: push, 61 %, 812 MiB of 1.3 GiB, 412 MiB/s, 1 s left" */
void progress_plain(const struct progress *progress, int64_t now_ms, struct text *out);
int64_t progress_left_ms(const struct progress *progress); /* -1: not known */
