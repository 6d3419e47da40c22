#include "coordinator/view_seen.h"

#include <string.h>

enum { FIRST = 0, SECOND = UUID_BYTES - sizeof(uint32_t) }; /* neither has the version or variant */

static uint32_t bit_of(const unsigned char job_id[UUID_BYTES], size_t from)
{
    uint32_t bits;

    memcpy(&bits, job_id + from, sizeof bits);
    return bits % VIEW_SEEN_BITS;
}

void view_seen_add(struct view_seen *seen, const unsigned char job_id[UUID_BYTES])
{
    uint32_t first = bit_of(job_id, FIRST), second = bit_of(job_id, SECOND);

    seen->words[first / 64] |= UINT64_C(1) << first % 64;
    seen->words[second / 64] |= UINT64_C(1) << second % 64;
}

bool view_seen_maybe(const struct view_seen *seen, const unsigned char job_id[UUID_BYTES])
{
    uint32_t first = bit_of(job_id, FIRST), second = bit_of(job_id, SECOND);

    return seen->words[first / 64] >> first % 64 & seen->words[second / 64] >> second % 64 & 1;
}
