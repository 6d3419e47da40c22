#pragma once
/* What the files of plans*.c share: records as the API shows them. */
#include <jansson.h>
#include <stdint.h>

struct record_type;
struct run;
struct view_reader;

json_t *plans_time(int64_t ms); /* RFC 3339, or null for 0 */
json_t *plans_record(const struct record_type *type, const void *record);
/* What a member of a consistency group learned when its point was made: frozen_ms, skew_ms, spread_ms into `item`. A job without that, or a reader of NULL: nothing. */
void plans_add_group(struct view_reader *reader, const char *job_id, json_t *item);
json_t *plans_run_json(const char *id, const struct run *run);
