#pragma once
/* What a status event must agree with to be believed, once its MAC verified: docs/protocol.md "What a reader believes". Pure; any thread. */
#include "coordinator/ledger.h"

struct mac_input;
struct status;

/* The record has a value, and fs-job is a job and the record's key. */
bool belief_names_job(const struct mac_input *said);
/* The content speaks of the job, target, host and origin that headers and ledger name. */
bool belief_status_fits(const struct mac_input *said, const struct status *status, const struct ledger_job_facts *facts);
