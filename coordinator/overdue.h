#pragma once
/*
 * Published jobs whose deadline is over and of which no worker ever gave a sign. Their ticket forbids a start, so the coordinator ends them; what a worker has, or may have,
 * in custody is left to the worker's own event. Keeper thread.
 */
#include <stdbool.h>

struct coordinator;
struct redis;

struct overdue_signs {
    bool heard;        /* the view has an event of a worker about it */
    bool ticket_found; /* in Redis */
    bool ticket_used;  /* a worker has asked for its lock, or tells progress */
    bool host_removed; /* what it says is not believed any more */
    bool host_settled; /* alive for so long that it would have spoken of what it has */
    bool host_silent;
    bool memory_whole; /* Redis has forgotten nothing since the job was published */
};

/* Pure. True: nobody has it, and nobody can begin it. */
bool overdue_may_end(const struct overdue_signs *signs);

/* Looks at all jobs that are overdue, and asks the main loop to end those that nobody has. */
void overdue_judge(struct coordinator *coordinator, struct redis *redis);
