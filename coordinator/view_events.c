/*
 * A row of events: each piece has its length in front (4 bytes, big-endian; the highest bit says that it is what the job is, not an event). What came of a job in one
 * transaction shares a row: most jobs are short, so this is one row instead of four.
 */
#include "base/err.h"
#include "coordinator/view_rows.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum { PREFIX = 4, FIRST_ROOM = 1024 };
static const uint32_t SPEC_BIT = 1U << 31;

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

int view_events_add(struct view_events *events, enum view_piece piece, const void *value, size_t len, struct err *err)
{
    uint32_t prefix = htonl((uint32_t)len | (piece == PIECE_SPEC ? SPEC_BIT : 0)); /* records are smaller than 2 GiB */

    if (make_room(events, PREFIX + len, err) < 0)
        return -1;
    memcpy(events->bytes + events->len, &prefix, PREFIX);
    memcpy(events->bytes + events->len + PREFIX, value, len);
    events->len += PREFIX + len;
    events->count += piece == PIECE_EVENT;
    return 0;
}

bool view_events_next(const void *bytes, size_t len, enum view_piece piece, size_t *at, const unsigned char **out_value,
                      size_t *out_len)
{
    const unsigned char *from = bytes;
    uint32_t prefix;

    while (len - *at >= PREFIX) {
        memcpy(&prefix, from + *at, PREFIX);
        prefix = ntohl(prefix);
        size_t length = prefix & ~SPEC_BIT;
        if (length > len - *at - PREFIX)
            return false;
        *out_value = from + *at + PREFIX;
        *out_len = length;
        *at += PREFIX + length;
        if (((prefix & SPEC_BIT) != 0) == (piece == PIECE_SPEC))
            return true;
    }
    return false;
}
