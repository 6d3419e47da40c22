#include "worker/backends/libvirt/undo_record.h"

#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SAID_MS (15LL * 24 * 3600 * 1000) /* as long as the journal knows an ended job */

enum { RECORD_MAX = 64 << 20 };

static void record_path(const struct backend_config *config, const char *job_id, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/undo/%s.json", config->state_directory, job_id);
}

int undo_record_write(const struct backend_config *config, const char *job_id, const struct facts *record,
                      struct err *err)
{
    CLEANUP(freep) char *json = NULL;
    char folder[PATH_MAX], path[PATH_MAX];

    snprintf(folder, sizeof folder, "%s/undo", config->state_directory);
    record_path(config, job_id, path);
    if (facts_to_json(record, &json, err) < 0 || file_make_directories(folder, 0700, err) < 0)
        return -1;
    return file_write_atomic(path, json, strlen(json), 0600, err);
}

int undo_record_read(const struct backend_config *config, const char *job_id, struct facts *out, struct err *err)
{
    CLEANUP(freep) char *json = NULL;
    char path[PATH_MAX];
    size_t len;

    record_path(config, job_id, path);
    if (!file_exists(path))
        return 0;
    return file_read(path, RECORD_MAX, &json, &len, err) < 0 ? -1 : facts_from_json(out, json, err);
}

int undo_record_remove(const struct backend_config *config, const char *job_id, struct err *err)
{
    char path[PATH_MAX];

    record_path(config, job_id, path);
    return file_remove(path, err);
}

int undo_record_set(const struct backend_config *config, const char *job_id, const char *key, const char *value,
                    struct err *err)
{
    CLEANUP(facts_clearp) struct facts record = {0};

    if (undo_record_read(config, job_id, &record, err) < 0)
        return -1;
    if (record.count == 0)
        return 0;
    if (!value)
        facts_remove(&record, key);
    else if (facts_set(&record, key, value, err) < 0)
        return -1;
    return undo_record_write(config, job_id, &record, err);
}

static int tidy_one(const struct backend_config *config, const char *name, struct err *err)
{
    CLEANUP(facts_clearp) struct facts record = {0};
    char job_id[UUID_TEXT];
    int64_t over;

    snprintf(job_id, sizeof job_id, "%.36s", name);
    if (!uuid_valid(job_id) || undo_record_read(config, job_id, &record, err) < 0)
        return uuid_valid(job_id) ? -1 : 0;
    over = facts_get_int(&record, "until", facts_get_int(&record, "made_at", 0) + SAID_MS);
    return over < clock_real_ms() - SAID_MS ? undo_record_remove(config, job_id, err) : 0;
}

int undo_record_tidy(const struct backend_config *config, struct err *err)
{
    char folder[PATH_MAX];
    struct dirent *each;
    int result = 0;
    DIR *dir;

    snprintf(folder, sizeof folder, "%s/undo", config->state_directory);
    dir = opendir(folder);
    while (dir && result == 0 && (each = readdir(dir)))
        result = tidy_one(config, each->d_name, err);
    if (dir)
        closedir(dir);
    return result;
}

const char *undo_disk_of(const struct fact *fact, const char *kind)
{
    size_t len = strlen(kind);

    return strncmp(fact->key, kind, len) == 0 && fact->key[len] == ':' ? fact->key + len + 1 : NULL;
}

/* ---- which file it is ---- */

int undo_file(const char *path, bool unwritten, char **out, struct err *err)
{
    struct stat status;
    char changed[32] = "";

    if (stat(path, &status) < 0)
        return err_errno(err, errno, path);
    if (unwritten)
        snprintf(changed, sizeof changed, ":%lld",
                 (long long)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec);
    if (asprintf(out, "%ju:%ju%s", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino, changed) < 0)
        return err_memory(err, path);
    return 0;
}

bool undo_file_is(const char *path, const char *noted, bool same_boot)
{
    CLEANUP(freep) char *now = NULL;
    const char *colon = strchr(noted, ':');
    struct err ignored = {0};

    if (!colon || undo_file(path, strchr(colon + 1, ':') != NULL, &now, &ignored) < 0)
        return false;
    return strcmp(same_boot ? now : strchr(now, ':'), same_boot ? noted : colon) == 0;
}

int host_boot(char out[40], struct err *err)
{
    CLEANUP(freep) char *text = NULL;
    size_t len;

    if (file_read("/proc/sys/kernel/random/boot_id", 256, &text, &len, err) < 0)
        return -1;
    text[strcspn(text, "\n")] = '\0';
    snprintf(out, 40, "%.36s", text);
    return 0;
}
