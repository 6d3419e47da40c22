/*
 * swap: the new disk takes the place of the old one. First the old one gets a second name, then the new one is renamed over the first: at no moment is there no disk
 * under the name that the definition has, and a crash between the two leaves the old one in place.
 */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)err;
    text_addf(command, "ln '%s' '%s'\nmv '%s' '%s'", step_arg(step, "place"), step_arg(step, "old"),
              step_arg(step, "new"), step_arg(step, "place"));
    text_addf(lost, "what was written to disk %s since the backup (kept as %s)", step_arg(step, "disk"),
              step_arg(step, "old"));
    return 0;
}

static bool swapped(const struct step *step)
{
    return file_exists(step_arg(step, "old")) && !file_exists(step_arg(step, "new"));
}

static int keep_old(const char *place, const char *old, struct err *err)
{
    struct stat now, kept;

    if (link(place, old) == 0)
        return 0;
    if (errno != EEXIST || stat(place, &now) < 0 || stat(old, &kept) < 0)
        return err_errno(err, errno, old);
    if (now.st_dev == kept.st_dev && now.st_ino == kept.st_ino)
        return 0; /* an earlier attempt came so far */
    return err_set(err, ERR_CONFLICT, "%s exists and is another file", old);
}

static int like_old(const char *new, const char *place, struct err *err)
{
    struct stat status;

    if (stat(place, &status) < 0)
        return err_errno(err, errno, place);
    if (chown(new, status.st_uid, status.st_gid) < 0 || chmod(new, status.st_mode & 07777) < 0)
        return err_errno(err, errno, new);
    return 0;
}

static int sync_folder(const char *path, struct err *err)
{
    char folder[PATH_MAX];

    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    return file_sync_directory(folder, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    const char *place = step_arg(step, "place"), *old = step_arg(step, "old"), *new = step_arg(step, "new");

    (void)learned;
    if (step_domain(run, &domain, err) < 0)
        return -1;
    if (!swapped(step)) {
        if (virDomainIsActive(domain) != 0)
            return err_set(err, ERR_CONFLICT, "%s was started meanwhile", step_subject(run));
        if (like_old(new, place, err) < 0 || keep_old(place, old, err) < 0)
            return -1;
        if (rename(new, place) < 0)
            return err_errno(err, errno, place);
    }
    return sync_folder(place, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    const char *place = step_arg(step, "place"), *old = step_arg(step, "old");

    (void)learned;
    if (!file_exists(old))
        return 0;
    if (step_domain(run, &domain, err) < 0)
        return -1;
    if (virDomainIsActive(domain) != 0)
        return err_set(err, ERR_RETRY, "%s runs on the disk that must be put back", step_subject(run));
    if (!file_exists(step_arg(step, "new")) && rename(old, place) < 0)
        return err_errno(err, errno, place);
    if (file_remove(old, err) < 0) /* where both names are the same file, rename() leaves both */
        return -1;
    return sync_folder(place, err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    (void)run;
    (void)learned;
    (void)err;
    *out = swapped(step) ? SETTLED_DONE : SETTLED_NOT_DONE;
    return 0;
}

const struct step_type step_restore_swap = {
    .name = "restore-swap",
    .class = STEP_DESTROYS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
