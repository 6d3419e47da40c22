#pragma once
/*
 * What of the ledger cannot be had from anywhere else, as a document, and back: hosts, generations of their keys, tokens (hashed), repositories, defaults, holds, pins, policies, and the epoch. Not jobs, runs and deploys:
 * what was under way is in the workers' journals, and what was done in repositories. Any thread that may wait.
 */
#include "coordinator/coordinator.h"

#include <jansson.h>

enum { TRANSFER_VERSION = 1 };

/* {fleetsnap_export: version, exported_at, coordinator, term, epoch, epoch_run_id, records: [ledger entries]}; caller decrefs. */
int transfer_export(struct coordinator *coordinator, json_t **out, struct err *err);
/*
 * Takes in a document of that form, or a part of its records. All are checked before the first is written; what is there already stays as it is, so that it may be done again. dry_run: only says what would be done.
 * epoch 0: none. *out: {dry_run, epoch: new one|null, kinds: {token: {added, there} …}}; caller decrefs. ERR_PERMANENT: a record is none, or of a kind that is not taken.
 */
int transfer_import(struct coordinator *coordinator, const struct caller *caller, const json_t *document, bool dry_run,
                    json_t **out, struct err *err);

/* Pure: the record at that place of a document, checked; caller frees. */
int transfer_read(const json_t *records, size_t index, struct ledger_entry **out, struct err *err);
struct transfer_epoch {
    int64_t n;
    const char *run_id; /* of the Redis server; NULL: not known */
};
/* Pure: the epoch to write when the ledger has `known` and the document says `said`; 0: none, it is the same ledger, or was taken in before. Above all that Redis can have seen since the document was written. */
int64_t transfer_epoch_of(const struct transfer_epoch *known, const struct transfer_epoch *said);
