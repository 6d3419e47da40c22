#pragma once
/* What an embedded libvirt has noted of its running guests (the status files below its root), before and after it starts in this process. Any thread, one at a time. */
#include <stdbool.h>
#include <stdint.h>

/*
 * Mends what the daemon of `root` has noted of backups, commits and snapshots and did not live to note to the end (half_begun.h, half_ended.h, half_taken.h), before that daemon starts. Of a commit or snapshot that may
 * have ended, QEMU itself is asked, for some seconds at most. Does nothing while another process is that daemon. A note that cannot be mended stays as it is, and is logged.
 * true: a QEMU was connected to.
 */
bool notes_mend(const char *root);
/* After that daemon has started: until it has ended what was half begun, or the limit is reached, which is logged. */
void notes_wait(const char *root, int64_t limit_ms);
