#pragma once
/* What cmd_policy.c lends to cmd_policy_preview.c. */
struct cli;
struct invocation;

char *policy_path(const struct invocation *invocation, const char *verb); /* "/v1/policies/NAME/verb"; caller frees */
/* The text of a file. 0, or an exit code after the problem was printed. Caller frees. */
int policy_read(struct cli *cli, const char *subject, const char *file, char **out);
