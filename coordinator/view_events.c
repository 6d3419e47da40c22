/* Events of a job that came in one transaction share a row: most jobs are short, so this is one row instead of three. */
#include "base/err.h"
#include "coordinator/view_fold.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX = 4, FIRST_ROOM = 1024 };

static int make_room(struct view_events *events, size_t more, struct err *err)
{
    size_t room = events->room ? events->room : FIRST_ROOM;

    while (room < events->len + more)
        room *= 2;
    if (room == events->room)
        return 0;
    unsigned char *bytes = realloc(events->bytes, room);
    if (!bytes)
        return err_memory(err, "view");
    events->bytes = bytes;
    events->room = room;
    return 0;
}

int view_events_add(struct view_events *events, const void *value, size_t len, struct err *err)
{
    if (make_room(events, PREFIX + len, err) < 0)
        return -1;
    for (int i = 0; i < PREFIX; i++)
        events->bytes[events->len++] = (unsigned char)(len >> (8 * (PREFIX - 1 - i)));
    memcpy(events->bytes + events->len, value, len);
    events->len += len;
    events->count++;
    return 0;
}

bool view_events_next(const void *bytes, size_t len, size_t *at, const unsigned char **out_value, size_t *out_len)
{
    const unsigned char *from = bytes;
    size_t length = 0;

    if (len - *at < PREFIX)
        return false;
    for (int i = 0; i < PREFIX; i++)
        length = length << 8 | from[*at + (size_t)i];
    if (length > len - *at - PREFIX)
        return false;
    *out_value = from + *at + PREFIX;
    *out_len = length;
    *at += PREFIX + length;
    return true;
}
