#include "coordinator/sample.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/uuid.h"

#include <stdlib.h>
#include <string.h>

struct lot {
    struct sample_item *item;
    char drawn[UUID_TEXT];
};

static int compare_lots(const void *a, const void *b)
{
    const struct lot *one = a, *other = b;

    if (one->item->tested_ms != other->item->tested_ms)
        return one->item->tested_ms < other->item->tested_ms ? -1 : 1;
    int order = strcmp(one->drawn, other->drawn);
    return order ? order : strcmp(one->item->point, other->item->point);
}

int sample_choose(const char *run_id, size_t wanted, struct sample_item *items, size_t count, struct err *err)
{
    CLEANUP(freep) struct lot *lots = calloc(count + 1, sizeof *lots);

    if (!lots)
        return err_memory(err, "sample");
    for (size_t i = 0; i < count; i++) {
        const char *parts[] = {"sample", run_id, items[i].point, NULL};
        lots[i].item = &items[i];
        items[i].chosen = false;
        uuid_derive(lots[i].drawn, parts);
    }
    qsort(lots, count, sizeof *lots, compare_lots);
    for (size_t i = 0; i < count && i < wanted; i++)
        lots[i].item->chosen = true;
    return 0;
}
