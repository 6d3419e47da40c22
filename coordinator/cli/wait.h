#pragma once
/* Waiting for a job's end, with a person or a log file watching. */
#include "coordinator/cli/progress.h"

struct cli;

enum wait_outcome {
    WAIT_ENDED,
    WAIT_EXPORTED, /* it can be read: where that was waited for */
    WAIT_DETACHED, /* ^C */
    WAIT_LOST,     /* its host is silent */
    WAIT_UNSEEN,   /* the coordinator does not answer any more */
};

/* quiet: nothing is shown but on a terminal. */
enum wait_outcome wait_for_job(struct cli *cli, const char *job_id, struct progress *progress, bool quiet);
