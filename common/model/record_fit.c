/* An event that cannot be encoded would never be sent, and its job never end for anyone: what is said is cut rather than not said. */
#include "model/record.h"
#include "model/target.h"

#include <stdlib.h>
#include <string.h>

static const char ellipsis[] = "…";

/* In place; a character that is none becomes one '?' per byte, so nothing grows. */
static size_t fit_utf8(char *text)
{
    size_t changed = 0;

    while (*text) {
        size_t len = utf8_step(text);
        if (len == 0) {
            *text = '?';
            changed = 1;
        }
        text += len ? len : 1;
    }
    return changed;
}

static size_t fit_length(char *text, size_t max)
{
    size_t at = 0;

    if (strnlen(text, max + 1) <= max)
        return 0;
    if (max < sizeof ellipsis) {
        text[0] = '\0';
        return 1;
    }
    for (size_t step = utf8_step(text); at + step + sizeof ellipsis - 1 <= max; step = utf8_step(text + at))
        at += step;
    memcpy(text + at, ellipsis, sizeof ellipsis);
    return 1;
}

static size_t fit_text(char *text, size_t max)
{
    if (!text)
        return 0;
    size_t changed = fit_utf8(text);
    return fit_length(text, max) ? 1 : changed;
}

static size_t fit_strings(struct strings *strings, size_t max)
{
    size_t changed = strings->count > max;

    while (strings->count > max)
        free(strings->items[--strings->count]);
    for (size_t i = 0; i < strings->count; i++)
        changed += fit_text(strings->items[i], STRINGS_ITEM_MAX);
    return changed;
}

/* Keys stay as they are unless they are no text: cutting one could make two the same. */
static size_t fit_map(struct facts *facts, size_t max)
{
    size_t changed = facts->count > max;

    while (facts->count > max)
        facts_remove(facts, facts->items[facts->count - 1].key);
    for (size_t i = facts->count; i-- > 0;) {
        changed += fit_utf8(facts->items[i].value);
        if (utf8_valid(facts->items[i].key))
            continue;
        facts_remove(facts, facts->items[i].key);
        changed++;
    }
    return changed;
}

static size_t fit_list(const struct record_type *type, struct list *list, size_t max)
{
    size_t changed = list->count > max;

    while (list->count > max)
        record_clear(type, (char *)list->items + --list->count * type->size);
    for (size_t i = 0; i < list->count; i++)
        changed += record_fit(type, (char *)list->items + i * type->size);
    return changed;
}

static size_t fit_bytes(struct bytes *bytes, size_t max)
{
    if (bytes->len <= max)
        return 0;
    bytes->len = max;
    return 1;
}

static size_t fit_pointer(const struct record_type *type, void *record)
{
    return type && record ? record_fit(type, record) : 0;
}

static size_t fit_field(const struct record_type *type, const struct field *field, void *record)
{
    void *at = (char *)record + field->offset;
    size_t max = field_max(field);

    switch (field->type) {
    case FIELD_STRING: return fit_text(*(char **)at, max);
    case FIELD_BYTES: return fit_bytes(at, max);
    case FIELD_STRINGS: return fit_strings(at, max);
    case FIELD_MAP: return fit_map(at, max);
    case FIELD_RECORDS: return fit_list(field->record, at, max);
    case FIELD_RECORD: return fit_pointer(field->record, *(void **)at);
    case FIELD_PARAMS: return fit_pointer(record_params_type(type, record), *(void **)at);
    case FIELD_EMBEDDED: return record_fit(field->record, at);
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_TIME:
    case FIELD_ENUM: return 0;
    }
    return 0;
}

size_t record_fit(const struct record_type *type, void *record)
{
    size_t changed = 0;

    for (const struct field *field = type->fields; field->name; field++)
        changed += fit_field(type, field, record);
    return changed;
}
