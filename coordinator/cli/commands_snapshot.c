/* snapshot: the options follow verbs.md, the spellings of virsh are accepted too. */
#include "coordinator/cli/commands.h"

#define TARGET {"TARGET", "target", .complete = "targets"}

static const struct option_row create[] = {
    {.name = "name", .kind = OPT_TEXT, .value = "NAME", .param = "name", .doc = "default: from the job's id"},
    {.name = "description", .kind = OPT_TEXT, .value = "TEXT", .param = "description", .doc = "for people"},
    {.name = "kind", .kind = OPT_CHOICE, .value = "KIND", .choices = "auto|internal|external", .param = "kind",
     .doc = "where it is kept; auto: external for a running guest, internal for one that is off, where possible"},
    {.name = "quiesce", .kind = OPT_CHOICE, .value = "HOW", .choices = "require|prefer|never", .implied = "require", .param = "quiesce",
     .doc = "freeze the guest's file systems by its agent; alone it means require, default prefer"},
    {.name = "memory", .kind = OPT_CHOICE, .value = "WHAT", .choices = "no|yes", .implied = "yes", .param = "memory", .doc = "with the memory of the running guest; default no"},
    {.name = "ttl", .kind = OPT_DURATION, .value = "DURATION", .param = "ttl_ms", .doc = "delete it after this long, as in 7d; default: keep it"},
    {.name = "memspec", .kind = OPT_MEMSPEC, .value = "SPEC", .param = "memory", .virsh = true, .doc = "file=PATH: memory into a file; snapshot=internal or no"},
    {.name = "diskspec", .kind = OPT_DISKSPEC, .value = "SPEC", .param = "disks", .virsh = true, .doc = "DISK[,snapshot=internal|external|no][,file=PATH][,driver=FORMAT]; once per disk"},
    {.name = "disk-only", .kind = OPT_FLAG, .param = "disk_only", .virsh = true, .doc = "disks without memory"},
    {.name = "halt", .kind = OPT_FLAG, .param = "halt", .virsh = true, .doc = "leave the guest stopped (class C)"},
    {.name = "live", .kind = OPT_FLAG, .param = "live", .virsh = true, .doc = "keep the guest running while its memory is saved"},
    {.name = "atomic", .kind = OPT_FLAG, .param = "atomic", .virsh = true, .doc = "all disks or none; the default"},
    {.name = "no-atomic", .kind = OPT_FLAG, .param = "atomic", .set = "false", .doc = "what was done for some disks stays when others fail"},
    {.name = "no-metadata", .kind = OPT_FLAG, .param = "no_metadata", .virsh = true, .doc = "leave no snapshot object, only the overlays"},
    {.name = "reuse-external", .kind = OPT_FLAG, .param = "reuse_external", .virsh = true, .doc = "write into files that exist (class C)"},
    {.name = "redefine", .kind = OPT_FILE, .value = "FILE", .param = "redefine", .virsh = true, .doc = "bring back the object from its XML; makes no snapshot"},
    {.name = "current", .kind = OPT_FLAG, .param = "current", .virsh = true, .doc = "with --redefine: it becomes the current one"},
    {.name = "validate", .kind = OPT_FLAG, .param = "validate", .virsh = true, .doc = "check the XML against its schema"},
    {.name = NULL},
};
static const struct option_row list[] = {
    {.name = "tree", .kind = OPT_FLAG, .virsh = true, .doc = "as a tree"},
    {.name = "roots", .kind = OPT_FLAG, .virsh = true, .doc = "only those without a parent"},
    {.name = "leaves", .kind = OPT_FLAG, .virsh = true, .doc = "only those without children"},
    {.name = "no-leaves", .kind = OPT_FLAG, .virsh = true, .doc = "only those with children"},
    {.name = "metadata", .kind = OPT_FLAG, .virsh = true, .doc = "only those that libvirt has an object for"},
    {.name = "no-metadata", .kind = OPT_FLAG, .virsh = true, .doc = "only those that it has none for"},
    {.name = "inactive", .kind = OPT_FLAG, .virsh = true, .doc = "only those taken while the guest was off"},
    {.name = "active", .kind = OPT_FLAG, .virsh = true, .doc = "only those with the memory of a running guest"},
    {.name = "disk-only", .kind = OPT_FLAG, .virsh = true, .doc = "only those of disks without memory"},
    {.name = "internal", .kind = OPT_FLAG, .virsh = true, .doc = "only those inside the disk images"},
    {.name = "external", .kind = OPT_FLAG, .virsh = true, .doc = "only those in files of their own"},
    {.name = "from", .kind = OPT_TEXT, .value = "NAME", .virsh = true, .doc = "only the children of this one"},
    {.name = "descendants", .kind = OPT_FLAG, .virsh = true, .doc = "with --from: also their children"},
    {.name = "topological", .kind = OPT_FLAG, .virsh = true, .doc = "parents before their children"},
    {.name = "name", .kind = OPT_FLAG, .virsh = true, .doc = "only the names"},
    {.name = "count", .kind = OPT_FLAG, .doc = "only how many"},
    {.name = "live", .kind = OPT_FLAG, .doc = "ask the host now, instead of what it reported last"},
    {.name = NULL},
};
static const struct option_row show[] = {
    {.name = "current", .kind = OPT_FLAG, .virsh = true, .doc = "the current one, instead of NAME"},
    {.name = "xml", .kind = OPT_FLAG, .doc = "print its XML, asked from the host; secrets stay there"},
    {.name = NULL},
};
static const struct option_row revert[] = {
    {.name = "current", .kind = OPT_FLAG, .virsh = true, .doc = "to the current one, instead of NAME"},
    {.name = "running", .kind = OPT_FLAG, .param = "after", .set = "running", .virsh = true, .doc = "the guest runs afterwards, whatever it did then"},
    {.name = "paused", .kind = OPT_FLAG, .param = "after", .set = "paused", .virsh = true, .doc = "the guest is paused afterwards"},
    {.name = "force", .kind = OPT_CHOICE, .value = "WHEN", .choices = "if-needed|always|never", .implied = "if-needed", .param = "force", .virsh = true,
     .doc = "accept that the guest gets another machine than it has; alone it means if-needed"},
    {.name = "reset-nvram", .kind = OPT_FLAG, .param = "reset_nvram", .virsh = true, .doc = "make the firmware's variables new from their template"},
    {.name = "keep-current", .kind = OPT_FLAG, .param = "keep_current", .doc = "take a snapshot of the present state first"},
    {.name = "drop-checkpoint", .kind = OPT_LIST, .value = "NAMES", .param = "drop_checkpoint", .doc = "checkpoints of other tools that may be lost"},
    {.name = "keep-old-for", .kind = OPT_DURATION, .value = "DURATION", .param = "keep_old_for_ms", .doc = "how long the disks of now are kept; default 24h"},
    {.name = NULL},
};
static const struct option_row delete[] = {
    {.name = "current", .kind = OPT_FLAG, .virsh = true, .doc = "the current one, instead of NAME"},
    {.name = "children", .kind = OPT_FLAG, .param = "scope", .set = "children", .virsh = true, .doc = "with all that stand on it"},
    {.name = "children-only", .kind = OPT_FLAG, .param = "scope", .set = "children_only", .virsh = true, .doc = "only those that stand on it"},
    {.name = "metadata", .kind = OPT_FLAG, .param = "metadata_only", .virsh = true, .doc = "only libvirt's object; the data stays"},
    {.name = "foreign", .kind = OPT_FLAG, .param = "foreign", .doc = "although others made it"},
    {.name = NULL},
};

