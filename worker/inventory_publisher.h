#pragma once
/* Says what the surveyor saw: a record per target that changed, a tombstone for one that is gone, the host's own as heartbeat. Outbox rows in the turn's transaction. The loop's thread. */
#include "model/inventory.h"

struct inventory_publisher;
struct journal;
struct outbox;
struct survey;
struct wire;

struct inventory_publisher_setup { /* all outlive the publisher */
    struct journal *journal;
    struct outbox *outbox;
    struct wire *wire;
    const char *host, *version, *boot_id, *instance;
    int64_t executors, group_members, heartbeat_ms;
};

struct host_now {      /* what the host's record says of this moment */
    const char *state; /* running, draining, full (no room for the journal: no new job is accepted) */
    int64_t waiting, running, parked, journal_bytes, skew_ms;
};

int inventory_publisher_open(const struct inventory_publisher_setup *setup, struct inventory_publisher **out,
                             struct err *err);
void inventory_publisher_close(struct inventory_publisher *publisher);
int inventory_publisher_take(struct inventory_publisher *publisher, struct survey *survey,
                             struct err *err); /* takes the survey's host part; the heartbeat is then due */
/* What was said is not there any more: the next survey says all of it again, also after a restart. */
int inventory_publisher_forget(struct inventory_publisher *publisher, struct err *err);
bool inventory_publisher_due(const struct inventory_publisher *publisher, const char *state);
int inventory_publisher_beat(struct inventory_publisher *publisher, const struct host_now *now, struct err *err);
