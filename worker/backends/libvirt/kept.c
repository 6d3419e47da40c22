#include "worker/backends/libvirt/kept.h"

#include "worker/backends/libvirt/image.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "worker/backends/libvirt/snapshots.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { ENTRY_MAX = PATH_MAX + 64 };

static void entry_path(const struct backend_config *config, const char *job_id, const char *what, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/kept/%s.%s", config->state_directory, job_id, what);
}

static int entry_write(const char *entry, const char *path, int64_t until_ms, struct err *err)
{
    char text[ENTRY_MAX];
    int len = snprintf(text, sizeof text, "%lld\n%s\n", (long long)until_ms, path);

    return file_write_atomic(entry, text, (size_t)len, 0600, err);
}

int kept_add(const struct backend_config *config, const char *job_id, const char *what, const char *path,
             struct err *err)
{
    char folder[PATH_MAX], entry[PATH_MAX];

    snprintf(folder, sizeof folder, "%s/kept", config->state_directory);
    entry_path(config, job_id, what, entry);
    if (file_make_directories(folder, 0700, err) < 0)
        return -1;
    return entry_write(entry, path, INT64_MAX, err);
}

int kept_remove(const struct backend_config *config, const char *job_id, const char *what, struct err *err)
{
    char entry[PATH_MAX];

    entry_path(config, job_id, what, entry);
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

/* ---- the end of the time ---- */

/* Between the look at an entry's time and the removal of its file nobody makes that time longer. Held across the look at libvirt, a few milliseconds. */
static pthread_mutex_t ending = PTHREAD_MUTEX_INITIALIZER;

struct lengthening {
    const char *job_id;
    int64_t until_ms;
    struct err *err;
};

static bool entry_of(const char *entry, const char *job_id)
{
    const char *name = strrchr(entry, '/') + 1;
    size_t len = strlen(job_id);

    return strncmp(name, job_id, len) == 0 && name[len] == '.';
}

static int lengthen(void *context, const char *entry, const char *path, long long until)
{
    const struct lengthening *to = context;

    (void)until;
    return entry_of(entry, to->job_id) ? entry_write(entry, path, to->until_ms, to->err) : 0;
}

int kept_until(const struct backend_config *config, const char *job_id, int64_t for_ms, int64_t *out_until,
               struct err *err)
{
    LOCK_SCOPE(&ending);
    struct lengthening to = {job_id, for_ms == KEPT_FOR_EVER ? INT64_MAX : clock_real_ms() + for_ms, err};

    *out_until = to.until_ms;
    return each_entry(config, lengthen, &to);
}

int kept_set(const struct backend_config *config, const char *job_id, const char *what, int64_t until_ms,
             struct err *err)
{
    LOCK_SCOPE(&ending);
    CLEANUP(freep) char *path = NULL;
    char entry[PATH_MAX];
    long long until;

    entry_path(config, job_id, what, entry);
    path = entry_read(entry, &until);
    if (!path)
        return err_set(err, ERR_PERMANENT, "job %s: what it kept of %s is not kept any more", job_id, what);
    return entry_write(entry, path, until_ms, err);
}

struct tidying {
    struct libvirt_backend *backend;
    struct err *err;
};

static int remove_if_over(void *context, const char *entry, const char *path, long long until)
{
    const struct tidying *tidying = context;
    CLEANUP(strings_endp) struct strings needed = {0};
    virConnectPtr connection = tidying->backend->connection;

    if (until > clock_real_ms())
        return 0;
    if (file_exists(path)) {
        if (image_holders(connection, path, &needed, tidying->err) < 0 ||
            image_users(connection, path, &needed, tidying->err) < 0)
            return -1;
        if (needed.count > 0 || kept_now(tidying->backend->base.config, path, NULL) || image_written(path))
            return 0;
        if (file_remove(path, tidying->err) < 0)
            return -1;
        log_info("kept", "%s: removed, its time is over (job %.36s)", path, strrchr(entry, '/') + 1);
    }
    return file_remove(entry, tidying->err);
}

int kept_tidy(struct libvirt_backend *backend, struct err *err)
{
    CLEANUP(strings_endp) struct strings over = {0};
    struct tidying tidying = {backend, err};

    if (kept_over(backend->base.config, &over, err) < 0)
        return -1;
    if (over.count == 0)
        return 0;
    if (libvirt_connect(backend, err) < 0)
        return -1;
    LOCK_SCOPE(&ending);
    return each_entry(backend->base.config, remove_if_over, &tidying);
}
