/* backup, repository. */
#include "coordinator/cli/commands.h"

#define POINT {"BACKUP", "point", .complete = "points"}

static const struct option_row create[] = {
    {.name = "kind", .kind = OPT_CHOICE, .value = "KIND", .choices = "auto|full|incremental|differential", .param = "kind",
     .doc = "auto: incremental where the chain is sound and not too long, else full, and says why"},
    {.name = "repository", .kind = OPT_TEXT, .value = "NAME", .param = "repository", .doc = "default: the target's, or the only one on its host"},
    {.name = "quiesce", .kind = OPT_CHOICE, .value = "HOW", .choices = "require|prefer|never", .implied = "require", .param = "quiesce",
     .doc = "freeze the guest's file systems by its agent; default prefer"},
    {.name = "parent", .kind = OPT_TEXT, .value = "BACKUP", .param = "parent", .doc = "the backup that it stands on"},
    {.name = "include", .kind = OPT_LIST, .value = "DISKS", .param = "include", .doc = "only these disks, as in vda,vdb"},
    {.name = "exclude", .kind = OPT_LIST, .value = "DISKS", .param = "exclude", .doc = "all but these"},
    {.name = "description", .kind = OPT_TEXT, .value = "TEXT", .param = "description", .doc = "for people"},
    {.name = "rate-limit", .kind = OPT_SIZE, .value = "SIZE", .param = "rate_limit", .doc = "bytes per second, as in 100MiB"},
    {.name = "isolated", .kind = OPT_FLAG, .param = "isolated", .doc = "leave no checkpoint behind"},
    {.name = "compress", .kind = OPT_FLAG, .param = "compress", .doc = "compress what is stored"},
    {.name = "max-chain", .kind = OPT_INT, .value = "N", .param = "max_chain", .doc = "longest chain; default 30"},
    {.name = "max-chain-age", .kind = OPT_DURATION, .value = "DURATION", .param = "max_chain_ms", .doc = "oldest full of a chain; default 35d"},
    {.name = NULL},
};
static const struct option_row list[] = {
    {.name = "repository", .kind = OPT_TEXT, .value = "NAME", .doc = "only those in this repository"},
    {.name = "latest", .kind = OPT_FLAG, .doc = "only the newest chain of each machine"},
    {.name = "full", .kind = OPT_FLAG, .doc = "only full ones"},
    {.name = "verified", .kind = OPT_FLAG, .doc = "only those that a verify found good"},
    {.name = "children-of", .kind = OPT_TEXT, .value = "BACKUP", .doc = "only those that stand on this one"},
    {.name = "since", .kind = OPT_TIME, .value = "TIME", .doc = "only those made since"},
    {.name = "limit", .kind = OPT_INT, .value = "N", .doc = "at most so many; default 100"},
    {.name = NULL},
};
static const struct option_row verify[] = {
    {.name = "depth", .kind = OPT_CHOICE, .value = "DEPTH", .choices = "manifest|checksum|image|boot", .param = "depth",
     .doc = "how deep; default checksum"},
    {.name = NULL},
};
static const struct option_row restore[] = {
    {.name = "as", .kind = OPT_TEXT, .value = "NAME", .param = "new_name", .doc = "to a new machine of this name"},
    {.name = "in-place", .kind = OPT_FLAG, .param = "in_place", .doc = "over the machine's own disks (class C)"},
    {.name = "at", .kind = OPT_TIME, .value = "TIME", .choices = "latest", .param = "at",
     .doc = "BACKUP is a target: its newest backup, or the newest at this time; \"latest\" is the default for a target"},
    {.name = "on", .kind = OPT_TEXT, .value = "HOST", .doc = "the host that gets it; default: where its source is"},
    {.name = "start", .kind = OPT_CHOICE, .value = "HOW", .choices = "no|running|paused", .implied = "running", .param = "start", .doc = "start it afterwards; default no"},
    {.name = "directory", .kind = OPT_TEXT, .value = "DIR", .param = "directory", .doc = "where its disks go; default: the host's first pool"},
    {.name = "disks", .kind = OPT_LIST, .value = "DISKS", .param = "disks", .doc = "only these disks"},
    {.name = "map-network", .kind = OPT_MAP, .value = "OLD=NEW", .param = "map_network", .doc = "attach to another network; may be repeated"},
    {.name = "keep-identity", .kind = OPT_FLAG, .param = "new_identity", .set = "false", .doc = "keep MAC addresses; only when the source is gone"},
    {.name = "drop-snapshots", .kind = OPT_FLAG, .param = "drop_snapshots", .doc = "in place: although it has snapshots, which end"},
    {.name = "keep-old-for", .kind = OPT_DURATION, .value = "DURATION", .param = "keep_old_for_ms", .doc = "in place: how long the old disks are kept; default 24h"},
    {.name = NULL},
};
static const struct option_row delete[] = {
    {.name = "children", .kind = OPT_FLAG, .param = "scope", .set = "children", .doc = "with all that stand on it"},
    {.name = "all", .kind = OPT_FLAG, .param = "scope", .set = "all", .doc = "every backup of that machine"},
    {.name = "merge", .kind = OPT_FLAG, .param = "merge", .doc = "merge it into its children instead of refusing"},
    {.name = "really-last", .kind = OPT_FLAG, .param = "really_last", .doc = "although no good backup of the machine is left"},
    {.name = NULL},
};
static const struct option_row init[] = {
    {.name = "path", .kind = OPT_TEXT, .value = "DIR", .doc = "directory on the host; made if it is not there"},
    {.name = "host", .kind = OPT_TEXT, .value = "HOST", .doc = "the host that makes it"},
    {.name = "min-free-percent", .kind = OPT_INT, .value = "N", .doc = "space that backups leave free; default 10"},
    {.name = "dry-run", .kind = OPT_FLAG, .doc = "show what would be done, and change nothing"},
    {.name = "no-wait", .kind = OPT_FLAG, .doc = "print the job's id instead of waiting for its end"},
    {.name = NULL},
};

