#pragma once
/* A <domainbackup> that somebody wrote, as the parameters of backup.create. Pure. */
#include <jansson.h>

struct err;

/*
 * text: what was read from `name`. Sets in params: kind (where all disks have the same backupmode), parent, description, include. ERR_PERMANENT, with file, line and element:
 * what cannot be read, is not known, cannot be chosen, or is in params already. params is as before on an error.
 */
int backup_xml_read(const char *text, const char *name, json_t *params, struct err *err);
