#include "coordinator/policy.h"

#include "base/err.h"
#include "base/text.h"
#include "base/yaml.h"
#include "coordinator/cron.h"
#include "coordinator/retention.h"
#include "coordinator/schedule.h"
#include "coordinator/zone.h"
#include "model/job.h"
#include "model/record_yaml.h"
#include "model/select.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_TEXT = 200, SOURCE_MAX = 64 * 1024 };

static const int64_t YEAR_MS = 366LL * 24 * 3600 * 1000;

/* ---- what the table cannot say ---- */

struct check {
    const struct policy *policy;
    char *path;
    struct err *err;
};

__attribute__((format(printf, 3, 4))) static int at(struct check *check, const char *what, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(check->path, PATH_TEXT, format, args);
    va_end(args);
    return what ? err_set(check->err, ERR_PERMANENT, "%s", what) : -1;
}

static int check_labels(struct check *check, const char *labels, const char *path)
{
    struct selector *selector = NULL;

    if (selector_parse(labels, &selector, check->err) < 0)
        return at(check, NULL, "%s.labels", path);
    selector_free(selector);
    return 0;
}

static int check_select(struct check *check)
{
    const struct policy_select *select = &check->policy->select;

    if (!select->labels && !select->names.count && !select->hosts.count && !select->kinds.count && !select->exclude)
        return at(check, "selects nothing by name: say names: [\"*\"] for every target", "select");
    if (check_labels(check, select->labels, "select") < 0)
        return -1;
    const struct policy_match *out = select->exclude;
    if (out && !out->labels && !out->names.count && !out->hosts.count && !out->kinds.count)
        return at(check, "says nothing, and would leave out every target", "select.exclude");
    return out ? check_labels(check, out->labels, "select.exclude") : 0;
}

static int check_verify(struct check *check)
{
    const struct policy_verify *verify = check->policy->verify;

    if (!verify)
        return 0;
    if (check->policy->operation != POLICY_BACKUP_VERIFY)
        return at(check, "is for operation backup.verify only", "verify");
    if (verify->newest < 1 || verify->newest > 100)
        return at(check, "must be within 1 to 100", "verify.newest");
    if (verify->sample_percent > 100)
        return at(check, "must be within 1 to 100", "verify.sample_percent");
    if (verify->sample && verify->sample_percent)
        return at(check, "is said twice: give sample or sample_percent", "verify.sample_percent");
    if (policy_samples(check->policy) && verify->newest != 1)
        return at(check, "a sample is of all points: give newest or a sample", "verify.newest");
    return 0;
}

static int check_operation(struct check *check)
{
    const struct policy *policy = check->policy;

    if (policy->backup && policy->operation != POLICY_BACKUP_CREATE)
        return at(check, "is for operation backup.create only", "backup");
    if (policy->snapshot && policy->operation != POLICY_SNAPSHOT_CREATE)
        return at(check, "is for operation snapshot.create only", "snapshot");
    if (policy->repository && policy->operation == POLICY_SNAPSHOT_CREATE)
        return at(check, "a snapshot stays where its machine is", "repository");
    if (policy->repository && !name_valid_plain(policy->repository))
        return at(check, "is no name of a repository", "repository");
    if (!policy->repository && policy->operation == POLICY_BACKUP_COPY)
        return at(check, "is missing: where the copies go", "repository");
    if (policy->backup && policy->backup->kind == BACKUP_DIFFERENTIAL && policy->backup->max_chain < 2)
        return at(check, "a differential needs a chain of 2", "backup.max_chain");
    if (policy->limits.fulls && policy->operation != POLICY_BACKUP_CREATE)
        return at(check, "is for operation backup.create only", "limits.fulls");
    return check_verify(check);
}

