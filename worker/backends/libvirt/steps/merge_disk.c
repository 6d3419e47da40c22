/*
 * merge-disk: one disk of an heir, written anew beside the old file so that it does without the point that goes, and compared with the old one. Both files that it is made of are read
 * against their checksums first: damage would get a new checksum that says that all is well.
 */
#include "base/file.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/chain_files.h"
#include "worker/backends/libvirt/merge.h"
#include "worker/backends/libvirt/qemu_img.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct merging {
    const struct step_run *run;
    const struct step *step;
    struct chain_lease lease;
};

static void merging_endp(struct merging *merging)
{
    chain_lease_endp(&merging->lease);
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const char *image = step_arg(step, "image"), *target = step_arg(step, "target");
    const char *backing = facts_get(&step->args, "backing");

    (void)run;
    (void)lost;
    (void)err;
    if (backing)
        text_addf(command, "cp '%s' '%s'; qemu-img rebase -f qcow2 -F qcow2 -b '%s' '%s'", image, target, backing,
                  target);
    else
        text_addf(command, "qemu-img convert -f qcow2 -O qcow2 '%s' '%s'", image, target);
    text_addf(command, "; qemu-img compare '%s' '%s'", image, target);
    return 0;
}

static bool hashed(void *context, int64_t bytes)
{
    struct merging *merging = context;

    (void)bytes;
    chain_lease_tick(&merging->lease);
    return !step_cancelled(merging->run);
}

static int check_file(struct merging *merging, const char *point_id, struct err *err)
{
    CLEANUP(point_endp) struct restore_point point = {0};
    struct chain_file file = {.point = &point};
    char folder[PATH_MAX], path[PATH_MAX + 256], sum[DIGEST_TEXT];

    if (snprintf(folder, sizeof folder, "%s/%s", step_arg(merging->step, "chain_folder"), point_id) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", folder);
    if (manifest_read(folder, &point, err) < 0)
        return -1;
    file.disk = point_disk_named(&point, step_arg(merging->step, "disk"));
    if (point.state != POINT_COMPLETE || !file.disk)
        return err_set(err, ERR_CONFLICT, "restore point %s is not what it was when this was planned", point_id);
    snprintf(path, sizeof path, "%s/%s", folder, file.disk->file);
    file.path = path;
    if (chain_file_check_size(&file, err) < 0)
        return -1;
    return file.disk->sha256 ? chain_file_check_sum(&file, DIGEST_KEEP, hashed, merging, sum, err) : 0;
}

/* The swap needs them: better known before hours of copying. */
static int check_links(const char *image, const char *target, struct err *err)
{
    char probe[PATH_MAX];

    snprintf(probe, sizeof probe, "%s.link", target);
    if (file_remove(probe, err) < 0)
        return -1;
    if (link(image, probe) == 0)
        return file_remove(probe, err);
    err_set(err, ERR_PERMANENT, "%s: %s", probe, strerror(errno));
    return err_hint(err, "a merge needs a repository on a file system with hard links; --children deletes without");
}

static int make(struct merging *merging, struct err *err)
{
    const struct step *step = merging->step;
    const char *backing = facts_get(&step->args, "backing");
    const struct image_copy copy = image_copy_asked(step);
    int failed = backing ? image_restand(merging->run, &merging->lease, copy.source, backing, copy.target, err)
                         : image_copy(merging->run, &merging->lease, &copy, err);

    if (failed == 0)
        attempt_progress(merging->run->attempt, copy.done_before + copy.size_bytes, copy.total);
    return failed;
}

static int compare(struct merging *merging, struct err *err)
{
    const char *image = step_arg(merging->step, "image"), *target = step_arg(merging->step, "target");
    const char *const argv[] = {"qemu-img", "compare", "-q", "-f", "qcow2", "-F", "qcow2", image, target, NULL};
    int status = 0;

    if (qemu_img(merging->run, &merging->lease, argv, &status, err) < 0)
        return -1;
    if (status == 0)
        return 0;
    return err_set(err, status == 1 ? ERR_PERMANENT : ERR_RETRY, "%s %s %s", target,
                   status == 1 ? "differs from" : "could not be compared with", image);
}

static int learn(struct merging *merging, struct facts *learned, struct err *err)
{
    const char *heir = step_arg(merging->step, "heir"), *disk = step_arg(merging->step, "disk");
    const char *target = step_arg(merging->step, "target");
    char key[MERGED_NAME], sum[DIGEST_TEXT];
    struct stat status;

    if (stat(target, &status) < 0)
        return err_errno(err, errno, target);
    if (digest_file(target, DIGEST_DROP, hashed, merging, sum, err) < 0)
        return -1;
    merge_fact("sha256", heir, disk, key);
    if (facts_set(learned, key, sum, err) < 0)
        return -1;
    merge_fact("stored", heir, disk, key);
    return facts_set_int(learned, key, status.st_size, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(merging_endp) struct merging merging = {.run = run, .step = step};

    if (chain_lease_take(&merging.lease, run, step_arg(step, "chain_folder"), err) < 0 ||
        check_file(&merging, step_arg(step, "point"), err) < 0 || check_file(&merging, step_arg(step, "heir"), err) < 0 ||
        check_links(step_arg(step, "image"), step_arg(step, "target"), err) < 0 || make(&merging, err) < 0 ||
        compare(&merging, err) < 0 || learn(&merging, learned, err) < 0)
        return err_wrap(err, "disk %s of %s", step_arg(step, "disk"), step_arg(step, "heir"));
    return 0;
}

/* A swap that began and could not be ended has made it the heir's own file. */
static bool in_use(const struct step *step)
{
    CLEANUP(point_endp) struct restore_point point = {0};
    char folder[PATH_MAX];
    const struct point_disk *disk;

    snprintf(folder, sizeof folder, "%s", step_arg(step, "target"));
    *strrchr(folder, '/') = '\0';
    if (manifest_read(folder, &point, NULL) < 0)
        return file_exists(folder);
    disk = point_disk_named(&point, step_arg(step, "disk"));
    return disk && strcmp(disk->file, strrchr(step_arg(step, "target"), '/') + 1) == 0;
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    char probe[PATH_MAX];

    (void)run;
    (void)learned;
    snprintf(probe, sizeof probe, "%s.link", step_arg(step, "target"));
    if (file_remove(probe, err) < 0)
        return -1;
    return in_use(step) ? 0 : image_copy_undo(step_arg(step, "target"), err);
}

/* Finished work is proven, and its checksum known, by the repetition that finds it. */
static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    (void)learned;
    if (image_copy_settle(step_arg(step, "target"), out, err) < 0)
        return -1;
    if (*out == SETTLED_DONE)
        *out = SETTLED_NOT_DONE;
    chain_lease_settle(run, step, *out);
    return 0;
}

const struct step_type step_merge_disk = {
    .name = "merge-disk",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
