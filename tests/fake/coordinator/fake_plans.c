/* Policies, runs, deploys, reports: lists are the tables of that name; what is found there by name or id is shown, changed and cancelled. */
#include "fake/coordinator/internal.h"

#include "base/cleanup.h"
#include "coordinator/deploys.h"
#include "coordinator/plans.h"
#include "coordinator/plans_recover.h"
#include "coordinator/transfer.h"
#include "model/select.h"

#include <stdio.h>
#include <string.h>

static json_t *find_item(struct coordinator *fake, const char *table, const char *member, const char *value)
{
    json_t *item;
    size_t index;

    json_array_foreach(json_object_get(fake->tables, table), index, item)
    {
        const char *text = json_string_value(json_object_get(item, member));
        if (text && strncmp(text, value, strlen(value)) == 0)
            return item;
    }
    return NULL;
}

static int copy_table(struct coordinator *fake, const char *table, json_t **out, struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    *out = json_deep_copy(json_object_get(fake->tables, table));
    if (!*out)
        *out = json_array();
    return 0;
}

static int copy_item(struct coordinator *fake, const char *table, const char *member, const char *value, json_t **out,
                     struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    *out = json_deep_copy(find_item(fake, table, member, value));
    return *out != NULL;
}

static int change_item(struct coordinator *fake, const char *table, const char *member, const char *value,
                       const char *changed, json_t *to, struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    json_t *item = find_item(fake, table, member, value);
    int result = fake_fails(fake, err) < 0 ? -1 : item != NULL;

    if (result > 0)
        json_object_set(item, changed, to);
    json_decref(to);
    return result;
}

/* No YAML here: a text with a tab is wrong, another is one policy "nightly". */
int plans_apply(struct coordinator *fake, const struct caller *caller, const char *file, const char *yaml,
                const char *reason, bool dry_run, json_t **out, struct err *err)
{
    (void)caller;
    (void)reason;
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    if (strchr(yaml, '\t'))
        return err_set(err, ERR_PERMANENT, "%s:1:1: a tab", file);
    json_t *known = find_item(fake, "policies", "name", "nightly");
    const char *before = json_string_value(json_object_get(known, "source"));
    *out = json_pack("{s:[{s:s, s:i, s:s, s:s?, s:s}]}", "policies", "name", "nightly", "version", known ? 2 : 1,
                     "change",
                     !known                                ? "created"
                     : before && strcmp(before, yaml) == 0 ? "unchanged"
                                                           : "changed",
                     "before", before, "after", yaml);
    if (known && !dry_run)
        json_object_set_new(known, "source", json_string(yaml));
    return 0;
}

int plans_list(struct coordinator *fake, json_t **out, struct err *err)
{
    return copy_table(fake, "policies", out, err);
}

int plans_show(struct coordinator *fake, const char *name, json_t **out, struct err *err)
{
    return copy_item(fake, "policies", "name", name, out, err) < 0 ? -1 : 0;
}

int plans_pause(struct coordinator *fake, const struct caller *caller, const char *name, bool pause, const char *reason,
                struct err *err)
{
    (void)caller;
    (void)reason;
    return change_item(fake, "policies", "name", name, "paused", json_boolean(pause), err);
}

int plans_delete(struct coordinator *fake, const struct caller *caller, const char *name, const char *reason,
                 struct err *err)
{
    (void)caller;
    (void)reason;
    return change_item(fake, "policies", "name", name, "name", json_string("(deleted)"), err);
}

int plans_run_now(struct coordinator *fake, struct view_reader *reader, const struct caller *caller, const char *name,
                  char *out_run_id, struct err *err)
{
    json_t *run = NULL;
    int result = copy_item(fake, "runs", "policy", name, &run, err);

    (void)reader;
    (void)caller;
    if (result > 0)
        snprintf(out_run_id, 37, "%s", json_string_value(json_object_get(run, "run_id")));
    json_decref(run);
    return result;
}

