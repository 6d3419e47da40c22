#pragma once
/* What deploys*.c share. */
#include "coordinator/deploys.h"

struct deploy_copies {
    struct ledger_entry **items; /* each has a deploy; oldest first */
    size_t count;
};
int deploys_copy(struct coordinator *coordinator, bool (*wanted)(const struct deploy *deploy, int64_t now_ms),
                 int64_t now_ms, struct deploy_copies *out, struct err *err);
void deploy_copies_clear(struct deploy_copies *copies);

json_t *deploys_dry_json(const char *id, const struct deploy *deploy, const struct list *members, const char *refused);
