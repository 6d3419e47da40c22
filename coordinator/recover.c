#include "coordinator/recover.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recover_place *recover_add_place(struct recover *recover, const char *host, struct err *err)
{
    struct recover_place *places = reallocarray(recover->places, recover->place_count + 1, sizeof *places);

    if (!places) {
        err_memory(err, host);
        return NULL;
    }
    recover->places = places;
    struct recover_place *place = &places[recover->place_count++];
    *place = (struct recover_place){0};
    snprintf(place->host, sizeof place->host, "%s", host);
    return place;
}

static struct recover_item *find_item(const struct recover *recover, const char *target)
{
    for (size_t i = 0; i < recover->item_count; i++)
        if (strcmp(recover->items[i].target, target) == 0)
            return &recover->items[i];
    return NULL;
}

struct recover_item *recover_add_item(struct recover *recover, const char *target, const char *name, struct err *err)
{
    struct recover_item *item = find_item(recover, target), *items;

    if (item)
        return item;
    items = reallocarray(recover->items, recover->item_count + 1, sizeof *items);
    if (!items) {
        err_memory(err, target);
        return NULL;
    }
    recover->items = items;
    item = &items[recover->item_count];
    *item = (struct recover_item){0};
    snprintf(item->target, sizeof item->target, "%s", target);
    if (string_set(&item->name, name ? name : target, err) < 0)
        return NULL;
    recover->item_count++;
    return item;
}

void recover_clear(struct recover *recover)
{
    for (size_t i = 0; i < recover->place_count; i++) {
        strings_clear(&recover->places[i].repositories);
        strings_clear(&recover->places[i].machines);
    }
    for (size_t i = 0; i < recover->item_count; i++)
        free(recover->items[i].name);
    free(recover->places);
    free(recover->items);
    strings_clear(&recover->whole);
    *recover = (struct recover){0};
}

static bool has(const struct strings *strings, const char *text)
{
    for (size_t i = 0; i < strings->count; i++)
        if (strcmp(strings->items[i], text) == 0)
            return true;
    return false;
}

/* ---- backups ---- */

static bool is_good(const struct recover *recover, const struct restore_point *point)
{
    const struct point_verification *check = point->verified.count
                                                 ? list_at(&point->verified, const struct point_verification,
                                                           point->verified.count - 1)
                                                 : NULL;

    return point->state == POINT_COMPLETE && !point->removed_at_ms && point->repository && (!check || check->ok) &&
           (!point->parent || has(&recover->whole, point->parent));
}

static int64_t full_size(const struct restore_point *point)
{
    int64_t size = 0;

    for (size_t i = 0; i < point->disks.count; i++)
        size += list_at(&point->disks, const struct point_disk, i)->size_bytes;
    return size > point->size_bytes ? size : point->size_bytes;
}

int recover_add_point(struct recover *recover, const struct restore_point *point, struct err *err)
{
    char target[TARGET_TEXT];
    struct recover_item *item = find_item(recover, target_format(&point->target, target));

    if (!item || !is_good(recover, point))
        return 0;
    if (strings_add(&recover->whole, point->id, err) < 0)
        return -1;
    if (item->created_at_ms > point->created_at_ms) /* a copy may be told late */
        return 0;
    snprintf(item->point, sizeof item->point, "%s", point->id);
    snprintf(item->repository, sizeof item->repository, "%s", point->repository);
    snprintf(item->kind, sizeof item->kind, "%s", point->backup_kind ? point->backup_kind : "");
    item->created_at_ms = point->created_at_ms;
    item->size_bytes = full_size(point);
    return 0;
}

/* ---- where to ---- */

static int compare_items(const void *a, const void *b)
{
    const struct recover_item *one = a, *other = b;

    if (one->priority != other->priority)
        return one->priority > other->priority ? -1 : 1;
    int order = strcmp(one->name, other->name);
    return order ? order : strcmp(one->target, other->target);
}

/* What keeps a machine from a place. The later ones say that more was fine, and are worth saying. */
enum obstacle { NOT_READY, NO_REPOSITORY, NAME_TAKEN, NO_ROOM, FITS };

static enum obstacle obstacle_of(const struct recover_place *place, const struct recover_item *item)
{
    if (!place->ready)
        return NOT_READY;
    if (!has(&place->repositories, item->repository))
        return NO_REPOSITORY;
    if (has(&place->machines, item->name))
        return NAME_TAKEN;
    return place->room_bytes < item->size_bytes ? NO_ROOM : FITS;
}

static void say_why(struct recover_item *item, enum obstacle best, int64_t most_room)
{
    static const char *const texts[] = {
        [NOT_READY] = "none of these hosts takes work",
        [NO_REPOSITORY] = "no host that takes work can read its repository",
        [NAME_TAKEN] = "a machine of that name is there already",
    };

    if (best == NO_ROOM)
        snprintf(item->why, sizeof item->why, "does not fit: needs %lld bytes, the most that is free is %lld",
                 (long long)item->size_bytes, (long long)(most_room > 0 ? most_room : 0));
    else
        snprintf(item->why, sizeof item->why, "%s", texts[best]);
}

static void place_item(struct recover *recover, struct recover_item *item)
{
    struct recover_place *best_place = NULL;
    enum obstacle best = NOT_READY;
    int64_t most_room = 0;

    for (size_t i = 0; i < recover->place_count; i++) {
        struct recover_place *place = &recover->places[i];
        enum obstacle obstacle = obstacle_of(place, item);
        if (obstacle == NO_ROOM && place->room_bytes > most_room)
            most_room = place->room_bytes;
        if (obstacle == FITS && (!best_place || place->room_bytes > best_place->room_bytes))
            best_place = place;
        best = obstacle > best ? obstacle : best;
    }
    item->onto = best_place;
    if (!best_place) {
        say_why(item, best, most_room);
        return;
    }
    best_place->room_bytes -= item->size_bytes;
    strings_add(&best_place->machines, item->name, NULL); /* without memory the worker refuses a second of that name */
}

void recover_decide(struct recover *recover)
{
    if (recover->item_count)
        qsort(recover->items, recover->item_count, sizeof *recover->items, compare_items);
    for (size_t i = 0; i < recover->item_count; i++) {
        struct recover_item *item = &recover->items[i];
        if (item->created_at_ms)
            place_item(recover, item);
        else
            snprintf(item->why, sizeof item->why, "no good backup: it cannot be recovered");
    }
}