static int check_schedule(struct check *check, size_t index)
{
    const struct policy_schedule *schedule = list_at(&check->policy->schedules, struct policy_schedule, index);
    struct cron cron;

    if (!name_valid_plain(schedule->name) || strcmp(schedule->name, "manual") == 0 ||
        strcmp(schedule->name, "retention") == 0)
        return at(check, "must be a name of letters, digits, '.', '_' and '-', and not manual or retention",
                  "schedules[%zu].name", index);
    for (size_t i = 0; i < index; i++)
        if (strcmp(list_at(&check->policy->schedules, struct policy_schedule, i)->name, schedule->name) == 0)
            return at(check, "is the name of an earlier schedule", "schedules[%zu].name", index);
    if (cron_parse(schedule->cron, &cron, check->err) < 0)
        return at(check, NULL, "schedules[%zu].cron", index);
    if (schedule->kind && check->policy->operation != POLICY_BACKUP_CREATE)
        return at(check, "is for operation backup.create only", "schedules[%zu].kind", index);
    if (schedule->spread_ms > YEAR_MS || schedule->window_ms > YEAR_MS)
        return at(check, "is more than a year", "schedules[%zu].%s", index,
                  schedule->spread_ms > YEAR_MS ? "spread" : "window");
    if (schedule->window_ms && schedule->spread_ms >= schedule->window_ms)
        return at(check, "is not shorter than the window: the last targets would never have their turn",
                  "schedules[%zu].spread", index);
    if (schedule->window_end == WINDOW_END_CANCEL && !schedule->window_ms)
        return at(check, "there is no window that could end", "schedules[%zu].window_end", index);
    if (schedule->missed_limit < 1 || schedule->missed_limit > SCHEDULE_DUE_MAX)
        return at(check, "must be within 1 to 100", "schedules[%zu].missed_limit", index);
    return 0;
}

static int check_retention(struct check *check)
{
    const struct policy_retention *retention = check->policy->retention;

    if (!retention)
        return 0;
    if (check->policy->operation == POLICY_BACKUP_VERIFY)
        return at(check, "a policy that verifies makes nothing that could expire", "retention");
    struct retention_rules rules = policy_rules(retention);
    if (!retention_given(&rules))
        return at(check, "keeps nothing: say last, hourly, daily, weekly, monthly, yearly or keep_within", "retention");
    if (retention->verified_only && check->policy->operation == POLICY_SNAPSHOT_CREATE)
        return at(check, "snapshots are not verified", "retention.verified_only");
    if (retention->merge && check->policy->operation == POLICY_SNAPSHOT_CREATE)
        return at(check, "a snapshot goes without others: there is nothing to merge", "retention.merge");
    return 0;
}

struct retention_rules policy_rules(const struct policy_retention *retention)
{
    return (struct retention_rules){
        .last = retention->last,
        .hourly = retention->hourly,
        .daily = retention->daily,
        .weekly = retention->weekly,
        .monthly = retention->monthly,
        .yearly = retention->yearly,
        .keep_within_ms = retention->keep_within_ms,
        .min_verified = retention->min_verified,
        .verified_only = retention->verified_only,
        .merge = retention->merge,
    };
}

static int check_notification(struct check *check)
{
    const struct policy_notification *notification = check->policy->notification;

    for (size_t i = 0; notification && i < notification->rules.count; i++) {
        const char *rule = notification->rules.items[i];
        if (strcmp(rule, "failed") != 0 && strcmp(rule, "late") != 0 && strcmp(rule, "parked") != 0)
            return at(check, "a policy is told of failed, late or parked", "notification.rules[%zu]", i);
    }
    return 0;
}

int policy_check(const struct policy *policy, char *out_path, struct err *err)
{
    struct check check = {policy, out_path, err};
    struct zone *zone = NULL;

    *out_path = '\0';
    if (!name_valid_plain(policy->name))
        return at(&check, "must be letters, digits, '.', '_' and '-'", "name");
    if (check_select(&check) < 0 || check_operation(&check) < 0)
        return -1;
    if (zone_open(policy->time_zone, &zone, err) < 0)
        return at(&check, NULL, "time_zone");
    zone_free(zone);
    for (size_t i = 0; i < policy->schedules.count; i++)
        if (check_schedule(&check, i) < 0)
            return -1;
    if (policy->priority < 0 || policy->priority > 9)
        return at(&check, "must be within 0 to 9", "priority");
    return check_retention(&check) < 0 ? -1 : check_notification(&check);
}

bool policy_samples(const struct policy *policy)
{
    return policy->verify && (policy->verify->sample || policy->verify->sample_percent);
}

/* ---- files ---- */

void policy_texts_clear(struct policy_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        policy_free(texts->items[i].policy);
        free(texts->items[i].source);
    }
    free(texts->items);
    *texts = (struct policy_texts){0};
}

static int check_document(const char *file, const struct yaml_node *root, const struct policy *policy, struct err *err)
{
    char path[PATH_TEXT];
    struct err why = {0};

    if (policy_check(policy, path, &why) == 0)
        return 0;
    const struct yaml_node *node = yaml_at(root, path);
    err_set(err, why.kind, "%s:%zu:%zu: %s: %s", file, node->line, node->column, path, why.text);
    return *why.hint ? err_hint(err, "%s", why.hint) : -1;
}

