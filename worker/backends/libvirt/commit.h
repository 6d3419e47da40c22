#pragma once
/*
 * Merging a layer into the one below it, by hand: what libvirt's own deletion of external snapshots refuses in many states. From its first second a commit writes into the
 * base, so the caller has made sure that nobody but `top` stands on it (image_users).
 */
#include "worker/backends/libvirt/libvirt.h"

struct commit {
    const char *disk;       /* target dev */
    const char *base, *top; /* files; `top` stands on `base`, directly or not */
    const char *base_format;
};

/* The files of a disk as the definition says, active one first; an inactive one is read from the images. */
int disk_chain(virDomainPtr domain, const char *disk, struct strings *out, struct err *err);
/* Afterwards `top` is in no chain of the domain; it is not removed. May be repeated; adopts a commit that goes on. Running, paused or off. */
int commit_layer(const struct step_run *run, virDomainPtr domain, const struct commit *commit, struct err *err);
/* *out: the definition for the next start names `top` as the disk. Of a transient domain: it does not. */
int commit_defined(virDomainPtr domain, const struct commit *commit, bool *out, struct err *err);
/* Whether a commit of this disk goes on by itself. */
bool commit_running(virDomainPtr domain, const char *disk);
