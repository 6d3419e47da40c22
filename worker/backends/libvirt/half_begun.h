#pragma once
/* What an embedded libvirt has noted of a backup or a commit that was only half begun when its process died. Pure. */
#include <stdbool.h>

struct err;

/* One note (the status file of a guest): *out is the text that makes libvirt give the place of such a backup back and cancel such a commit; caller frees. NULL: nothing to mend. */
int half_begun_cut(const char *note, char **out, struct err *err);
bool half_begun_ending(const char *note); /* one note: such a commit is in it still */