enum { STARTS = COMMAND_JOB | COMMAND_CHANGES, DESTROYS = STARTS | COMMAND_DESTROYS };

const struct command commands_snapshot[] = {
    {"snapshot", "create", "snapshot.create", STARTS | COMMAND_DESTROYS | COMMAND_MANY, {TARGET}, create, run_job_command, "take a snapshot of a machine",
     {"snapshot create shop-1 --name before-deploy --quiesce require", "snapshot create shop-1 --diskspec vda,snapshot=external --diskspec vdb,snapshot=no",
      "snapshot create -l app=shop --name before-2214"}},
    {"snapshot", "list", NULL, COMMAND_LIST, {{"TARGET", .complete = "targets"}}, list, run_snapshot_list, "the snapshots of a machine",
     {"snapshots shop-1", "snapshot list shop-1 --tree", "snapshot list shop-1 --leaves --external"}},
    {"snapshot", "show", NULL, 0, {{"TARGET", .complete = "targets"}, {"NAME", .optional = true, .complete = "snapshots"}}, show, run_snapshot_show,
     "one snapshot, its parent and its children", {"snapshot show shop-1 before-deploy", "snapshot show shop-1 --current --xml"}},
    {"snapshot", "revert", "snapshot.revert", DESTROYS | COMMAND_MANY, {TARGET, {"NAME", "name", .optional = true, .complete = "snapshots"}}, revert,
     run_job_command, "bring a machine back to a snapshot",
     {"snapshot revert shop-1 before-deploy --dry-run", "snapshot revert shop-1 before-deploy", "snapshot revert shop-1 before-deploy --running --yes"}},
    {"snapshot", "delete", "snapshot.delete", DESTROYS | COMMAND_MANY, {TARGET, {"NAME", "name", .optional = true, .complete = "snapshots"}}, delete,
     run_job_command, "delete a snapshot; what others need of it is merged",
     {"snapshot delete shop-1 before-deploy --dry-run", "snapshot delete shop-1 experiment --children"}},
    {0},
};
