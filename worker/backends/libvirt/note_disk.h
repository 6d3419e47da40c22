#pragma once
/* The disks of a running guest: as libvirt's note (its status file) has them, and as QEMU says they are. Pure. */
#include "worker/backends/libvirt/definition.h"

#include <jansson.h>
#include <stdbool.h>

#define FORMAT_NODE "privateData/nodenames/nodename[@type='format']/@name" /* below a <source> */

bool text_equal(const char *left, const char *right); /* NULL equals nothing */
const char *json_text(json_t *object, const char *key);

xmlNodePtr note_first_disk(xmlDocPtr note); /* NULL: none */
xmlNodePtr note_next_disk(xmlNodePtr disk);
/* Every node of every chain, each from the top, the format before the file it is in: so QEMU lets go of them. Added to *out. */
int note_nodes(xmlDocPtr note, struct strings *out, struct err *err);
/* What is in the guest's drive, of the answer to query-block; NULL: QEMU has no such drive. Borrowed. */
json_t *note_drive(json_t *blocks, xmlNodePtr disk);
/* `new` is where `old` was, which is freed. */
void xml_replace(xmlNodePtr old, xmlNodePtr new);
