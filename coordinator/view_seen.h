#pragma once
/*
 * Which jobs may be in the view's file: a Bloom filter over their ids, whose random bytes are the hashes. A job that is in it is always said to be; of 400,000 others one in a hundred, too.
 * So nearly no new job is looked for in an index of random ids, where each search is a page of its own. Pure.
 */
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

enum { VIEW_SEEN_BITS = 1 << 23 };

struct view_seen { /* zeroed: none */
    uint64_t words[VIEW_SEEN_BITS / 64];
};

void view_seen_add(struct view_seen *seen, const unsigned char job_id[UUID_BYTES]);
bool view_seen_maybe(const struct view_seen *seen, const unsigned char job_id[UUID_BYTES]);
