/* Catalog, inventory and dead letters: records with a revision, of which the highest counts, and tombstones. */
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/ledger.h"
#include "coordinator/view_db.h"
#include "coordinator/view_internal.h"
#include "kafka/kafka.h"
#include "model/audit.h"
#include "model/inventory.h"
#include "model/restore_point.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

static bool key_text(const struct kafka_record *record, char *out, size_t size)
{
    if (!record->key || !record->key_len || record->key_len >= size || memchr(record->key, '\0', record->key_len))
        return false;
    memcpy(out, record->key, record->key_len);
    out[record->key_len] = '\0';
    return true;
}

static int64_t tombstone_revision(const struct kafka_record *record)
{
    const char *text = kafka_header(record, "fs-rev");
    int64_t revision = 0;

    return text && parse_int(text, 1, INT64_MAX, &revision, NULL) == 0 ? revision : 0;
}

/* ---- catalog ---- */

/* Both are in no list. A removed one comes back when its repository is imported; a closed one never. */
enum { CLOSED = 1, REMOVED = 2 };

struct known_point {
    bool found, closed, listed;
    int64_t revision, size_bytes;
    char target[TARGET_TEXT], repository[64];
};

static void find_point(struct view *view, const char *id, struct known_point *out)
{
    *out = (struct known_point){0};
    view_bind_text(view->get_point, 1, id);
    if (sqlite3_step(view->get_point) == SQLITE_ROW) {
        out->found = true;
        out->revision = sqlite3_column_int64(view->get_point, 0);
        out->closed = sqlite3_column_int(view->get_point, 1) == CLOSED;
        out->listed = !sqlite3_column_int(view->get_point, 1);
        out->size_bytes = sqlite3_column_int64(view->get_point, 4);
        snprintf(out->target, sizeof out->target, "%s", view_text(view->get_point, 2));
        snprintf(out->repository, sizeof out->repository, "%s", view_text(view->get_point, 3));
    }
    sqlite3_reset(view->get_point);
}

/* A job writes points of its own target; one on a repository (import, clean) of all in it. That it merely uses the repository gives it no say over others' points. */
static bool job_covers(const struct ledger_job_facts *job, const char *target, const char *repository)
{
    if (job->op == OP_SNAPSHOT_LIST || job->op == OP_SNAPSHOT_SHOW)
        return false;
    if (strcmp(job->target, target) == 0)
        return true;
    if (!repository || !*repository)
        return false;
    return strncmp(job->target, "repository:", 11) == 0 && strcmp(job->target + 11, repository) == 0;
}

static bool writer_verifies(struct view *view, const struct kafka_record *record, struct ledger_job_facts *job,
                            const char **out_why)
{
    struct signed_record heard;

    view_read_headers(record, &heard);
    const char *job_id = heard.said.fs_job, *host = heard.said.fs_host;
    if (!job_id || !host || !uuid_valid(job_id))
        *out_why = "no fs-job or fs-host";
    else if (!view_knows_job(view, job_id, job))
        *out_why = "the ledger knows no such job";
    else if (strcmp(host, job->host) != 0)
        *out_why = "fs-host is not the host of the job that writes";
    else
        return view_verifies(view, &heard, host, out_why);
    return false;
}

/*
 * Who may speak first of an id that is not known yet: a point's id is the id of the job that made it, and that job says whose it is. Of an id that no job in the ledger
 * made (one forgotten, or imported) a tombstone is believed only from the deletion that names it. So nobody can close, or occupy, another's id before it is known.
 */
static bool may_be_first(struct view *view, const char *id, const struct ledger_job_facts *job, const char *target,
                         bool tombstone)
{
    struct ledger_job_facts maker;

    if (uuid_valid(id) && view_knows_job(view, id, &maker))
        return target ? strcmp(maker.target, target) == 0 : job_covers(job, maker.target, maker.repository);
    return !tombstone || strcmp(job->point, id) == 0;
}

static int forget_held(struct view *view, const struct known_point *known, struct err *err)
{
    return known->listed ? view_add_held(view, known->repository, -1, -known->size_bytes, err) : 0;
}

static int close_point(struct view *view, const struct kafka_record *record, const char *id,
                       const struct ledger_job_facts *job, struct err *err)
{
    struct known_point known;
    int64_t revision = tombstone_revision(record);

    find_point(view, id, &known);
    if (known.closed)
        return 0;
    if (!revision || (known.found ? revision <= known.revision || !job_covers(job, known.target, known.repository)
                                  : !may_be_first(view, id, job, NULL, true))) {
        view_refuse(view, record,
                    revision ? "an old tombstone, or of a job that has no say over this point"
                             : "a tombstone without fs-rev");
        return 0;
    }
    view_bind_text(view->set_point, 1, id);
    sqlite3_bind_int64(view->set_point, 2, revision);
    sqlite3_bind_int(view->set_point, 3, CLOSED);
    for (int i = 4; i <= 16; i++)
        sqlite3_bind_null(view->set_point, i);
    view_bind_text(view->set_point, 5, known.target);
    view_bind_text(view->set_point, 7, known.repository);
    return view_step_done(view->db, view->set_point, err) < 0 ? -1 : forget_held(view, &known, err);
}

