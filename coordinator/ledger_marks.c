/*
 * What became of jobs: published, ended. A record for each would be two more for every job, written and read by everyone; so marks of many jobs share one entry. It is
 * needed as long as a job is that has no newer word on the matter: a record of its own that repeats it, or a later mark. Then its tombstone is due.
 *
 * Order does the rest: the ledger has one partition, so a mark comes after the record of its job, and nothing is recorded of a job that has ended.
 */
#include "base/err.h"
#include "coordinator/ledger_internal.h"

#include <utlist.h>

static void release(struct ledger *ledger, struct ledger_node **marks)
{
    struct ledger_node *node = TAKE_PTR(*marks);

    if (!node || --node->needed)
        return;
    DL_APPEND(ledger->idle_marks, node);
    node->listed = true;
}

static void need(struct ledger *ledger, struct ledger_node **field, struct ledger_node *marks)
{
    marks->needed++;
    release(ledger, field);
    *field = marks;
}

static int apply_mark(struct ledger *ledger, struct ledger_node *marks, const struct ledger_mark *mark,
                      struct ledger_node *job, struct err *err)
{
    if (!job || !job->entry) /* forgotten since, or ended */
        return 0;
    if (!mark->outcome) {
        ledger_set_published(job, mark->at_ms, (int32_t)mark->partition, mark->offset);
        need(ledger, &job->published_in, marks);
        return 0;
    }
    if (ledger_set_outcome(job, mark->outcome, mark->at_ms, err) < 0)
        return -1;
    marks_forget_published(ledger, job);
    need(ledger, &job->ended_in, marks);
    ledger_compact(ledger, job);
    return 0;
}

int marks_apply(struct ledger *ledger, struct ledger_node *node, struct ledger_ref ref, struct ledger_node *const *jobs,
                struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = TAKE_PTR(node->entry);
    int result = 0;

    node->marks = true;
    node->newest = ref;
    node->needed = 1; /* by us: it is not idle before all is applied */
    for (size_t i = 0; i < entry->marks.count; i++) {
        const struct ledger_mark *mark = list_at(&entry->marks, struct ledger_mark, i);
        if (apply_mark(ledger, node, mark, jobs ? jobs[i] : ledger_find_job(ledger, mark->job), err) < 0)
            result = -1;
    }
    struct ledger_node *us = node;
    release(ledger, &us);
    return result;
}

void marks_forget_published(struct ledger *ledger, struct ledger_node *job)
{
    release(ledger, &job->published_in);
}

void marks_forget_job(struct ledger *ledger, struct ledger_node *job)
{
    release(ledger, &job->published_in);
    release(ledger, &job->ended_in);
}

void marks_forget(struct ledger *ledger, struct ledger_node *node)
{
    if (node->listed)
        DL_DELETE(ledger->idle_marks, node);
    node->listed = false;
    for (struct ledger_node *job = node->needed ? ledger->nodes : NULL; job; job = job->hh.next) {
        if (job->published_in == node)
            job->published_in = NULL;
        if (job->ended_in == node)
            job->ended_in = NULL;
    }
}

struct ledger_node *ledger_next_idle_marks(struct ledger *ledger)
{
    struct ledger_node *node = ledger->idle_marks;

    if (!node)
        return NULL;
    DL_DELETE(ledger->idle_marks, node);
    node->listed = false;
    return node;
}