enum { STARTS = COMMAND_JOB | COMMAND_CHANGES };

const struct command commands_backup[] = {
    {"backup", "create", "backup.create", STARTS | COMMAND_MANY, {{"TARGET", "target", .complete = "targets"}}, create, run_job_command,
     "back up a machine", {"backup create shop-1", "backup create shop-1 --repository main --kind full", "backup create -l app=shop"}},
    {"backup", "list", NULL, COMMAND_LIST, {{"TARGET", .optional = true, .complete = "targets"}}, list, run_backup_list,
     "the backups, also of machines that are gone", {"backups shop-1", "backups --latest --verified"}},
    {"backup", "show", NULL, 0, {{"BACKUP", .complete = "points"}}, NULL, run_backup_show, "one backup: disks, chain, checks", {"backup show 5f1e"}},
    {"backup", "verify", "backup.verify", STARTS, {POINT}, verify, run_job_command, "prove that a backup can be restored",
     {"backup verify 5f1e", "backup verify 5f1e --depth image"}},
    {"backup", "restore", "backup.restore", STARTS | COMMAND_DESTROYS, {POINT}, restore, run_job_command, "bring a machine back from a backup",
     {"backup restore 5f1e --as shop-1-copy --start running", "backup restore shop-1 --at '2026-11-19 12:00' --as shop-1-old --on beta",
      "backup restore 5f1e --in-place --dry-run"}},
    {"backup", "delete", "backup.delete", STARTS | COMMAND_DESTROYS, {POINT}, delete, run_job_command,
     "delete a backup; never the last good one unless told twice", {"backup delete 5f1e --dry-run", "backup delete 5f1e --children"}},

    {"repository", "init", NULL, COMMAND_CHANGES, {{.name = "NAME"}}, init, run_repository_init, "make a place for backups on a host",
     {"repository init main --host alpha --path /backup/main"}},
    {"repository", "list", NULL, COMMAND_LIST, {{0}}, NULL, run_repository_list, "the repositories and their space", {"repositories"}},
    {"repository", "show", NULL, 0, {{"NAME", .complete = "repositories"}}, NULL, run_repository_show, "one repository, host by host", {"repository show main"}},
    {0},
};
