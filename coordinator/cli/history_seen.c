/*
 * What is there of the topics. That something is missing tells something only where nothing has expired: of a partition that begins later than at 0, from its first record on; and of a topic that is whole,
 * from its first record on too, since nobody knows since when there has been one.
 */
#include "base/err.h"
#include "coordinator/cli/history_internal.h"

#include <stdlib.h>

int history_begin(struct history *history, int topic, int32_t partition, int64_t offset, struct err *err)
{
    struct seen_topic *seen = &history->seen[topic];

    if (partition >= seen->count) {
        struct seen_partition *more = reallocarray(seen->partitions, (size_t)partition + 1, sizeof *more);
        if (!more)
            return err_memory(err, "history");
        memset(more + seen->count, 0, (size_t)(partition + 1 - seen->count) * sizeof *more);
        seen->partitions = more;
        seen->count = partition + 1;
    }
    seen->partitions[partition] = (struct seen_partition){.begin = offset, .next = offset};
    return 0;
}

void history_seen(struct history *history, const struct history_place *at)
{
    struct seen_topic *topic = &history->seen[at->topic];
    struct seen_partition *seen = at->partition < topic->count ? &topic->partitions[at->partition] : NULL;

    if (at->at_ms > history->newest_ms)
        history->newest_ms = at->at_ms;
    if (at->topic == TOPIC_LEDGER && !history->born_ms)
        history->born_ms = at->at_ms;
    if (!seen)
        return;
    if (!seen->any)
        seen->first_ms = at->at_ms;
    seen->any = true;
    seen->gap |= at->offset != seen->next;
    seen->next = at->offset + 1;
}

bool seen_since(const struct history *history, int topic, int64_t at_ms)
{
    const struct seen_topic *seen = &history->seen[topic];
    bool any = false, cut = false;
    int64_t earliest_ms = INT64_MAX, cut_ms = 0;

    for (int32_t i = 0; i < seen->count; i++) {
        const struct seen_partition *partition = &seen->partitions[i];
        if (partition->begin > 0 && !partition->any)
            return false;
        cut |= partition->begin > 0;
        if (partition->begin > 0 && partition->first_ms > cut_ms)
            cut_ms = partition->first_ms;
        any |= partition->any;
        if (partition->any && partition->first_ms < earliest_ms)
            earliest_ms = partition->first_ms;
    }
    return any && at_ms - HISTORY_SLACK_MS > (cut ? cut_ms : earliest_ms);
}

bool seen_whole(const struct history *history, int topic)
{
    const struct seen_topic *seen = &history->seen[topic];

    for (int32_t i = 0; i < seen->count; i++)
        if (seen->partitions[i].begin > 0 || seen->partitions[i].gap)
            return false;
    return seen->count > 0;
}
