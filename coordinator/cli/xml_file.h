#pragma once
/* XML that a person wrote into a file. */
#include <libxml/tree.h>

struct err;

/* No entities, no network, no document type. name: of the file, for errors, which say its line. The caller frees *out. */
int xml_file_parse(const char *text, const char *name, xmlDocPtr *out, struct err *err);
/* A <domain> for backup.restore: refused with its line where it has secrets, which must not leave this machine. The rest is checked on the host, which has the backup. */
int domain_xml_check(const char *text, const char *name, struct err *err);

static inline void xml_file_freep(xmlDocPtr *doc)
{
    xmlFreeDoc(*doc);
}
