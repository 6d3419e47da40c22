#include "coordinator/ttl.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/runs.h"
#include "model/job.h"
#include "model/params.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t AGAIN_MS = 6LL * 3600 * 1000;

bool ttl_is_over(const struct restore_point *point, const struct strings *pins, int64_t now_ms)
{
    return strcmp(point->kind, "snapshot") == 0 && point->name && point->host && point->expires_at_ms &&
           point->expires_at_ms <= now_ms && !strings_sorted_have(pins, point->id);
}

int ttl_job(const struct restore_point *point, struct job **out, struct err *err)
{
    CLEANUP(job_freep) struct job *job = calloc(1, sizeof *job);

    if (!job)
        return err_memory(err, point->id);
    record_defaults(&job_record, job);
    job->op = OP_SNAPSHOT_DELETE;
    struct params_snapshot_delete *params = calloc(1, sizeof *params);
    if (!params)
        return err_memory(err, point->id);
    job->params = params;
    record_defaults(&params_snapshot_delete_record, params);
    if (record_copy(&target_record, &job->target, &point->target, err) < 0 ||
        string_set(&job->host, point->host, err) < 0 || string_set(&job->requested_by, "ttl", err) < 0 ||
        string_set(&job->reason, "its time to live is over", err) < 0 ||
        string_set(&params->name, point->name, err) < 0 || string_set(&params->point, point->id, err) < 0)
        return -1;
    *out = TAKE_PTR(job);
    return 0;
}

void ttl_key(const struct restore_point *point, int64_t now_ms, char out[TTL_KEY_TEXT])
{
    snprintf(out, TTL_KEY_TEXT, "ttl/%.36s/%lld", point->id, (long long)(now_ms / AGAIN_MS));
}