int plans_preview(struct coordinator *fake, struct view_reader *reader, const char *name, const char *file,
                  const char *yaml, int64_t firings, json_t **out, struct err *err)
{
    (void)reader;
    (void)file;
    (void)firings;
    return copy_item(fake, "previews", "name", yaml ? "nightly" : name, out, err);
}

/* Who has a backup is protected, by the policy "nightly". */
int plans_annotate(struct coordinator *fake, json_t *items, bool unprotected_only, struct err *err)
{
    (void)fake;
    (void)err;
    for (size_t i = json_array_size(items); i-- > 0;) {
        json_t *item = json_array_get(items, i);
        bool has = json_is_object(json_object_get(item, "last_backup"));
        json_object_set_new(item, "policies", has ? json_pack("[s]", "nightly") : json_array());
        json_object_set_new(item, "protection", json_string(has ? "protected" : "unprotected"));
        if (unprotected_only && has)
            json_array_remove(items, i);
    }
    return 0;
}

int transfer_export(struct coordinator *fake, json_t **out, struct err *err)
{
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    *out = json_pack("{s:i, s:i, s:[{s:s}]}", "fleetsnap_export", TRANSFER_VERSION, "epoch", 3, "records", "id",
                     "alpha");
    return *out ? 0 : err_memory(err, "export");
}

int transfer_import(struct coordinator *fake, const struct caller *caller, const json_t *document, bool dry_run,
                    json_t **out, struct err *err)
{
    int count = (int)json_array_size(json_object_get(document, "records"));

    (void)caller;
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    *out = json_pack("{s:b, s:o, s:{s:{s:i, s:i}}}", "dry_run", dry_run, "epoch",
                     json_object_get(document, "epoch") ? json_integer(1027) : json_null(), "kinds", "host", "added",
                     count, "there", 0);
    return *out ? 0 : err_memory(err, "import");
}

int plans_recover(struct coordinator *fake, struct view_reader *reader, const struct caller *caller,
                  const struct recovery *asked, json_t **out, struct err *err)
{
    (void)reader;
    (void)caller;
    LOCK_SCOPE(&fake->lock);
    if (fake_fails(fake, err) < 0)
        return -1;
    *out = json_pack("{s:s, s:s?, s:b, s:[{s:i, s:s, s:s, s:s, s:s, s:i, s:s}, {s:n, s:s, s:n, s:s}], s:i, s:i, s:i}",
                     "host", asked->host, "run_id", asked->dry_run ? NULL : "5f1e0000-0000-4000-8000-000000000001",
                     "dry_run", asked->dry_run, "targets", "order", 1, "name", "shop-2", "point",
                     "5f1e2a33-0000-4000-8000-000000000001", "backup_kind", "full", "created_at", "2026-11-20T02:14:00Z",
                     "size_bytes", 1073741824, "onto", asked->onto->items[0], "order", "name", "legacy", "onto", "why",
                     "no good backup: it cannot be recovered", "recoverable", 1, "total", 2, "size_bytes", 1073741824);
    return *out ? 0 : err_memory(err, "recover");
}

int plans_report(struct coordinator *fake, struct view_reader *reader, int64_t since_ms, json_t **out, struct err *err)
{
    (void)fake;
    (void)reader;
    (void)err;
    *out = json_pack(
        "{s:I, s:{s:i, s:i, s:i, s:i, s:i, s:s, s:i, s:i, s:i, s:[{s:s, s:i}]}, "
        "s:[{s:s, s:s, s:i, s:i, s:i, s:i, s:s, s:i, s:s, s:i}], s:[{s:s, s:s, s:i, s:s}, {s:s, s:s, s:n, s:s}]}",
        "since_ms", (json_int_t)since_ms, "fleet", "targets", 4, "restorable", 1, "late", 1, "unprotected", 2,
        "worst_age_ms", 97200000, "worst_target", "shop-1", "worst_gap_ms", 97200000, "unverified", 3, "failures", 2,
        "causes", "cause", "backup.create FAILED: no room", "count", 2, "policies", "name", "nightly", "operation",
        "backup.create", "targets", 2, "restorable", 1, "late", 1, "worst_age_ms", 97200000, "worst_target", "shop-1",
        "max_age_ms", 93600000, "last_verified_at", "2026-11-19T12:00:00Z", "failures", 2, "targets", "name", "shop-1",
        "host", "alpha", "age_ms", 97200000, "protection", "late", "name", "db", "host", "beta", "age_ms", "protection",
        "unprotected");
    return *out ? 0 : -1;
}

