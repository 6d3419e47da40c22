#pragma once
/* What cmd_deploy*.c share: a deploy as the API has it, and its targets. A phase is snapshot, revert or delete. */
#include "coordinator/cli/cli.h"

struct text;

void deploy_path(struct text *path, const char *id, const char *verb);                /* verb NULL: the deploy itself */
int deploy_fetch(struct cli *cli, const char *subject, const char *id, json_t **out); /* 0, or an exit code */
const char *deploy_target_name(const json_t *target);
size_t deploy_count_state(const json_t *deploy, const char *phase, const char *state);
size_t deploy_count_targets(const json_t *deploy, const char *phase); /* those that have that phase */
/* "shop-2 on beta: snapshot FAILED: why" on err, for each that did not go well. */
void deploy_say_failures(struct cli *cli, const json_t *deploy, const char *phase);
void deploy_show_targets(struct cli *cli, const json_t *deploy);
