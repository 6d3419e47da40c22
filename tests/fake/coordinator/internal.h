#pragma once
/* What the files of the fake share. */
#include "fake/fake_coordinator.h"

#include <jansson.h>
#include <pthread.h>

struct coordinator {
    pthread_mutex_t lock; /* protects everything */
    char view[32];
    json_t *tables;  /* hosts, targets … → array */
    json_t *scripts; /* op → array */
    json_t *jobs;    /* job_id → item, with "events" */
    json_t *order;   /* job ids, oldest first */
    json_t *events;  /* all, oldest first: index + 1 is the cursor */
    json_t *submitted;
    json_t *shown; /* copies that fake_submitted handed out: the server's threads go on writing the other */
    json_t *keys;  /* idempotency key → job_id */
    struct ledger_entry **ledger;
    size_t ledger_count;
    struct err next;
    int64_t told_rate;
    struct coordinator_rate rate; /* of any backup */
    int told_finish;
    size_t audits;
    char audit[512];
};

int fake_fails(struct coordinator *fake, struct err *err); /* once, if fake_fail_next said so; the lock is held */
