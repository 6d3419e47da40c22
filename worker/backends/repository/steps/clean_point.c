/*
 * clean-point: the folder of a restore point that no job will complete, or of one that is marked as deleted: its data first, its manifest last, then the folders above that are
 * empty now. Looked at once more before: what is complete by now, or in use, stays.
 */
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    char size[32];

    (void)run;
    (void)err;
    format_size(facts_get_int(&step->args, "bytes", 0), size, sizeof size);
    text_addf(command, "rm -r '%s'   # %s", repository_arg(step, "folder"), size);
    text_addf(lost, "what is left of %s, %s", repository_arg(step, "id"), size);
    return 0;
}

/* Removes all files but manifests. */
static int remove_data(const char *folder, int64_t *freed, struct err *err)
{
    char path[PATH_MAX + 256];
    struct dirent *entry;
    struct stat status;
    int result = 0;
    DIR *dir = opendir(folder);

    if (!dir)
        return errno == ENOENT ? 0 : err_errno(err, errno, folder);
    while (result == 0 && (entry = readdir(dir))) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (manifest_is_file(entry->d_name) || lstat(path, &status) < 0 || S_ISDIR(status.st_mode))
            continue;
        result = file_remove(path, err);
        *freed += result == 0 ? status.st_size : 0;
    }
    closedir(dir);
    return result;
}

static void remove_empty_above(const char *folder, const char *root)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s", folder);
    for (;;) {
        *strrchr(path, '/') = '\0';
        if (strlen(path) <= strlen(root) || rmdir(path) < 0)
            return;
    }
}

/* NULL: it may go. */
static const char *why_not(const struct step_run *run, const struct step *step)
{
    CLEANUP(point_endp) struct restore_point point = {0};
    const char *folder = repository_arg(step, "folder");
    char chain[PATH_MAX];

    snprintf(chain, sizeof chain, "%s", folder);
    *strrchr(chain, '/') = '\0';
    if (lease_check_free(chain, run->job->job_id, NULL) < 0)
        return "kept: its chain is in use";
    if (manifest_read(folder, &point, NULL) < 0)
        return manifest_exists(folder) ? "kept: its manifest cannot be read" : NULL;
    if (point.state == POINT_COMPLETE)
        return "kept: it is complete";
    return point.state == POINT_DELETED && !facts_get(&step->args, "deleted") ? "kept: marked as deleted meanwhile"
                                                                              : NULL;
}

static int learn(const struct step_run *run, const struct step *step, const char *kept, int64_t freed,
                 struct facts *learned, struct err *err)
{
    struct job_finding finding = {.kind = (char *)"left",
                                  .path = (char *)repository_arg(step, "folder") +
                                          strlen(repository_arg(step, "path")) + 1,
                                  .point = (char *)repository_arg(step, "id"),
                                  .text = (char *)(kept ? kept : "removed"),
                                  .bytes = freed};
    struct list one = {.items = &finding, .count = 1};

    if (facts_set_int(learned, "freed_bytes", facts_get_int(run->known, "freed_bytes", 0) + freed, err) < 0 ||
        facts_set_int(learned, "removed", facts_get_int(run->known, "removed", 0) + !kept, err) < 0)
        return -1;
    return findings_learn(&one, run->known, learned, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    const char *folder = repository_arg(step, "folder"), *kept;
    CLEANUP(closep) int lock = -1;
    int64_t freed = 0;

    if (!file_exists(folder))
        return 0;
    if (manifest_lock(folder, &lock, err) < 0)
        return -1;
    kept = why_not(run, step);
    if (kept)
        return learn(run, step, kept, 0, learned, err);
    if (remove_data(folder, &freed, err) < 0 || file_remove_folder(folder, err) < 0)
        return -1;
    remove_empty_above(folder, repository_arg(step, "path"));
    return learn(run, step, NULL, freed, learned, err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    *out = file_exists(repository_arg(step, "folder")) ? SETTLED_NOT_DONE : SETTLED_DONE;
    return *out == SETTLED_DONE ? learn(run, step, NULL, facts_get_int(&step->args, "bytes", 0), learned, err) : 0;
}

const struct step_type step_clean_point = {
    .name = "clean-point",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render,
    .execute = execute,
    .settle = settle,
};
