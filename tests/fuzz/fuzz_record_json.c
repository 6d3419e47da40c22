/* JSON of a job, a restore point (a manifest) and a status. What is read must be written and read again to the same; and a job must be checkable. */
#include "fuzz.h"

#include "base/err.h"
#include "model/job.h"
#include "model/restore_point.h"
#include "model/status.h"

#include <stdlib.h>
#include <string.h>

static void again(const struct record_type *type, const void *record)
{
    void *copy = calloc(1, type->size);
    struct err err;
    char *a;
    char *b;

    if (record_to_json(type, record, false, &a, &err) < 0 || record_from_json(type, copy, a, strlen(a), &err) < 0)
        abort();
    if (record_to_json(type, copy, false, &b, &err) < 0 || strcmp(a, b) != 0)
        abort();
    free(a);
    free(b);
    record_free(type, copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct record_type *const types[] = {&job_record, &restore_point_record, &status_record};
    struct err err;

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        void *record = calloc(1, types[i]->size);
        if (record_from_json(types[i], record, (const char *)data, size, &err) == 0) {
            again(types[i], record);
            if (types[i] == &job_record && job_check(record, &err) == 0)
                (void)job_class(record);
        }
        record_clear(types[i], record);
        (void)record_from_json_lenient(types[i], record, (const char *)data, size, &err);
        record_free(types[i], record);
    }
    return 0;
}