/* Not deleted, but gone with its machine, or with its repository. */
static bool is_removed(struct view *view, const struct kafka_record *record, const struct restore_point *point)
{
    return point->removed_at_ms || (strcmp(point->kind, "snapshot") == 0 && point->host &&
                                    record->timestamp_ms < view_host_since(view, point->host));
}

static int set_point(struct view *view, const struct kafka_record *record, const struct restore_point *point,
                     const char *target, struct err *err)
{
    sqlite3_stmt *statement = view->set_point;

    view_bind_text(statement, 1, point->id);
    sqlite3_bind_int64(statement, 2, point->revision);
    int closed = point->state == POINT_DELETED ? CLOSED : is_removed(view, record, point) ? REMOVED : 0;
    sqlite3_bind_int(statement, 3, closed);
    view_bind_text(statement, 4, point->kind);
    view_bind_text(statement, 5, target);
    view_bind_text(statement, 6, point->host);
    view_bind_text(statement, 7, point->repository);
    view_bind_text(statement, 8, point->name);
    sqlite3_bind_int(statement, 9, point->state);
    sqlite3_bind_int64(statement, 10, point->created_at_ms);
    sqlite3_bind_int64(statement, 11, point->size_bytes);
    view_bind_text(statement, 12, point->writer);
    view_bind_blob(statement, 13, record->value, record->value_len);
    sqlite3_bind_int64(statement, 14, record->timestamp_ms);
    sqlite3_bind_int64(statement, 15, point->expires_at_ms);
    view_bind_text(statement, 16, point->group_name);
    if (view_step_done(view->db, statement, err) < 0)
        return -1;
    return closed ? 0 : view_add_held(view, point->repository, 1, point->size_bytes, err);
}

static int keep_point(struct view *view, const struct kafka_record *record, const char *id,
                      const struct ledger_job_facts *job, const struct restore_point *point, struct err *err)
{
    char target[TARGET_TEXT];
    struct known_point known;

    find_point(view, id, &known);
    target_format(&point->target, target);
    bool same = known.found ? strcmp(known.target, target) == 0 : may_be_first(view, id, job, target, false);
    if (!same || strcmp(point->id, id) != 0 || !job_covers(job, target, point->repository)) {
        view_refuse(view, record, "the job that writes is about another target, or the point is");
        return 0;
    }
    if (known.closed || (known.found && point->revision <= known.revision))
        return 0;
    return forget_held(view, &known, err) < 0 ? -1 : set_point(view, record, point, target, err);
}

int view_read_catalog(struct view *view, const struct kafka_record *record, struct err *err)
{
    char id[256];
    const char *why = "a key that is none";
    struct ledger_job_facts job;
    struct restore_point point = {0};
    struct err wrong = {0};
    int result = 0;

    if (!key_text(record, id, sizeof id) || !writer_verifies(view, record, &job, &why)) {
        view_refuse(view, record, why);
        return 0;
    }
    if (!record->value)
        return close_point(view, record, id, &job, err);
    if (wire_decode(view->wire, &restore_point_record, record->value, record->value_len,
                    topic_table[TOPIC_CATALOG].max_bytes, &point, &wrong) < 0)
        view_refuse(view, record, wrong.text);
    else
        result = keep_point(view, record, id, &job, &point, err);
    restore_point_clear(&point);
    return result;
}

/* ---- inventory ---- */

static int64_t known_revision(sqlite3_stmt *statement, const char *key)
{
    int64_t revision = 0;

    view_bind_text(statement, 1, key);
    if (sqlite3_step(statement) == SQLITE_ROW)
        revision = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return revision;
}

static int set_target(struct view *view, const struct kafka_record *record, const char *key,
                      const struct inventory *inventory, bool bygone, struct err *err)
{
    const struct inventory_target *target = inventory && !bygone ? inventory->target : NULL;
    sqlite3_stmt *statement = view->set_target;
    char text[TARGET_TEXT] = "", host[64];

    snprintf(host, sizeof host, "%.*s", (int)strcspn(key, "/"), key);
    view_bind_text(statement, 1, key);
    sqlite3_bind_int64(statement, 2, inventory ? inventory->revision : tombstone_revision(record));
    sqlite3_bind_int(statement, 3, !target);
    view_bind_text(statement, 4, host);
    view_bind_text(statement, 5, target ? target_format(&target->target, text) : strchr(key, '/') + 1);
    view_bind_text(statement, 6, target ? target->target.name : NULL);
    view_bind_text(statement, 7, target ? target->state : NULL);
    sqlite3_bind_int64(statement, 8, inventory ? inventory->at_ms : record->timestamp_ms);
    view_bind_blob(statement, 9, target ? record->value : NULL, target ? record->value_len : 0);
    sqlite3_bind_int64(statement, 10, record->timestamp_ms);
    return view_step_done(view->db, statement, err);
}

