/*
 * restore-folder: the folder that will hold the new domain's files. A file in it names the job, so that a repetition knows its own work and undo never empties
 * a folder that somebody else made in the meantime.
 */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void mark_path(const struct step *step, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/.fleetsnap-restore", step_arg(step, "folder"));
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "mkdir '%s'", step_arg(step, "folder"));
    return 0;
}

static bool ours(const struct step_run *run, const struct step *step)
{
    CLEANUP(freep) char *text = NULL;
    char path[PATH_MAX];
    size_t len;

    mark_path(step, path);
    return file_read(path, 4096, &text, &len, NULL) == 0 &&
           strncmp(text, run->job->job_id, strlen(run->job->job_id)) == 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    const char *folder = step_arg(step, "folder");
    struct text mark = {0};
    char path[PATH_MAX];
    int failed;

    if (mkdir(folder, 0755) < 0 && (errno != EEXIST || !ours(run, step)))
        return errno == EEXIST ? err_set(err, ERR_CONFLICT, "%s was made by somebody else meanwhile", folder)
                               : err_errno(err, errno, folder);
    mark_path(step, path);
    text_addf(&mark, "%s restored %s\n", run->job->job_id, step_arg(step, "point"));
    failed = file_write_atomic(path, text_str(&mark), mark.len, 0644, err);
    text_free(&mark);
    return failed < 0 ? -1 : facts_set(learned, "directory", folder, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    (void)learned;
    if (!ours(run, step)) {
        rmdir(step_arg(step, "folder")); /* killed between mkdir and mark: empty; anything else is not ours */
        return 0;
    }
    return file_remove_folder(step_arg(step, "folder"), err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    *out = ours(run, step) ? SETTLED_DONE : SETTLED_NOT_DONE;
    return *out == SETTLED_DONE ? facts_set(learned, "directory", step_arg(step, "folder"), err) : 0;
}

const struct step_type step_restore_folder = {
    .name = "restore-folder",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
