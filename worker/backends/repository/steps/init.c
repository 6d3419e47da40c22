/* repository-init: the directory and its marker. */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "mkdir -p '%s'\n# writes '%s/%s': id %s, name %s, min_free %s %%", repository_arg(step, "path"),
              repository_arg(step, "path"), repository_marker, repository_arg(step, "id"), repository_arg(step, "name"),
              repository_arg(step, "min_free_percent"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)run;
    if (repository_init(repository_arg(step, "path"), repository_arg(step, "id"), repository_arg(step, "name"),
                        facts_get_int(&step->args, "min_free_percent", 10), err) < 0)
        return -1;
    if (facts_set(learned, "id", repository_arg(step, "id"), err) < 0 ||
        facts_set(learned, "name", repository_arg(step, "name"), err) < 0)
        return -1;
    return facts_set(learned, "path", repository_arg(step, "path"), err);
}

static bool only_marker(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    bool only = dir != NULL;

    while (only && (entry = readdir(dir)))
        only = entry->d_name[0] == '.' || strcmp(entry->d_name, repository_marker) == 0;
    if (dir)
        closedir(dir);
    return only;
}

/* Only what this job made, and only while nothing but the marker is in it. */
static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    struct repository repository = {0};
    char path[PATH_MAX];

    (void)run;
    (void)learned;
    if (facts_get(&step->args, "had") || !only_marker(repository_arg(step, "path")) ||
        repository_open(repository_arg(step, "path"), repository_arg(step, "id"), &repository, NULL) < 0)
        return 0;
    repository_clear(&repository);
    snprintf(path, sizeof path, "%s/%s", repository_arg(step, "path"), repository_marker);
    if (file_remove(path, err) < 0)
        return -1;
    if (facts_get(&step->args, "made"))
        rmdir(repository_arg(step, "path"));
    return 0;
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    struct repository repository = {0};

    (void)run;
    (void)learned;
    (void)err;
    *out = SETTLED_NOT_DONE;
    if (repository_open(repository_arg(step, "path"), repository_arg(step, "id"), &repository, NULL) < 0)
        return 0;
    repository_clear(&repository);
    *out = SETTLED_DONE;
    return 0;
}

const struct step_type step_repository_init = {
    .name = "repository-init",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
