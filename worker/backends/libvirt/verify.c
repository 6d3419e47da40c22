#include "worker/backends/libvirt/verify.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HISTORY_MAX = 20 };

int verify_open(struct verify *verify, const struct step_run *run, const struct step *step, struct err *err)
{
    const char *chain_folder = step_arg(step, "chain_folder"), *point = step_arg(step, "point");

    verify->run = run;
    verify->step = step;
    snprintf(verify->folder, sizeof verify->folder, "%s/%s", chain_folder, point);
    if (repository_open(step_arg(step, "repository"), NULL, &verify->repository, err) < 0 ||
        chain_lease_take(&verify->lease, run, chain_folder, err) < 0 ||
        repository_chain(&verify->repository, step_arg(step, "source"), point, &verify->chain, err) < 0)
        return -1;
    return chain_files(&verify->chain, chain_folder, NULL, &verify->files, err);
}

void verify_end(struct verify *verify)
{
    chain_files_clear(&verify->files);
    points_clear(&verify->chain);
    repository_clear(&verify->repository);
    chain_lease_endp(&verify->lease);
}

bool verify_progress(void *context, int64_t bytes)
{
    struct verify *verify = context;

    verify->done += bytes;
    chain_lease_tick(&verify->lease);
    attempt_progress(verify->run->attempt, verify->done, verify->total);
    return !step_cancelled(verify->run);
}

/* ---- the record ---- */

static void forget_oldest(struct list *history)
{
    if (history->count < HISTORY_MAX)
        return;
    record_clear(&point_verification_record, list_at(history, struct point_verification, 0));
    memmove(list_at(history, struct point_verification, 0), list_at(history, struct point_verification, 1),
            (history->count - 1) * sizeof(struct point_verification));
    history->count--;
}

/* What a step found is of its own depth, not of the one that was asked for: "verify-checksum". */
static int depth_of(const struct step *step, int asked)
{
    int depth = name_index(verify_depth_names, step->type->name + strlen("verify-"));

    return depth < 0 ? asked : depth;
}

static int add_verification(const struct verify *verify, struct restore_point *point, const char *text, struct err *err)
{
    const struct params_backup_verify *params = verify->run->job->params;
    struct point_verification *entry;

    forget_oldest(&point->verified);
    entry = list_add(&point->verified, &point_verification_record, err);
    if (!entry)
        return -1;
    entry->at_ms = clock_real_ms();
    entry->depth = text ? depth_of(verify->step, params->depth) : params->depth;
    entry->ok = text == NULL;
    return string_set(&entry->text, text, err) < 0 ? -1 : string_set(&entry->job_id, verify->run->job->job_id, err);
}

static int store_sums(const struct verify *verify, struct restore_point *point, struct err *err)
{
    for (size_t i = 0; i < point->disks.count; i++) {
        struct point_disk *disk = list_at(&point->disks, struct point_disk, i);
        const char *sum;
        char key[160];

        snprintf(key, sizeof key, "sha256.%s", disk->name);
        sum = facts_get(verify->run->known, key);
        if (disk->file && !disk->sha256 && sum && string_set(&disk->sha256, sum, err) < 0)
            return -1;
    }
    return 0;
}

static bool recorded(const struct restore_point *point, const char *job_id)
{
    for (size_t i = 0; i < point->verified.count; i++) {
        const char *job = list_at(&point->verified, struct point_verification, i)->job_id;

        if (job && strcmp(job, job_id) == 0)
            return true;
    }
    return false;
}

int verify_record(struct verify *verify, const char *text, struct err *err)
{
    CLEANUP(closep) int lock = -1;
    CLEANUP(point_endp) struct restore_point point = {0};
    const char *job_id = verify->run->job->job_id;

    if (manifest_lock(verify->folder, &lock, err) < 0 || manifest_read(verify->folder, &point, err) < 0)
        return -1;
    if (point.state != POINT_COMPLETE)
        return err_set(err, ERR_CONFLICT, "restore point %s was deleted meanwhile", point.id);
    if (recorded(&point, job_id))
        return 0;
    point.revision++;
    if (add_verification(verify, &point, text, err) < 0 || store_sums(verify, &point, err) < 0 ||
        string_set(&point.writer, job_id, err) < 0)
        return -1;
    return manifest_write(verify->folder, &point, err);
}

int verify_failed(struct verify *verify, struct err *err)
{
    struct err ignored = {0};

    if (err && err->kind == ERR_PERMANENT && verify->folder[0])
        verify_record(verify, err->text, &ignored);
    return -1;
}
