#pragma once
/*
 * Was a revert by libvirt done, before the worker that called it died? What can be seen right before the call is kept as facts, and compared with what is there afterwards. Only
 * what is proven is answered; a guest that a person started meanwhile is not taken for a reverted one, nor reverted again.
 */
#include "worker/backends/libvirt/libvirt.h"
#include "worker/step.h"

struct revert_evidence {
    int64_t id; /* of the domain; -1: off */
    int state, reason;
    bool current;    /* the snapshot to which it is reverted is the current one */
    int64_t written; /* latest change of its disks' files, ns; 0: not known */
    char boot[40];   /* of the host: numbers of domains begin anew */
};

int revert_evidence_read(virDomainPtr domain, const char *snapshot, struct revert_evidence *out, struct err *err);
int revert_evidence_learn(const struct revert_evidence *evidence, struct facts *learned, struct err *err);
bool revert_evidence_recall(const struct facts *known, struct revert_evidence *out); /* false: nothing was kept */
enum settled revert_settled(const struct revert_evidence *before, const struct revert_evidence *now); /* pure */
