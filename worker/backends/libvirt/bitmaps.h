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
