/*
 * check: every file that the restore will read is there, of the size that its manifest says, and there is room for what will be made. Nothing is touched before all of that is true.
 * Where checksums are known they are compared here, or (args: sums=later) by "restore-disk" while it copies.
 */
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/chain_files.h"
#include "worker/backends/libvirt/restore.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct check {
    const struct step_run *run;
    const struct step *step;
    struct list chain;
    struct chain_files files;
    struct chain_lease lease;
    int64_t done, total; /* bytes that have a checksum */
};

static void check_end(struct check *check)
{
    chain_files_clear(&check->files);
    points_clear(&check->chain);
    chain_lease_endp(&check->lease);
}

static bool sums_later(const struct step *step)
{
    return facts_get(&step->args, "sums") != NULL;
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "%s '%s'/*/*.qcow2   # disks %s of %s and its parents\ndf '%s'",
              sums_later(step) ? "ls -l" : "sha256sum", step_arg(step, "chain_folder"), step_arg(step, "disks"),
              step_arg(step, "point"), step_arg(step, "room"));
    return 0;
}

static int check_sizes(struct check *check, struct err *err)
{
    for (size_t i = 0; i < check->files.count; i++) {
        if (chain_file_check_size(&check->files.items[i], err) < 0)
            return -1;
        if (check->files.items[i].disk->sha256)
            check->total += check->files.items[i].disk->stored_bytes;
    }
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

static int check_sums(struct check *check, struct err *err)
{
    char sum[DIGEST_TEXT];

    for (size_t i = 0; !sums_later(check->step) && i < check->files.count; i++)
        if (check->files.items[i].disk->sha256 &&
            chain_file_check_sum(&check->files.items[i], DIGEST_KEEP, hashed, check, sum, err) < 0)
            return -1;
    return 0;
}

static const char *room_of(const struct check *check, size_t i)
{
    char key[160];

    snprintf(key, sizeof key, RESTORE_ROOM "%.128s", check->files.items[i].disk->name);
    return facts_get_or(&check->step->args, key, step_arg(check->step, "room"));
}

static bool same_system(const char *a, const char *b)
{
    struct stat one, other;

    return strcmp(a, b) == 0 || (stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev);
}

static int check_folder(const char *folder, int64_t need_bytes, struct err *err)
{
    int64_t free_bytes, total;
    char need_text[32], free_text[32];

    if (file_free_space(folder, &free_bytes, &total, err) < 0)
        return -1;
    if (free_bytes >= need_bytes)
        return 0;
    return err_set(err, ERR_PERMANENT, "%s: no room: the restored disks need %s, it has %s", folder,
                   format_size(need_bytes, need_text, sizeof need_text),
                   format_size(free_bytes, free_text, sizeof free_text));
}

/* Each file system once. After a restart of the worker part of the room is taken by what was restored already. */
static int check_room(struct check *check, struct err *err)
{
    if (facts_get(check->run->known, "restoring"))
        return 0;
    for (size_t i = 0; i < check->files.count; i++) {
        const char *folder = room_of(check, i);
        int64_t need_bytes = 0;
        bool seen = false;

        for (size_t k = 0; k < check->files.count; k++)
            if (same_system(room_of(check, k), folder)) {
                seen = seen || k < i;
                need_bytes += check->files.items[k].disk->stored_bytes;
            }
        if (!seen && check_folder(folder, need_bytes, err) < 0)
            return -1;
    }
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(check_end) struct check check = {.run = run, .step = step};
    CLEANUP(repository_endp) struct repository repository = {0};

    if (chain_lease_take(&check.lease, run, step_arg(step, "chain_folder"), err) < 0 ||
        repository_open(step_arg(step, "repository"), NULL, &repository, err) < 0 ||
        repository_chain(&repository, step_arg(step, "source"), step_arg(step, "point"), &check.chain, err) < 0 ||
        chain_files(&check.chain, step_arg(step, "chain_folder"), step_arg(step, "disks"), &check.files, err) < 0 ||
        check_sizes(&check, err) < 0 || check_room(&check, err) < 0 || check_sums(&check, err) < 0)
        return -1;
    return facts_set(learned, "checksums", check.total ? "compared" : "not known yet", err);
}

const struct step_type step_restore_check = {
    .name = "restore-check",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
