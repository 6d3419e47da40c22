#pragma once
/* The definition of a domain as data: its digest, what differs between two, and the edits that a revert by hand needs. Pure. */
#include "worker/backends/libvirt/libvirt.h"

/* SHA-256 of what the machine is: disks' places, backing chains and metadata (labels) left out, so that neither a snapshot nor a label changes it. `doc`: VIR_DOMAIN_XML_INACTIVE. */
int definition_digest(xmlDocPtr doc, char out[65], struct err *err);
/* What a guest would notice, one phrase each: "memory 4 GiB → 8 GiB", "disk vdb is new". Both are <domain> elements. */
int definition_differences(xmlNodePtr before, xmlNodePtr now, struct strings *out, struct err *err);
char *strings_join(const struct strings *strings, const char *separator); /* caller frees; NULL: no memory */

/* Secrets stay on the host: what people see is the same definition without them. */
int definition_without_secrets(const char *xml, char **out, struct err *err);

/* In a <domain>: the <disk> of that name in the guest; NULL: none (also where either argument is NULL). */
xmlNodePtr definition_find_disk(xmlNodePtr domain, const char *name);
/* In a <domain>: the disk `name` gets `path`, a file or a block device of this host, as its source, without a backing chain (libvirt finds it in the image). ERR_PERMANENT if there is no such disk. */
int definition_set_disk(xmlNodePtr domain, const char *name, const char *path, const char *format, struct err *err);
void definition_cut_backing(xmlNodePtr domain);
/* Every disk source that is `from` becomes `to`, of that format (NULL: of the same as before); the number of them. */
int definition_replace_source(xmlNodePtr domain, const char *from, const char *to, const char *format);
