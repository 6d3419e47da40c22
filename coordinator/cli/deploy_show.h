#pragma once
/* What cmd_deploy*.c share: a deploy as the API has it, and its targets. A phase is snapshot (or backup), revert or delete. */
#include "coordinator/cli/cli.h"

struct text;
struct invocation;

/* What is said, and where, when a state is reached that needs no more waiting. A table of them ends with state NULL; state "" is any other end. */
struct deploy_finish {
    const char *state;
    int code;
    const char *phase; /* whose failures are told; NULL: none */
    const char *text;
};
/* Waits until `deploy`, which it takes over, needs no more waiting, and says what became of it. noun: "deploy", "group". Returns the exit code. */
int deploy_wait(struct cli *cli, const char *subject, const char *noun, const struct deploy_finish *finishes,
                json_t *deploy);
/* Asks for the new deploy that `body` says, which it takes over; then waits for it, shows what it would be (dry_run), or says its id, as asked. Returns the exit code. */
int deploy_ask(struct cli *cli, const struct invocation *invocation, const char *subject, const char *noun,
               const struct deploy_finish *finishes, json_t *body);
extern const struct deploy_finish deploy_reverts[];
/* "the last stood still 12 ms after the first, none for longer than 80 ms", of a consistency group; members: frozen_ms, spread_ms. "": nothing is known. */
void deploy_group_text(const json_t *items, const char *member, struct text *out);

void deploy_path(struct text *path, const char *id, const char *verb);                /* verb NULL: the deploy itself */
int deploy_fetch(struct cli *cli, const char *subject, const char *id, json_t **out); /* 0, or an exit code */
const char *deploy_makes(const json_t *deploy); /* "snapshot" or "backup": its first phase */
const char *deploy_target_name(const json_t *target);
size_t deploy_count_state(const json_t *deploy, const char *phase, const char *state);
size_t deploy_count_targets(const json_t *deploy, const char *phase); /* those that have that phase */
/* "shop-2 on beta: snapshot FAILED: why" on err, for each that did not go well. */
void deploy_say_failures(struct cli *cli, const json_t *deploy, const char *phase);
void deploy_show_targets(struct cli *cli, const json_t *deploy);