int plans_runs(struct coordinator *fake, const char *policy, bool open_only, int64_t limit, json_t **out,
               struct err *err)
{
    (void)policy;
    (void)open_only;
    (void)limit;
    return copy_table(fake, "runs", out, err);
}

int plans_run_show(struct coordinator *fake, struct view_reader *reader, const char *prefix, json_t **out,
                   struct err *err)
{
    (void)reader;
    return copy_item(fake, "runs", "run_id", prefix, out, err);
}

int plans_run_cancel(struct coordinator *fake, const struct caller *caller, const char *prefix, const char *reason,
                     char *out_run_id, struct err *err)
{
    (void)caller;
    snprintf(out_run_id, 37, "%s", prefix);
    return change_item(fake, "runs", "run_id", prefix, "cancel", json_string(reason ? reason : ""), err);
}

/* ---- deploys ---- */

/* As the table "deploys" has it; a list in its "next" is states that it comes to, one each time that it is shown. */
int deploys_show(struct coordinator *fake, struct view_reader *reader, const struct caller *caller, const char *id,
                 json_t **out, struct err *err)
{
    (void)reader;
    (void)caller;
    LOCK_SCOPE(&fake->lock);
    json_t *item = find_item(fake, "deploys", "deploy_id", id), *next = json_object_get(item, "next");

    if (fake_fails(fake, err) < 0)
        return -1;
    if (json_array_size(next)) {
        json_object_update(item, json_array_get(next, 0));
        json_array_remove(next, 0);
    }
    *out = item ? json_deep_copy(item) : NULL;
    return item != NULL;
}

int deploys_begin(struct coordinator *fake, struct view_reader *reader, const struct caller *caller, const char *id,
                  const struct deploy *asked, bool dry_run, json_t **out, struct err *err)
{
    CLEANUP(freep) char *text = NULL;
    int found = deploys_show(fake, reader, caller, id, out, err);

    if (found)
        return found < 0 ? -1 : 0;
    if (strstr(asked->selector, "nothing"))
        return err_set(err, ERR_PERMANENT, "no target has the labels \"%s\"", asked->selector);
    if (record_to_json(&deploy_record, asked, false, &text, err) < 0)
        return -1;
    LOCK_SCOPE(&fake->lock);
    *out = json_loads(text, 0, NULL);
    json_object_set_new(*out, "deploy_id", json_string(id));
    json_object_set_new(*out, "dry_run", json_boolean(dry_run));
    return 0;
}

int deploys_say(struct coordinator *fake, struct view_reader *reader, const struct caller *caller, const char *id,
                const struct deploy_word *word, bool dry_run, json_t **out, struct err *err)
{
    CLEANUP(freep) char *text = NULL;
    int found = deploys_show(fake, reader, caller, id, out, err);

    if (found <= 0)
        return found;
    if (record_to_json(&deploy_word_record, word, false, &text, err) < 0)
        return -1;
    json_object_set_new(*out, "said", json_loads(text, 0, NULL));
    json_object_set_new(*out, "dry_run", json_boolean(dry_run));
    return 1;
}

int deploys_list(struct coordinator *fake, const struct caller *caller, bool open_only, int64_t limit, json_t **out,
                 struct err *err)
{
    (void)caller;
    (void)open_only;
    (void)limit;
    return copy_table(fake, "deploys", out, err);
}