/* A line of dashes between documents belongs to neither. */
static char *source_of(const char *text, const struct yaml_document *document)
{
    const char *start = text + document->first;
    size_t len = document->last - document->first;

    while (len && strchr("\r\n ", *start))
        start++, len--;
    if (len >= 3 && strncmp(start, "---", 3) == 0) {
        const char *end = memchr(start, '\n', len);
        size_t cut = end ? (size_t)(end - start) + 1 : len;
        start += cut;
        len -= cut;
    }
    return strndup(start, len);
}

static int add_policy(struct policy_texts *texts, struct policy *policy, char *source, struct err *err)
{
    struct policy_text *items = policy && source ? reallocarray(texts->items, texts->count + 1, sizeof *items) : NULL;

    if (!items) {
        policy_free(policy);
        free(source);
        return err_memory(err, "policies");
    }
    texts->items = items;
    items[texts->count++] = (struct policy_text){policy, source};
    return 0;
}

static int read_document(const char *file, const char *text, const struct yaml_document *document,
                         struct policy_texts *texts, struct err *err)
{
    CLEANUP(policy_freep) struct policy *policy = calloc(1, sizeof *policy);

    if (!policy)
        return err_memory(err, file);
    if (record_from_yaml(&policy_record, policy, file, &document->root, err) < 0 ||
        check_document(file, &document->root, policy, err) < 0)
        return -1;
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->items[i].policy->name, policy->name) == 0)
            return err_set(err, ERR_PERMANENT, "%s:%zu:%zu: name: policy %s is in this file already", file,
                           document->root.line, document->root.column, policy->name);
    if (document->last - document->first > SOURCE_MAX)
        return err_set(err, ERR_PERMANENT, "%s:%zu:1: a policy is at most %d bytes long", file, document->root.line,
                       SOURCE_MAX);
    return add_policy(texts, TAKE_PTR(policy), source_of(text, document), err);
}

int policies_read(const char *file, const char *text, size_t len, struct policy_texts *out, struct err *err)
{
    CLEANUP(yaml_file_clear) struct yaml_file parsed = {0};
    CLEANUP(policy_texts_clear) struct policy_texts texts = {0};

    if (yaml_read(file, text, len, &parsed, err) < 0)
        return -1;
    for (size_t i = 0; i < parsed.count; i++)
        if (read_document(file, text, &parsed.documents[i], &texts, err) < 0)
            return -1;
    if (!texts.count)
        return err_set(err, ERR_PERMANENT, "%s: holds no policy", file);
    *out = texts;
    texts = (struct policy_texts){0};
    return 0;
}

void policy_schema(struct text *out)
{
    record_json_schema(&policy_record, "Fleetsnap policy", policy_doc, out);
}

/* ---- which targets ---- */

struct policy_matcher {
    const struct policy *policy;
    struct selector *labels, *excluded_labels;
};

void policy_matcher_free(struct policy_matcher *matcher)
{
    if (!matcher)
        return;
    selector_free(matcher->labels);
    selector_free(matcher->excluded_labels);
    free(matcher);
}

int policy_matcher_new(const struct policy *policy, struct policy_matcher **out, struct err *err)
{
    CLEANUP(policy_matcher_freep) struct policy_matcher *matcher = calloc(1, sizeof *matcher);
    const struct policy_match *exclude = policy->select.exclude;

    if (!matcher)
        return err_memory(err, policy->name);
    matcher->policy = policy;
    if (selector_parse(policy->select.labels, &matcher->labels, err) < 0 ||
        (exclude && selector_parse(exclude->labels, &matcher->excluded_labels, err) < 0))
        return -1;
    *out = TAKE_PTR(matcher);
    return 0;
}

/* No glob at all fits everything. */
static bool fits(const struct strings *globs, const char *text)
{
    for (size_t i = 0; i < globs->count; i++)
        if (fnmatch(globs->items[i], text ? text : "", 0) == 0)
            return true;
    return globs->count == 0;
}

bool policy_selects(const struct policy_matcher *matcher, const struct policy_target *target)
{
    const struct policy_select *select = &matcher->policy->select;
    const struct policy_match *exclude = select->exclude;

    if (!selector_match(matcher->labels, target->labels) || !fits(&select->names, target->name) ||
        !fits(&select->hosts, target->host) || !fits(&select->kinds, target->kind))
        return false;
    return !exclude || !selector_match(matcher->excluded_labels, target->labels) ||
           !fits(&exclude->names, target->name) || !fits(&exclude->hosts, target->host) ||
           !fits(&exclude->kinds, target->kind);
}
