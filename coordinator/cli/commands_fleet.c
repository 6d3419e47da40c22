/* host, target, doctor, topic, token, dlq. */
#include "coordinator/cli/commands.h"


static const struct option_row host_list[] = {
    {.name = "state", .kind = OPT_TEXT, .value = "STATE", .doc = "only hosts in this state: running, draining"},
    {.name = NULL},
};
static const struct option_row host_enroll[] = {
    {.name = "out", .kind = OPT_TEXT, .value = "DIR", .doc = "where the bundles go: DIR/HOST/{worker.yaml,host.key,redis.password}, mode 0600"},
    {.name = "from", .kind = OPT_TEXT, .value = "FILE", .doc = "many hosts: one name per line, then options of worker.yaml as key=value"},
    {.name = "rotate", .kind = OPT_FLAG, .doc = "a new generation of the key; the old one ends"},
    {.name = NULL},
};
static const struct option_row host_remove[] = {
    {.name = "force", .kind = OPT_FLAG, .doc = "although its worker is alive"},
    {.name = NULL},
};
static const struct option_row target_list[] = {
    {.name = "selector", .letter = 'l', .kind = OPT_TEXT, .value = "SELECTOR", .doc = "only those with these labels, as in app=shop,tier!=db"},
    {.name = "host", .kind = OPT_TEXT, .value = "HOST", .doc = "only those on this host"},
    {.name = "state", .kind = OPT_TEXT, .value = "STATE", .doc = "only those in this state: running, paused, shutoff"},
    {.name = "match", .kind = OPT_TEXT, .value = "TEXT", .doc = "only those whose name holds this"},
    {.name = "unprotected", .kind = OPT_FLAG, .doc = "only those without a backup of the last 26 hours"},
    {.name = NULL},
};
static const struct option_row topic_init[] = {
    {.name = "config", .kind = OPT_TEXT, .value = "FILE", .doc = "the coordinator's configuration file"},
    {.name = NULL},
};
static const struct option_row token_create[] = {
    {.name = "role", .kind = OPT_CHOICE, .value = "ROLE", .choices = "viewer|operator|admin", .doc = "what it may do: read; work; everything"},
    {.name = "selector", .letter = 'l', .kind = OPT_TEXT, .value = "SELECTOR", .doc = "only targets with these labels"},
    {.name = "classes", .kind = OPT_TEXT, .value = "ABC", .doc = "classes of jobs: A reads, B adds, C takes away; default A, AB, ABC by role"},
    {.name = "expires-in", .kind = OPT_TEXT, .value = "DURATION", .doc = "as in 90d; default: never"},
    {.name = NULL},
};
static const struct option_row dlq_list[] = {
    {.name = "since", .kind = OPT_TIME, .value = "TIME", .doc = "only what came since"},
    {.name = "limit", .kind = OPT_INT, .value = "N", .doc = "at most so many; default 50"},
    {.name = NULL},
};

const struct command commands_fleet[] = {
    {"host", "list", NULL, COMMAND_LIST, {{0}}, host_list, run_host_list, "the hosts of the fleet, and whether they are alive", {"hosts"}},
    {"host", "show", NULL, 0, {{"HOST", .complete = "hosts"}}, NULL, run_host_show, "one host: versions, space, what it does", {"host show alpha"}},
    {"host", "enroll", NULL, COMMAND_CHANGES | COMMAND_DRY, {{"HOST", .optional = true}}, host_enroll, run_host_enroll,
     "make a host's key and the configuration of its worker",
     {"host enroll alpha --out ./bundles", "host enroll --from hosts.txt --out ./bundles"}},
    {"host", "drain", NULL, COMMAND_CHANGES | COMMAND_DRY, {{"HOST", .complete = "hosts"}}, NULL, run_host_drain,
     "let a host finish what it has and take nothing new", {"host drain alpha --reason 'new kernel'"}},
    {"host", "resume", NULL, COMMAND_CHANGES | COMMAND_DRY, {{"HOST", .complete = "hosts"}}, NULL, run_host_resume,
     "let a drained host take jobs again", {"host resume alpha"}},
    {"host", "remove", NULL, COMMAND_CHANGES | COMMAND_DRY | COMMAND_DESTROYS, {{"HOST", .complete = "hosts"}}, host_remove, run_host_remove,
     "take a host out of the fleet; its key ends, its backups stay", {"host remove alpha"}},

    {"target", "list", NULL, COMMAND_LIST, {{0}}, target_list, run_target_list, "the machines, their state and their last backup",
     {"targets", "targets -l app=shop,tier!=db", "targets --unprotected"}},
    {"target", "show", NULL, 0, {{"TARGET", .complete = "targets"}}, NULL, run_target_show,
     "one machine: disks, labels, snapshots, what can be backed up and why", {"target show shop-1", "target show alpha/shop-1"}},

    {"doctor", "", NULL, 0, {{0}}, NULL, run_doctor, "what is wrong, and what to do", {"doctor"}},
    {"topic", "init", NULL, COMMAND_DRY, {{0}}, topic_init, run_topic_init, "create the Kafka topics with the right settings",
     {"topic init --config /etc/fleetsnap/coordinator.yaml --dry-run"}},

    {"token", "create", NULL, COMMAND_CHANGES | COMMAND_DRY, {{.name = "NAME"}}, token_create, run_token_create,
     "make an API token; it is shown once", {"token create deploy-bot --role operator --classes ABC -l app=shop --expires-in 90d"}},
    {"token", "list", NULL, COMMAND_LIST, {{0}}, NULL, run_token_list, "the tokens, without their secrets", {"tokens"}},
    {"token", "revoke", NULL, COMMAND_CHANGES | COMMAND_DRY, {{"NAME", .complete = "tokens"}}, NULL, run_token_revoke,
     "end a token at once", {"token revoke deploy-bot"}},

    {"dlq", "list", NULL, 0, {{0}}, dlq_list, run_dlq_list, "records that could not be read or trusted", {"dlq list"}},
    {"dlq", "show", NULL, 0, {{.name = "PARTITION"}, {.name = "OFFSET"}}, NULL, run_dlq_show, "one of them: headers, reason, bytes", {"dlq show 0 17"}},
    {0},
};
