#pragma once
/* Looks at what the host has: at the start, when a backend hears of a change (gathered for 200 ms) or a job ends, and at an interval. A thread with its own handle of every backend. */
#include "model/inventory.h"
#include "worker/backend.h"
#include "worker/message.h"

struct option_strings;
struct surveyor;

struct survey { /* to the loop, which frees it with survey_free */
    struct message message;
    struct inventory_host host;  /* backends, pools, repositories */
    struct list targets;         /* struct inventory_target */
    struct strings failed_kinds; /* of these nothing is known: what is missing is not gone */
};

struct surveyor_setup { /* all outlive the surveyor */
    const struct backend_config *backends;
    const struct option_strings *kinds;
    int64_t interval_ms;
    struct queue *to_loop;
};

int surveyor_start(const struct surveyor_setup *setup, struct surveyor **out, struct err *err);
void surveyor_wake(
    struct surveyor *surveyor); /* a job of ours has changed something: looks at once (at most every 200 ms). Any thread */
void surveyor_close(struct surveyor *surveyor); /* joins; NULL is fine */
void survey_free(struct survey *survey);
