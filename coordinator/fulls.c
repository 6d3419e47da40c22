#include "coordinator/fulls.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

static bool may_wait(const struct fulls_rule *rule, const struct fulls_item *item)
{
    if (!rule->before_ms || !rule->next_end_ms || item->newest_ms < rule->before_ms)
        return false;
    return !rule->max_age_ms || rule->next_end_ms - item->newest_ms <= rule->max_age_ms;
}

static int compare_items(const void *a, const void *b)
{
    const struct fulls_item *one = *(struct fulls_item *const *)a, *other = *(struct fulls_item *const *)b;

    if (one->newest_ms != other->newest_ms)
        return one->newest_ms < other->newest_ms ? -1 : 1;
    return strcmp(one->target, other->target);
}

int fulls_choose(const struct fulls_rule *rule, struct fulls_item *items, size_t count, struct err *err)
{
    CLEANUP(freep) struct fulls_item **able = calloc(count + 1, sizeof(struct fulls_item *));
    size_t waiting = 0;

    if (!able)
        return err_memory(err, "fulls");
    for (size_t i = 0; i < count; i++) {
        items[i].waits = may_wait(rule, &items[i]);
        if (items[i].waits)
            able[waiting++] = &items[i];
    }
    qsort(able, waiting, sizeof *able, compare_items);
    size_t made = count - waiting; /* in any case */
    for (size_t i = 0; i < waiting && made < (size_t)rule->most; i++, made++)
        able[i]->waits = false;
    return 0;
}
