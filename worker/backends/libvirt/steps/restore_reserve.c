/*
 * restore-reserve: the name of a restored disk that is not in the new domain's own folder. An empty file is made under it, which nobody else can have made before: what restore-disk
 * puts there later, and undo takes away, is ours.
 */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "(set -C; : > '%s')", step_arg(step, "file"));
    return 0;
}

static bool empty(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    const char *path = step_arg(step, "file");
    CLEANUP(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    (void)run;
    (void)learned;
    if (fd < 0 && errno == EEXIST)
        return empty(path) ? 0 : err_set(err, ERR_CONFLICT, "%s was made by somebody else meanwhile", path);
    return fd < 0 ? err_errno(err, errno, path) : 0;
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    return empty(step_arg(step, "file")) ? file_remove(step_arg(step, "file"), err) : 0;
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    (void)run;
    (void)learned;
    (void)err;
    *out = empty(step_arg(step, "file")) ? SETTLED_DONE : SETTLED_NOT_DONE;
    return 0;
}

const struct step_type step_restore_reserve = {
    .name = "restore-reserve",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
