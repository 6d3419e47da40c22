#pragma once
/*
 * A commit that QEMU has ended, and of which libvirt's note of the running guest (its status file) still says that it goes on: what is true, and what follows from it. Pure: texts
 * in, texts out. The answers are QEMU's, as JSON.
 */
#include "worker/backends/libvirt/libvirt.h"

struct half_ended_answers {
    const char *jobs, *blocks; /* of query-jobs and query-block; both NULL: QEMU did not answer */
};

enum half_ended { HALF_ENDED_NOTHING, HALF_ENDED_MENDED, HALF_ENDED_UNCLEAR };

/* The note has a commit whose end QEMU may know. *socket: its monitor's path; caller frees; NULL: the note has none. */
bool half_ended_doubtful(const char *note, char **socket);
/*
 * MENDED: *out is the note as QEMU has it; caller frees. UNCLEAR: a commit is over, and what QEMU has is neither what was before nor what it was to become; *out is what could be
 * mended besides, or NULL. Without answers only what needs none is mended.
 */
int half_ended_mend(const char *note, const struct half_ended_answers *answers, enum half_ended *result, char **out,
                    struct err *err);
/* A definition whose disks were those of `before` gets those of `after` (two notes of the guest). *out NULL: nothing to change; caller frees. */
int half_ended_define(const char *definition, const char *before, const char *after, char **out, struct err *err);
/* What QEMU has no use for any more: the block nodes of `before` that `after` does not have, from the top, each as libvirt names it. */
int half_ended_nodes(const char *before, const char *after, struct strings *out, struct err *err);
/* The nodes into which active commits of this note write, of those that do not just end: the bitmap that libvirt puts there for the going over may have been left. */
int half_ended_bases(const char *note, const struct half_ended_answers *answers, struct strings *out, struct err *err);
