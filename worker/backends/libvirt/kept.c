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

int kept_add(const struct backend_config *config, const char *job_id, const char *disk, const char *path,
             int64_t until_ms, struct err *err)
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

/* Reads one entry: "<until ms>\n<path>\n". Caller frees the path; NULL: unreadable. */
static char *entry_read(const char *entry, long long *out_until)
{
    CLEANUP(freep) char *text = NULL;
    char *line, *end;

    if (file_read(entry, ENTRY_MAX, &text, &(size_t){0}, NULL) < 0)
        return NULL;
    *out_until = strtoll(text, &line, 10);
    if (*line != '\n' || !(end = strchr(line + 1, '\n')))
        return NULL;
    *end = '\0';
    return strdup(line + 1);
}

/* Every entry in turn, until `visit` returns something else than 0, which is returned. */
static int each_entry(const struct backend_config *config,
                      int (*visit)(void *context, const char *entry, const char *path, long long until), void *context)
{
    char folder[PATH_MAX], entry[PATH_MAX + NAME_MAX + 2];
    struct dirent *each;
    int result = 0;
    DIR *dir;

    snprintf(folder, sizeof folder, "%s/kept", config->state_directory);
    dir = opendir(folder);
    while (dir && result == 0 && (each = readdir(dir))) {
        long long until;
        CLEANUP(freep) char *path = NULL;

        snprintf(entry, sizeof entry, "%s/%s", folder, each->d_name);
        path = each->d_name[0] == '.' ? NULL : entry_read(entry, &until);
        if (path)
            result = visit(context, entry, path, until);
    }
    if (dir)
        closedir(dir);
    return result;
}

struct keeper {
    const char *path;
    char *job; /* may be NULL */
};

static int keeps(void *context, const char *entry, const char *path, long long until)
{
    struct keeper *keeper = context;

    if (until <= clock_real_ms() || !chain_has(path, keeper->path))
        return 0;
    if (keeper->job)
        snprintf(keeper->job, UUID_TEXT, "%.36s", strrchr(entry, '/') + 1);
    return 1;
}

bool kept_now(const struct backend_config *config, const char *path, char out_job[UUID_TEXT])
{
    struct keeper keeper = {path, out_job};

    return each_entry(config, keeps, &keeper) == 1;
}

static int note_over(void *context, const char *entry, const char *path, long long until)
{
    (void)entry;
    return until <= clock_real_ms() && file_exists(path) ? strings_add(context, path, NULL) : 0;
}

int kept_over(const struct backend_config *config, struct strings *out, struct err *err)
{
    return each_entry(config, note_over, out) == 0 ? 0 : err_memory(err, "kept files");
}

static int forget(void *context, const char *entry, const char *path, long long until)
{
    (void)until;
    return strcmp(path, context) == 0 ? file_remove(entry, NULL) : 0;
}

int kept_forget(const struct backend_config *config, const char *path, struct err *err)
{
    CLEANUP(freep) char *copy = strdup(path);

    return copy && each_entry(config, forget, copy) == 0
               ? 0
               : err_set(err, ERR_RETRY, "%s: its entry among the kept files cannot be removed", path);
}
