#include "model/policy.h"

#include "model/fields.h"
#include "model/job.h"

#include <string.h>

enum { GLOBS_MAX = 256, SCHEDULES_MAX = 32 };

#define DAY_MS (24LL * 3600 * 1000)

const char *const policy_operation_names[] = {"backup.create", "snapshot.create", "backup.verify", "backup.copy", NULL};
const char *const policy_overlap_names[] = {"skip", "queue", NULL};
const char *const policy_window_end_names[] = {"leave", "cancel", NULL};
const char *const policy_missed_names[] = {"last", "all", "none", NULL};
const char *const policy_kind_names[] = {"as_policy", "auto", "full", "incremental", "differential", NULL};

static const struct field match_fields[] = {
    STRING(policy_match, labels, OPTIONAL),
    STRINGS(policy_match, names, OPTIONAL, .max = GLOBS_MAX),
    STRINGS(policy_match, hosts, OPTIONAL, .max = GLOBS_MAX),
    STRINGS(policy_match, kinds, OPTIONAL, .max = 8),
    {0},
};
const struct record_type policy_match_record = {"policy_match", sizeof(struct policy_match), match_fields};

static const struct field select_fields[] = {
    STRING(policy_select, labels, OPTIONAL),
    STRINGS(policy_select, names, OPTIONAL, .max = GLOBS_MAX),
    STRINGS(policy_select, hosts, OPTIONAL, .max = GLOBS_MAX),
    STRINGS(policy_select, kinds, OPTIONAL, .max = 8),
    RECORD(policy_select, exclude, policy_match_record, OPTIONAL),
    {0},
};
static const struct record_type policy_select_record = {"policy_select", sizeof(struct policy_select), select_fields};

static const struct field backup_fields[] = {
    ENUM(policy_backup, kind, backup_kind_names, OPTIONAL),
    ENUM(policy_backup, quiesce, quiesce_names, OPTIONAL),
    STRINGS(policy_backup, include, OPTIONAL, .max = GLOBS_MAX),
    STRINGS(policy_backup, exclude, OPTIONAL, .max = GLOBS_MAX),
    INT(policy_backup, rate_limit_bytes, OPTIONAL),
    BOOL(policy_backup, compress, OPTIONAL),
    INT(policy_backup, max_chain, OPTIONAL, .fallback = 30),
    INT(policy_backup, max_chain_age_ms, OPTIONAL, .fallback = 35 * DAY_MS),
    {0},
};
static const struct record_type policy_backup_record = {"policy_backup", sizeof(struct policy_backup), backup_fields};

static const struct field snapshot_fields[] = {
    ENUM(policy_snapshot, kind, snapshot_kind_names, OPTIONAL),
    ENUM(policy_snapshot, quiesce, quiesce_names, OPTIONAL),
    BOOL(policy_snapshot, disk_only, OPTIONAL),
    {0},
};
static const struct record_type policy_snapshot_record = {"policy_snapshot", sizeof(struct policy_snapshot),
                                                          snapshot_fields};

static const struct field verify_fields[] = {
    ENUM(policy_verify, depth, verify_depth_names, OPTIONAL, .fallback = VERIFY_CHECKSUM),
    INT(policy_verify, newest, OPTIONAL, .fallback = 1),
    INT(policy_verify, sample, OPTIONAL),
    INT(policy_verify, sample_percent, OPTIONAL),
    {0},
};
static const struct record_type policy_verify_record = {"policy_verify", sizeof(struct policy_verify), verify_fields};

static const struct field schedule_fields[] = {
    STRING(policy_schedule, name, .max = 64),
    STRING(policy_schedule, cron, .max = 256),
    ENUM(policy_schedule, kind, policy_kind_names, OPTIONAL),
    INT(policy_schedule, spread_ms, OPTIONAL),
    INT(policy_schedule, window_ms, OPTIONAL),
    ENUM(policy_schedule, window_end, policy_window_end_names, OPTIONAL),
    ENUM(policy_schedule, missed, policy_missed_names, OPTIONAL),
    INT(policy_schedule, missed_limit, OPTIONAL, .fallback = 3),
    {0},
};
const struct record_type policy_schedule_record = {"policy_schedule", sizeof(struct policy_schedule), schedule_fields};

