#pragma once
/* Disk images: who stands on whom. Headers are read directly (QEMU keeps them current while a guest runs); tools run without a shell. Paths are absolute. */
#include "worker/backends/libvirt/libvirt.h"

/* ---- image.c: what a file says about itself ---- */
/* The file that a qcow2 stands on, absolute (or as it is written, when that is no plain path); *out NULL: none, or not a qcow2. Caller frees. */
int image_backing(const char *path, char **out, struct err *err);
bool image_is_qcow2(const char *path);
int image_has_snapshot(const char *path, const char *name, bool *out, struct err *err); /* an internal one */
/* The chain of an image: itself first, then what it stands on, to the end (at most 256). */
int image_chain(const char *path, struct strings *out, struct err *err);
bool image_same(const char *a, const char *b); /* the same file, links resolved */

/* ---- image_tools.c: qemu-img ---- */
/* A new overlay on `base` with owner and mode of `like`. A repeat finds its own. Caller has made sure that nobody else uses the name. */
int image_create_overlay(const char *path, const char *base, const char *base_format, const char *like, struct err *err);
/* Offline: what `top` has goes into `base`, its direct or indirect backing file; `top` stays as it is. The child holds an flock on `top`: image_busy(). */
int image_commit(const struct step_run *run, const char *top, const char *base, struct err *err);
bool image_busy(const char *path);
/* By QEMU's own lock, whatever libvirt says: a guest or a tool has it open, or writes it now. */
bool image_open(const char *path);
bool image_written(const char *path);
int image_rebase_name(const char *path, const char *base, const char *base_format,
                      struct err *err); /* the name only; contents must be equal */
int image_remove_bitmap(const char *path, const char *name, struct err *err); /* absent is success */

/* ---- image_users.c ---- */
/* Every file that stands directly on `path`: in the chains of disks and snapshots of all domains of the connection's host, and among the files in the same folder. */
int image_users(virConnectPtr connection, const char *path, struct strings *out, struct err *err);
/* What names `path` itself: "domain shop-1", "snapshot shop-1/before" (whose state it is). */
int image_holders(virConnectPtr connection, const char *path, struct strings *out, struct err *err);
