#pragma once
/* One status event as a line for people. */
#include "coordinator/cli/cli.h"

enum event_style {
    EVENT_OF_JOB,     /* below its job: when, state, what of it */
    EVENT_OF_ANY,     /* and which job, on what */
    EVENT_OF_ANY_DAY, /* with the date */
};

void event_print(struct cli *cli, const json_t *event, enum event_style style);
