/*
 * Where the view stands in each partition: the offsets are in the file that they lead to, so they are always those of its rows. While young jobs wait in memory, what is saved
 * is where the view stood one transaction before: all that came until then is in the file. What is read twice then says nothing new.
 */
#include "base/err.h"
#include "coordinator/view_db.h"
#include "coordinator/view_internal.h"
#include "kafka/kafka.h"
#include "model/topics.h"

#include <string.h>

enum { METADATA_MS = 10000, WATERMARK_MS = 5000 };

static bool is_of(const struct view_place *place, const struct kafka_record *record)
{
    return place->partition == record->partition && strcmp(place->topic, record->topic) == 0;
}

struct view_place *view_place_of(struct view *view, const struct kafka_record *record)
{
    if (view->last_place < view->place_count && is_of(&view->places[view->last_place], record))
        return &view->places[view->last_place]; /* records come in runs */
    for (size_t i = 0; i < view->place_count; i++)
        if (is_of(&view->places[i], record)) {
            view->last_place = i;
            return &view->places[i];
        }
    return NULL;
}

int view_add_places(struct view *view, enum topic topic, view_read_record *read, struct err *err)
{
    int32_t partitions;

    if (kafka_partition_count(&view->options.kafka, topic_table[topic].name, METADATA_MS, &partitions, err) < 0)
        return -1;
    struct view_place *places = reallocarray(view->places, view->place_count + (size_t)partitions + 1, sizeof *places);
    if (!places)
        return err_memory(err, "view");
    view->places = places;
    for (int32_t i = 0; i < partitions; i++)
        view->places[view->place_count++] = (struct view_place){
            .topic = topic_table[topic].name, .partition = i, .read = read};
    return 0;
}

static int64_t saved_position(struct view *view, const struct view_place *place)
{
    sqlite3_stmt *statement = NULL;
    int64_t next = -1;

    if (view_db_prepare(view->db, "SELECT next FROM positions WHERE topic = ?1 AND partition = ?2", &statement, NULL) < 0)
        return -1;
    view_bind_text(statement, 1, place->topic);
    sqlite3_bind_int(statement, 2, place->partition);
    if (sqlite3_step(statement) == SQLITE_ROW)
        next = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return next;
}

static int assign_place(struct view *view, struct view_place *place, bool *out_in_range, struct err *err)
{
    int64_t low, high, saved = saved_position(view, place);

    if (kafka_watermarks(view->consumer, place->topic, place->partition, &low, &high, WATERMARK_MS, err) < 0)
        return -1;
    *out_in_range = saved < 0 || (saved >= low && saved <= high);
    place->next = place->boundary = place->saved = saved >= 0 ? saved : low;
    place->end = high;
    return kafka_consumer_assign(view->consumer, place->topic, place->partition,
                                 saved >= 0 ? saved : KAFKA_FROM_BEGINNING, err);
}

int view_save_positions(struct view *view, bool all, struct err *err)
{
    for (size_t i = 0; i < view->place_count; i++) {
        struct view_place *place = &view->places[i];
        int64_t safe = all ? place->next : place->boundary;
        place->boundary = place->next;
        if (safe == place->saved)
            continue;
        view_bind_text(view->set_position, 1, place->topic);
        sqlite3_bind_int(view->set_position, 2, place->partition);
        sqlite3_bind_int64(view->set_position, 3, safe);
        if (view_step_done(view->db, view->set_position, err) < 0)
            return -1;
        place->saved = safe;
    }
    return 0;
}

static int64_t saved_term(struct view *view)
{
    sqlite3_stmt *statement = NULL;
    int64_t term = 0;

    if (view_db_prepare(view->db, "SELECT value FROM meta WHERE key = 'term'", &statement, NULL) == 0 &&
        sqlite3_step(statement) == SQLITE_ROW)
        term = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return term;
}

int view_assign_all(struct view *view, bool *out_in_range, struct err *err)
{
    *out_in_range = true;
    for (size_t i = 0; i < view->place_count; i++) {
        bool in_range;
        if (assign_place(view, &view->places[i], &in_range, err) < 0)
            return -1;
        *out_in_range &= in_range;
    }
    leadership_init(&view->ledger, "");
    view->ledger.highest = saved_term(view);
    return 0;
}