static const struct field retention_fields[] = {
    INT(policy_retention, last, OPTIONAL),
    INT(policy_retention, hourly, OPTIONAL),
    INT(policy_retention, daily, OPTIONAL),
    INT(policy_retention, weekly, OPTIONAL),
    INT(policy_retention, monthly, OPTIONAL),
    INT(policy_retention, yearly, OPTIONAL),
    INT(policy_retention, keep_within_ms, OPTIONAL),
    INT(policy_retention, min_verified, OPTIONAL),
    BOOL(policy_retention, verified_only, OPTIONAL),
    BOOL(policy_retention, merge, OPTIONAL),
    {0},
};
const struct record_type policy_retention_record = {"policy_retention", sizeof(struct policy_retention),
                                                    retention_fields};

static const struct field limits_fields[] = {
    INT(policy_limits, jobs, OPTIONAL),           INT(policy_limits, per_host, OPTIONAL),
    INT(policy_limits, per_repository, OPTIONAL), INT(policy_limits, per_pool, OPTIONAL),
    INT(policy_limits, fulls, OPTIONAL),          {0},
};
static const struct record_type policy_limits_record = {"policy_limits", sizeof(struct policy_limits), limits_fields};

static const struct field notification_fields[] = {
    STRINGS(policy_notification, rules, OPTIONAL, .max = 16),
    STRINGS(policy_notification, to, OPTIONAL, .max = GLOBS_MAX),
    {0},
};
static const struct record_type policy_notification_record = {"policy_notification", sizeof(struct policy_notification),
                                                              notification_fields};

static const struct field policy_fields[] = {
    STRING(policy, name, .max = 64),
    STRING(policy, description, OPTIONAL),
    STRING(policy, owner, OPTIONAL, .max = 256),
    EMBEDDED(policy, select, policy_select_record),
    ENUM(policy, operation, policy_operation_names),
    STRING(policy, repository, OPTIONAL, .max = 128),
    RECORD(policy, backup, policy_backup_record, OPTIONAL),
    RECORD(policy, snapshot, policy_snapshot_record, OPTIONAL),
    RECORD(policy, verify, policy_verify_record, OPTIONAL),
    STRING(policy, time_zone, .max = 64),
    RECORDS(policy, schedules, policy_schedule_record, OPTIONAL, .max = SCHEDULES_MAX),
    RECORD(policy, retention, policy_retention_record, OPTIONAL),
    EMBEDDED(policy, limits, policy_limits_record, OPTIONAL),
    ENUM(policy, overlap, policy_overlap_names, OPTIONAL),
    INT(policy, priority, OPTIONAL, .fallback = 3),
    INT(policy, max_age_ms, OPTIONAL),
    RECORD(policy, notification, policy_notification_record, OPTIONAL),
    {0},
};
const struct record_type policy_record = {"policy", sizeof(struct policy), policy_fields};

