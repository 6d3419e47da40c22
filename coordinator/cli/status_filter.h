#pragma once
/* Which events of the status topic a person wants to see. Pure. */
#include "model/status.h"

struct err;
struct selector;

struct status_filter {
    const char *host, *job;    /* job: the beginning of an id */
    const char *target;        /* name, HOST/NAME, id or kind:id */
    const char *kind;          /* of the target: libvirt, canister, repository */
    int op;                    /* enum op; 0: any */
    unsigned states;           /* bit per enum job_state; 0: any */
    struct selector *selector; /* NULL: any labels. Owned */
};

/* "FAILED,PARKED" into bits. ERR_PERMANENT: no such state. NULL: any. */
int status_filter_states(const char *text, unsigned *out, struct err *err);
/* `labels` of the target; NULL: none are known. */
bool status_filter_wants(const struct status_filter *filter, const struct status *status, const struct facts *labels);
