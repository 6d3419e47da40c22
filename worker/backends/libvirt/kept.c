#include "worker/backends/libvirt/kept.h"

#include "worker/backends/libvirt/image.h"

#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { ENTRY_MAX = PATH_MAX + 64 };

static void entry_path(const struct backend_config *config, const char *job_id, const char *disk, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/kept/%s.%s", config->state_directory, job_id, disk);
}

int kept_add(const struct backend_config *config, const char *job_id, const char *disk, const char *path, int64_t until_ms, struct err *err)
{
    char folder[PATH_MAX], entry[PATH_MAX], text[ENTRY_MAX];
    int len = snprintf(text, sizeof text, "%lld\n%s\n", (long long)until_ms, path);

    snprintf(folder, sizeof folder, "%s/kept", config->state_directory);
    entry_path(config, job_id, disk, entry);
    if (file_make_directories(folder, 0700, err) < 0)
        return -1;
    return file_write_atomic(entry, text, (size_t)len, 0600, err);
}

int kept_remove(const struct backend_config *config, const char *job_id, const char *disk, struct err *err)
{
    char entry[PATH_MAX];

    entry_path(config, job_id, disk, entry);
    return file_remove(entry, err);
}

static bool chain_has(const char *top, const char *path)
{
    struct strings chain = {0};
    bool found = false;

    image_chain(top, &chain, NULL);
    for (size_t i = 0; i < chain.count; i++)
        found = found || image_same(chain.items[i], path);
    strings_clear(&chain);
    return found;
}

static bool entry_keeps(const char *entry, const char *path)
{
    CLEANUP(freep) char *text = NULL;
    char *line, *end;
    long long until;

    if (file_read(entry, ENTRY_MAX, &text, &(size_t){0}, NULL) < 0)
        return false;
    until = strtoll(text, &line, 10);
    if (*line != '\n' || !(end = strchr(line + 1, '\n')))
        return false;
    *end = '\0';
    return until > clock_real_ms() && chain_has(line + 1, path);
}

bool kept_now(const struct backend_config *config, const char *path, char out_job[UUID_TEXT])
{
    char folder[PATH_MAX], entry[PATH_MAX + NAME_MAX + 2];
    struct dirent *each;
    bool kept = false;
    DIR *dir;

    snprintf(folder, sizeof folder, "%s/kept", config->state_directory);
    dir = opendir(folder);
    while (dir && !kept && (each = readdir(dir))) {
        snprintf(entry, sizeof entry, "%s/%s", folder, each->d_name);
        kept = each->d_type == DT_REG && entry_keeps(entry, path);
        if (kept && out_job)
            snprintf(out_job, UUID_TEXT, "%.36s", each->d_name);
    }
    if (dir)
        closedir(dir);
    return kept;
}