static const struct {
    const char *record, *field, *doc;
} docs[] = {
    {"policy", "name", "Name of the policy: letters, digits, dots, dashes and underscores."},
    {"policy", "description", "What it is for, in words."},
    {"policy", "owner", "Who answers for it."},
    {"policy", "select", "Which targets; a target that appears later and matches is in at the next slot."},
    {"policy", "operation", "What is done with each of them."},
    {"policy", "repository",
     "Where backups go; without it each target's own default. For backup.copy, which needs it, where the copies go."},
    {"policy", "backup", "For backup.create."},
    {"policy", "snapshot", "For snapshot.create."},
    {"policy", "verify", "For backup.verify."},
    {"policy", "time_zone", "IANA time zone of schedules and of the days of retention, as in Europe/Berlin or UTC."},
    {"policy", "schedules", "When; without one it runs by run-now only."},
    {"policy", "retention", "What stays of what this policy made; without it nothing is deleted. Not for backup.verify."},
    {"policy", "limits", "How many of its jobs are under way at a time; 0 or absent: no limit."},
    {"policy", "overlap",
     "A target that still has a job of this policy: skip leaves it out of the new run, queue lets it wait its turn."},
    {"policy", "priority", "0 to 9, 9 first; default 3."},
    {"policy", "max_age", "A target whose newest complete backup is older, or that has none, is shown as late."},
    {"policy", "notification",
     "Who is told by webhook of what goes wrong with it; without it all webhooks, of everything."},
    {"policy_notification", "rules", "Only of these: failed, late, parked."},
    {"policy_notification", "to", "Only these webhooks, by their names in coordinator.yaml."},
    {"policy_select", "labels", "Label selector as in kubectl: app=shop,tier!=db."},
    {"policy_select", "names", "Names of targets with * and ?; one of them must fit."},
    {"policy_select", "hosts", "Names of hosts with * and ?; one of them must fit."},
    {"policy_select", "kinds", "Kinds of targets: libvirt."},
    {"policy_select", "exclude", "Targets that are left out although they match."},
    {"policy_match", "labels", "Label selector as in kubectl."},
    {"policy_match", "names", "Names with * and ?."},
    {"policy_match", "hosts", "Hosts with * and ?."},
    {"policy_match", "kinds", "Kinds of targets."},
    {"policy_backup", "kind", "auto is incremental where the chain is sound and not too long, else full."},
    {"policy_backup", "quiesce", "Freeze the file systems of the guest: prefer, require, never."},
    {"policy_backup", "include", "Only these disks, by target device."},
    {"policy_backup", "exclude", "Without these disks."},
    {"policy_backup", "rate_limit", "Bytes a second for each job, as in 100MiB."},
    {"policy_backup", "compress", "Compress what is written."},
    {"policy_backup", "max_chain", "Points in a chain before auto makes a full one; default 30."},
    {"policy_backup", "max_chain_age", "Age of a chain before auto makes a full one."},
    {"policy_snapshot", "kind", "auto, internal or external."},
    {"policy_snapshot", "quiesce", "Freeze the file systems of the guest: prefer, require, never."},
    {"policy_snapshot", "disk_only", "Disks only, without the state of the machine."},
    {"policy_verify", "depth", "manifest, checksum, image or boot; default checksum."},
    {"policy_verify", "newest", "Of each target the newest so many points that were not proven so deep; default 1."},
    {"policy_verify", "sample",
     "Instead: so many of all points of all targets, those that were never proven so deep or longest ago."},
    {"policy_verify", "sample_percent", "Likewise, as a share of all points in percent, rounded up."},
    {"policy_schedule", "name", "Name of the schedule within the policy."},
    {"policy_schedule", "cron", "minute hour day-of-month month day-of-week, or @daily and the like."},
    {"policy_schedule", "kind", "Kind of the backups of this schedule; as_policy: as backup.kind says."},
    {"policy_schedule", "spread", "Targets take their turns over this time, each always at the same place in it."},
    {"policy_schedule", "window", "Nothing starts later than this after the slot."},
    {"policy_schedule", "window_end", "Jobs that still run at the end of the window: leave or cancel."},
    {"policy_schedule", "missed", "Slots that nobody was there for: run the last, all (up to missed_limit), none."},
    {"policy_schedule", "missed_limit", "The newest so many with missed: all; default 3, at most 100."},
    {"policy_retention", "last", "The newest so many."},
    {"policy_retention", "hourly", "The newest of each of so many hours."},
    {"policy_retention", "daily", "The newest of each of so many days."},
    {"policy_retention", "weekly", "The newest of each of so many weeks, from Monday."},
    {"policy_retention", "monthly", "The newest of each of so many months."},
    {"policy_retention", "yearly", "The newest of each of so many years."},
    {"policy_retention", "keep_within", "All that is younger than this."},
    {"policy_retention", "min_verified", "So many verified points stay in any case."},
    {"policy_retention", "verified_only", "Only verified points are counted; others are neither counted nor deleted."},
    {"policy_retention", "merge",
     "A point that is kept only because the next one needs it is merged into that one, and goes."},
    {"policy_limits", "jobs", "In the whole fleet."},
    {"policy_limits", "per_host", "On one host."},
    {"policy_limits", "per_repository", "Into one repository."},
    {"policy_limits", "per_pool", "With disks in one storage pool, or one directory outside of all pools, of a host."},
    {"policy_limits", "fulls",
     "Full backups in one run that a revert made necessary, or something else that nobody asked for; the others wait for the next run."},
};

const char *policy_doc(const char *record, const char *field)
{
    for (size_t i = 0; i < sizeof docs / sizeof *docs; i++)
        if (strcmp(docs[i].record, record) == 0 && strcmp(docs[i].field, field) == 0)
            return docs[i].doc;
    return NULL;
}
