#pragma once
/* Deleting snapshots: who needs which file, and what follows from it. */
#include "worker/backends/libvirt/snapshots.h"

/* Right before a merge: nobody but top:<disk> may stand on base:<disk>, for every disk in the step's args. ERR_CONFLICT. */
int delete_check_users(const struct step_run *run, const struct step *step, struct err *err);
/* For the report: whose restore point is gone ("owner:<job id>" = name). */
int delete_learn(const struct step *step, struct facts *learned, struct err *err);
