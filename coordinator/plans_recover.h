#pragma once
/* Recovery as the API has it: the machines of a host that is gone are restored on others, as one run. Any thread that may wait; the reader is the caller's. */
#include "coordinator/coordinator.h"

#include <jansson.h>

struct view_reader;

struct recovery {
    const char *host;           /* that is gone */
    const struct strings *onto; /* hosts that may take its machines */
    int start;                  /* of the machines; enum restore_start */
    bool force;                 /* although its worker is alive */
    bool dry_run;
};

/*
 * Looks what can be restored where (recover.h), and, unless dry_run, writes the run. *out: {host, run_id: id|null, dry_run, targets: [{order: n|null, target, name, point, backup_kind, created_at, size_bytes, onto, why}],
 * recoverable, total, size_bytes}; caller decrefs. ERR_PERMANENT: nothing is known of the host or of one that is to take machines. ERR_CONFLICT: it is alive; nothing can be recovered.
 */
int plans_recover(struct coordinator *coordinator, struct view_reader *reader, const struct caller *caller,
                  const struct recovery *asked, json_t **out, struct err *err);
