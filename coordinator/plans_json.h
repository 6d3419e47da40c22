#pragma once
/* What the files of plans*.c share: records as the API shows them. */
#include <jansson.h>
#include <stdint.h>

struct record_type;
struct run;

json_t *plans_time(int64_t ms); /* RFC 3339, or null for 0 */
json_t *plans_record(const struct record_type *type, const void *record);
json_t *plans_run_json(const char *id, const struct run *run);
