#pragma once
/* Where an export is read: of the facts that its job tells while it runs. */
#include "coordinator/cli/cli.h"

bool export_told(const json_t *job); /* a job, or an event of one: it says where */
/* One line per disk: its name, the URI, and the meta context of what has changed. */
void export_print(FILE *out, const json_t *job);
