/*
 * copy-complete: definition and NVRAM are put beside the disks, all files are hashed and made durable, and only then the manifest says complete. It holds the point in time of the
 * original, and says whose copy it is.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct complete {
    const struct step_run *run;
    struct chain_lease *lease;
    int64_t done;
};

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "cp '%s'/domain.xml '%s'; sha256sum '%s'/*.qcow2; sync\n# manifest.json: \"state\": \"complete\"",
              step_arg(step, "from"), step_arg(step, "folder"), step_arg(step, "folder"));
    return 0;
}

static bool hashed(void *context, int64_t bytes)
{
    struct complete *complete = context;

    complete->done += bytes;
    chain_lease_tick(complete->lease);
    return !step_cancelled(complete->run);
}

static int finish_disk(struct complete *complete, const char *folder, struct point_disk *disk, struct err *err)
{
    char path[PATH_MAX], sum[DIGEST_TEXT];
    CLEANUP(closep) int fd = -1;
    struct stat status;

    snprintf(path, sizeof path, "%s/%s", folder, disk->file);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fsync(fd) < 0 || fstat(fd, &status) < 0)
        return err_errno(err, errno, path);
    disk->stored_bytes = status.st_size;
    if (digest_file(path, DIGEST_DROP, hashed, complete, sum, err) < 0)
        return -1;
    return string_set(&disk->sha256, sum, err);
}

static int finish_disks(struct complete *complete, const char *folder, struct restore_point *point, struct err *err)
{
    point->size_bytes = 0;
    for (size_t i = 0; i < point->disks.count; i++) {
        struct point_disk *disk = list_at(&point->disks, struct point_disk, i);

        if (!disk->file)
            continue;
        if (finish_disk(complete, folder, disk, err) < 0)
            return -1;
        point->size_bytes += disk->stored_bytes;
    }
    return 0;
}

static int copy_beside(const char *from, const char *folder, const char *name, struct err *err)
{
    char source[PATH_MAX], target[PATH_MAX];

    if (!name)
        return 0;
    if (!name_valid_plain(name))
        return err_set(err, ERR_PERMANENT, "the manifest names a file \"%s\", which is no name", name);
    snprintf(source, sizeof source, "%s/%s", from, name);
    snprintf(target, sizeof target, "%s/%s", folder, name);
    return file_copy(source, target, 0600, NULL, err);
}

static int learn(const struct step *step, const struct restore_point *point, struct facts *learned, struct err *err)
{
    char key[160];

    snprintf(key, sizeof key, "copied.%s", point->id);
    if (facts_set(learned, key, step_arg(step, "folder"), err) < 0)
        return -1;
    return facts_set_int(learned, "size_bytes", point->size_bytes, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(point_endp) struct restore_point point = {0}, original = {0};
    CLEANUP(chain_lease_endp) struct chain_lease lease = {0};
    struct complete complete = {.run = run, .lease = &lease};
    const char *folder = step_arg(step, "folder"), *from = step_arg(step, "from");
    int64_t begun = clock_real_ms();

    if (manifest_read(folder, &point, err) < 0)
        return -1;
    if (point.state == POINT_COMPLETE)
        return learn(step, &point, learned, err);
    if (chain_lease_take(&lease, run, step_arg(step, "chain_folder"), err) < 0 ||
        manifest_read(from, &original, err) < 0 || copy_beside(from, folder, original.definition, err) < 0 ||
        copy_beside(from, folder, original.nvram, err) < 0 || finish_disks(&complete, folder, &point, err) < 0)
        return -1;
    point.completed_at_ms = clock_real_ms();
    point.duration_ms = point.completed_at_ms - begun;
    point.created_at_ms = original.created_at_ms;
    point.state = POINT_COMPLETE;
    if (file_sync_directory(folder, err) < 0 || manifest_write(folder, &point, err) < 0 ||
        file_sync_directory(step_arg(step, "chain_folder"), err) < 0)
        return -1;
    return learn(step, &point, learned, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(point_endp) struct restore_point point = {0};

    (void)run;
    (void)learned;
    if (manifest_read(step_arg(step, "folder"), &point, NULL) < 0 || point.state != POINT_COMPLETE)
        return 0;
    point.state = POINT_INCOMPLETE;
    return manifest_write(step_arg(step, "folder"), &point, err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    CLEANUP(point_endp) struct restore_point point = {0};

    *out = SETTLED_NOT_DONE;
    chain_lease_settle(run, step, *out);
    if (manifest_read(step_arg(step, "folder"), &point, NULL) < 0 || point.state != POINT_COMPLETE)
        return 0;
    *out = SETTLED_DONE;
    return learn(step, &point, learned, err);
}

const struct step_type step_copy_complete = {
    .name = "copy-complete",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
