#pragma once
/* The labels of all targets, from the inventory topic; checked with the ledger where there is one. Belongs to one thread. */
#include <stdbool.h>

struct err;
struct facts;
struct kafka_options;
struct ledger_reader;
struct target;
struct target_labels;
struct wire;

/* Reads what is there now; blocks. `ledger` NULL: nothing is checked. Both, and `wire`, outlive it. */
int target_labels_open(const struct kafka_options *kafka, struct ledger_reader *ledger, struct wire *wire,
                       struct target_labels **out, struct err *err);
void target_labels_close(struct target_labels *labels); /* NULL is fine */
/* What has come since; does not block. */
int target_labels_refresh(struct target_labels *labels, struct err *err);
/* NULL: none are known. Valid until the next refresh. */
const struct facts *target_labels_of(const struct target_labels *labels, const struct target *target);
