#pragma once
/* A backup as <domainbackup>, in the words of libvirt: uuid, creationTime, description, parent, disks with their targets. Pure. */
#include <jansson.h>

/* point: as the API shows it. NULL: out of memory; caller frees with free(). */
char *backup_xml_of(const json_t *point);
