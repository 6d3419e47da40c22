#pragma once
/* QEMU's dirty bitmaps, asked from QEMU itself: for the case that libvirt knows nothing of them. Running guests only; marks the domain as tainted in libvirt's log. */
#include "worker/backends/libvirt/libvirt.h"

enum bitmap_state { BITMAP_ABSENT, BITMAP_SOUND, BITMAP_BROKEN };

struct bitmaps; /* one answer of QEMU */
int bitmaps_ask(virDomainPtr domain, struct bitmaps **out, struct err *err);
void bitmaps_free(struct bitmaps *bitmaps);
DEFINE_FREEP(struct bitmaps, bitmaps_free)
/* Of the qcow2 image in `file`. */
enum bitmap_state bitmaps_find(const struct bitmaps *bitmaps, const char *file, const char *name);
/* Removes the temporary bitmap of that name wherever it is. One that is kept in its image is a checkpoint's, and one in use is a running job's: both stay. How many went. */
int bitmaps_remove_temporary(const struct bitmaps *bitmaps, virDomainPtr domain, const char *name);
