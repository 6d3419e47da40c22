#pragma once
/*
 * An external snapshot that QEMU has taken, and of which libvirt's note of the running guest (its status file) knows nothing: the guest writes the overlay, and libvirt, when it starts
 * again, takes the image below it for the disk. What is true, and what follows from it. Pure: texts in, texts out. `blocks` is QEMU's answer to query-block, as JSON.
 */
#include "worker/backends/libvirt/libvirt.h"

/* The note has a snapshot that may have been taken. *socket: its monitor's path; caller frees; NULL: the note has none. */
bool half_taken_doubtful(const char *note, char **socket);
/* *out: the note with the overlays on which the guest stands; caller frees. NULL: it says what is. */
int half_taken_mend(const char *note, const char *blocks, char **out, struct err *err);
/*
 * The nodes that libvirt had QEMU open for a snapshot and that are in no chain of the note, in an order in which they can be closed; added to *out. `nodes`: QEMU's answer to
 * query-named-block-nodes. Of a snapshot that was not taken they hold the overlay open.
 */
int half_taken_left(const char *note, const char *nodes, struct strings *out, struct err *err);
