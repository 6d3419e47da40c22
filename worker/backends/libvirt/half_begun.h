#pragma once
/* What an embedded libvirt remembers of a backup or a commit that was only half begun when its process died. Any thread. */
#include <stdbool.h>
#include <stdint.h>

struct err;

/*
 * Mends what the daemon of `root` has noted of its running guests, before that daemon starts, so that it gives the place of such a backup back and cancels such a commit. Does
 * nothing while another process is that daemon. A note that cannot be read or written stays as it is, and is logged.
 */
void half_begun_forget(const char *root);
/* After that daemon has started, in this process: until it has ended such commits, or the limit is reached, which is logged. */
void half_begun_wait(const char *root, int64_t limit_ms);
/* One note: *out is the mended text; caller frees. NULL: nothing to mend. */
int half_begun_cut(const char *note, char **out, struct err *err);
bool half_begun_ending(const char *note); /* one note: such a commit is in it still */
