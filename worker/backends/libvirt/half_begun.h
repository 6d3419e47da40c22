#pragma once
/* What an embedded libvirt remembers of a backup that it had not yet begun when its process died. Any thread. */
#include <stdbool.h>

struct err;

/*
 * Takes the place of such a backup out of what the daemon of `root` has noted of its running guests, before that daemon starts. Does nothing while another process is that
 * daemon. A note that cannot be read or written stays as it is, and is logged.
 */
void half_begun_forget(const char *root);
/* One note: *out is the text without that place; caller frees. NULL: nothing to take out. */
int half_begun_cut(const char *note, char **out, struct err *err);
