#pragma once
/* Where the coordinator is and who we are: options, then environment, then ~/.config/fleetsnap/config.yaml. */
struct cli;
struct err;
struct invocation;

/* Fills cli->url and cli->token (which may stay NULL). */
int client_config_find(struct cli *cli, const struct invocation *invocation, struct err *err);
