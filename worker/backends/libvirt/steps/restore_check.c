/*
 * check: every file that the restore will read is there, of the size that its manifest says, and with its checksum where one is known; and there is room for what will
 * be made. Nothing is touched before all of that is true.
 */
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct check {
    const struct step_run *run;
    const struct step *step;
    struct list chain;
    struct chain_lease lease;
    int64_t done, total; /* bytes to hash */
    int64_t need;        /* bytes to write */
};

static void check_end(struct check *check)
{
    points_clear(&check->chain);
    chain_lease_endp(&check->lease);
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "sha256sum '%s'/*/*.qcow2   # disks %s of %s and its parents\ndf '%s'",
              step_arg(step, "chain_folder"), step_arg(step, "disks"), step_arg(step, "point"), step_arg(step, "room"));
    return 0;
}

/* Calls `visit` for each file that makes up `disk`: from the newest link back to the one that is whole by itself. */
typedef int link_visit(struct check *check, const struct restore_point *point, const struct point_disk *disk,
                       struct err *err);

static const struct point_disk *disk_of(const struct restore_point *point, const char *name)
{
    for (size_t i = 0; i < point->disks.count; i++) {
        const struct point_disk *disk = list_at(&point->disks, struct point_disk, i);

        if (strcmp(disk->name, name) == 0 && disk->file)
            return disk;
    }
    return NULL;
}

static int each_link(struct check *check, const char *name, link_visit *visit, struct err *err)
{
    for (size_t i = check->chain.count; i-- > 0;) {
        const struct restore_point *point = list_at(&check->chain, struct restore_point, i);
        const struct point_disk *disk = disk_of(point, name);

        if (!disk)
            return err_set(err, ERR_PERMANENT, "restore point %s lacks disk %s, which later ones build on", point->id,
                           name);
        if (visit(check, point, disk, err) < 0)
            return -1;
        if (strcmp(disk->mode, "full") == 0)
            return 0;
    }
    return err_set(err, ERR_PERMANENT, "the chain of disk %s has no full", name);
}

static void file_of(struct check *check, const struct restore_point *point, const struct point_disk *disk,
                    char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s/%s", step_arg(check->step, "chain_folder"), point->id, disk->file);
}

static int check_size(struct check *check, const struct restore_point *point, const struct point_disk *disk,
                      struct err *err)
{
    struct stat status;
    char path[PATH_MAX];

    file_of(check, point, disk, path);
    if (stat(path, &status) < 0)
        return err_errno(err, errno, path);
    if (disk->stored_bytes && status.st_size != disk->stored_bytes)
        return err_set(err, ERR_PERMANENT, "%s is damaged: it has %lld bytes, the manifest says %lld", path,
                       (long long)status.st_size, (long long)disk->stored_bytes);
    if (disk->sha256)
        check->total += status.st_size;
    check->need += status.st_size;
    return 0;
}

static bool hashed(void *context, int64_t bytes)
{
    struct check *check = context;

    check->done += bytes;
    chain_lease_tick(&check->lease);
    attempt_progress(check->run->attempt, check->done, check->total);
    return !step_cancelled(check->run);
}

static int check_sum(struct check *check, const struct restore_point *point, const struct point_disk *disk,
                     struct err *err)
{
    char path[PATH_MAX], sum[DIGEST_TEXT];

    if (!disk->sha256)
        return 0;
    file_of(check, point, disk, path);
    if (digest_file(path, hashed, check, sum, err) < 0)
        return -1;
    if (strcmp(sum, disk->sha256) != 0)
        return err_set(err, ERR_PERMANENT, "%s is damaged: its checksum is not the one in the manifest", path);
    return 0;
}

static int each_disk(struct check *check, link_visit *visit, struct err *err)
{
    CLEANUP(freep) char *names = strdup(step_arg(check->step, "disks"));
    char *rest = NULL;

    if (!names)
        return err_memory(err, "disks");
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        if (each_link(check, name, visit, err) < 0)
            return -1;
    return 0;
}

/* After a restart of the worker part of the room is taken by what was restored already. */
static int check_room(struct check *check, struct err *err)
{
    const char *folder = step_arg(check->step, "room");
    int64_t free_bytes, total;
    char need_text[32], free_text[32];

    if (facts_get(check->run->known, "restoring"))
        return 0;
    if (file_free_space(folder, &free_bytes, &total, err) < 0)
        return -1;
    if (free_bytes >= check->need)
        return 0;
    return err_set(err, ERR_PERMANENT, "%s: no room: the restored disks need %s, it has %s", folder,
                   format_size(check->need, need_text, sizeof need_text),
                   format_size(free_bytes, free_text, sizeof free_text));
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(check_end) struct check check = {.run = run, .step = step};
    CLEANUP(repository_endp) struct repository repository = {0};

    if (chain_lease_take(&check.lease, run, step_arg(step, "chain_folder"), err) < 0 ||
        repository_open(step_arg(step, "repository"), NULL, &repository, err) < 0 ||
        repository_chain(&repository, step_arg(step, "source"), step_arg(step, "point"), &check.chain, err) < 0 ||
        each_disk(&check, check_size, err) < 0 || check_room(&check, err) < 0 || each_disk(&check, check_sum, err) < 0)
        return -1;
    return facts_set(learned, "checksums", check.total ? "compared" : "not known yet", err);
}

const struct step_type step_restore_check = {
    .name = "restore-check",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
