/* remove-backups: all that one target has in the repository. Everything is marked as deleted before the first file goes, so that what a crash leaves is never taken for a backup. */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void folder_of(const struct step *step, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", repository_arg(step, "path"), repository_arg(step, "target"));
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)err;
    text_addf(command, "rm -r '%s/%s'", repository_arg(step, "path"), repository_arg(step, "target"));
    text_addf(lost, "%s backups of %s", repository_arg(step, "points"), repository_arg(step, "machine"));
    return 0;
}

static int mark_point(void *context, const char *folder, const char *name, struct err *err)
{
    (void)context;
    (void)name;
    return manifest_exists(folder) ? manifest_mark_deleted(folder, err) : 0;
}

static int remove_point(void *context, const char *folder, const char *name, struct err *err)
{
    (void)context;
    (void)name;
    return file_remove_folder(folder, err);
}

static int remove_leases(const char *chain, struct err *err)
{
    char leases[PATH_MAX];

    snprintf(leases, sizeof leases, "%s/leases", chain);
    return file_remove_folder(leases, err);
}

static int mark_chain(void *context, const char *folder, const char *name, struct err *err)
{
    (void)name;
    return repository_each_folder(folder, mark_point, context, err);
}

static int remove_chain(void *context, const char *folder, const char *name, struct err *err)
{
    (void)name;
    if (repository_each_folder(folder, remove_point, context, err) < 0 || remove_leases(folder, err) < 0)
        return -1;
    rmdir(folder); /* fails, as it should, where somebody put files of his own */
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    char folder[PATH_MAX];

    (void)run;
    folder_of(step, folder);
    if (repository_each_folder(folder, mark_chain, NULL, err) < 0 ||
        repository_each_folder(folder, remove_chain, NULL, err) < 0)
        return -1;
    rmdir(folder);
    return facts_set_int(learned, "freed_bytes",
                         facts_get_int(run->known, "freed_bytes", 0) + facts_get_int(&step->args, "bytes", 0), err);
}

const struct step_type step_remove_backups = {
    .name = "remove-backups",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render,
    .execute = execute,
    .settle = settle_by_repeating, /* repeated: what is gone is passed over */
};