static int set_host(struct view *view, const struct kafka_record *record, const char *key,
                    const struct inventory *inventory, bool bygone, struct err *err)
{
    sqlite3_stmt *statement = view->set_host;
    bool gone = !inventory || bygone;

    view_bind_text(statement, 1, key);
    sqlite3_bind_int64(statement, 2, inventory ? inventory->revision : tombstone_revision(record));
    sqlite3_bind_int(statement, 3, gone);
    sqlite3_bind_int64(statement, 4, inventory ? inventory->at_ms : record->timestamp_ms);
    view_bind_blob(statement, 5, gone ? NULL : record->value, gone ? 0 : record->value_len);
    if (view_step_done(view->db, statement, err) < 0)
        return -1;
    return view_set_spaces(view, key, gone ? NULL : inventory->host, err);
}

/* Exactly one of the two, and the one that the key names. */
static bool content_fits(const struct inventory *inventory, const char *key, const char *host)
{
    char wanted[512], target[TARGET_TEXT];

    if (inventory->host && !inventory->target)
        return strcmp(key, host) == 0 && inventory->host->host && strcmp(inventory->host->host, host) == 0;
    if (!inventory->target || inventory->host)
        return false;
    snprintf(wanted, sizeof wanted, "%s/%s", host, target_format(&inventory->target->target, target));
    return strcmp(key, wanted) == 0 && inventory->target->host && strcmp(inventory->target->host, host) == 0;
}

static int keep_inventory(struct view *view, const struct kafka_record *record, const char *key, const char *host,
                          const struct inventory *inventory, struct err *err)
{
    bool is_target = strchr(key, '/') != NULL, bygone = record->timestamp_ms < view_host_since(view, host);
    int64_t revision = inventory ? inventory->revision : tombstone_revision(record);

    if (inventory && !content_fits(inventory, key, host)) {
        view_refuse(view, record, "the key names another host or target than the content");
        return 0;
    }
    view_heard(view, host, record->timestamp_ms);
    if (revision <= known_revision(is_target ? view->get_target : view->get_host, key))
        return 0;
    return is_target ? set_target(view, record, key, inventory, bygone, err)
                     : set_host(view, record, key, inventory, bygone, err);
}

int view_read_inventory(struct view *view, const struct kafka_record *record, struct err *err)
{
    char key[512], host[512];
    const char *why = "a key that is none";
    struct signed_record heard;
    struct inventory inventory = {0};
    struct err wrong = {0};
    int result = 0;

    view_read_headers(record, &heard);
    const char *said = heard.said.fs_host;
    if (key_text(record, key, sizeof key)) {
        snprintf(host, sizeof host, "%.*s", (int)strcspn(key, "/"), key);
        why = "fs-host is not the host of the key";
        if (said && strcmp(said, host) == 0 && name_valid_host(host) && view_verifies(view, &heard, host, &why))
            why = NULL;
    }
    if (why) {
        view_refuse(view, record, why);
        return 0;
    }
    if (!record->value)
        return keep_inventory(view, record, key, host, NULL, err);
    if (wire_decode(view->wire, &inventory_record, record->value, record->value_len,
                    topic_table[TOPIC_INVENTORY].max_bytes, &inventory, &wrong) < 0)
        view_refuse(view, record, wrong.text);
    else
        result = keep_inventory(view, record, key, host, &inventory, err);
    inventory_clear(&inventory);
    return result;
}

/* ---- dead letters ---- */

int view_read_dlq(struct view *view, const struct kafka_record *record, struct err *err)
{
    struct signed_record heard;
    struct dead_letter letter = {0};
    const char *why;
    char source[400];
    int result = 0;

    view_read_headers(record, &heard);
    if (!record->value || !view_verifies(view, &heard, heard.said.fs_host ? heard.said.fs_host : "", &why))
        return 0; /* a dead letter about a dead letter would never end */
    if (wire_decode(view->wire, &dead_letter_record, record->value, record->value_len, topic_table[TOPIC_DLQ].max_bytes,
                    &letter, NULL) == 0) {
        /* A view that is built anew reports again what it cannot believe: one letter per record and reporter. */
        snprintf(source, sizeof source, "%s/%lld/%lld/%s", letter.topic, (long long)letter.partition,
                 (long long)letter.offset, letter.by ? letter.by : "");
        sqlite3_bind_int(view->add_dead, 1, record->partition);
        sqlite3_bind_int64(view->add_dead, 2, record->offset);
        sqlite3_bind_int64(view->add_dead, 3, record->timestamp_ms);
        view_bind_text(view->add_dead, 4, source);
        view_bind_blob(view->add_dead, 5, record->value, record->value_len);
        result = view_step_done(view->db, view->add_dead, err);
    }
    dead_letter_clear(&letter);
    return result;
}
