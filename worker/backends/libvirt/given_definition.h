#pragma once
/* A definition that a person gives for a restored domain. Pure. */
#include "worker/backends/libvirt/libvirt.h"

/*
 * disks: those that are restored, by target dev. saved: the definition in the backup. Refused, with line and element: what is no definition of a domain, secrets (they do not
 * travel), a disk that is not restored (its file would be shared with another domain) and one that is there twice; and what reaches something of the host, a file or a device, that
 * the saved definition does not reach: who may restore a guest is not the host's owner. ERR_PERMANENT; the caller frees *out.
 */
int given_definition(const char *text, const struct strings *disks, xmlDocPtr saved, xmlDocPtr *out, struct err *err);
