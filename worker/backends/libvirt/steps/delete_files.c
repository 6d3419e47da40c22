/* delete-files: the files of a marked point, its manifest last, then its folder and those above it that are empty now. No way back. */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "rm -r '%s'", step_arg(step, "folder"));
    return 0;
}

static int remove_data(const char *folder, const struct restore_point *point, struct err *err)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < point->disks.count; i++) {
        const struct point_disk *disk = list_at(&point->disks, struct point_disk, i);

        if (!disk->file || !name_valid_plain(disk->file))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, disk->file);
        if (file_remove(path, err) < 0)
            return -1;
    }
    return 0;
}

/* Also of one whose folder is gone: an attempt before may have died right after that. */
static void remove_empty_above(const char *folder)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s", folder);
    for (int level = 0; level < 2; level++) { /* chain, target */
        *strrchr(path, '/') = '\0';
        if (rmdir(path) < 0 && errno != ENOENT)
            return;
    }
}

/* A job that died after its mark cannot tell any more: the point would stay in the catalog for ever. */
static int learn_deleted(const struct restore_point *point, struct facts *learned, struct err *err)
{
    char key[160];

    snprintf(key, sizeof key, "deleted.%s", point->id);
    return facts_set_int(learned, key, point->revision + 1, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(point_endp) struct restore_point point = {0};
    const char *folder = step_arg(step, "folder");
    int64_t freed = facts_get_int(run->known, "freed_bytes", 0);

    if (!file_exists(folder))
        return remove_empty_above(folder), 0;
    if (manifest_read(folder, &point, NULL) == 0) {
        if (point.state != POINT_DELETED)
            return err_set(err, ERR_CONFLICT, "restore point %s is not marked as deleted", point.id);
        if (remove_data(folder, &point, err) < 0 || learn_deleted(&point, learned, err) < 0)
            return -1;
    }
    if (file_remove_folder(folder, err) < 0)
        return -1;
    remove_empty_above(folder);
    return facts_set_int(learned, "freed_bytes", freed + point.size_bytes, err);
}

const struct step_type step_delete_files = {
    .name = "delete-files",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating, /* removing what is gone is success */
};
