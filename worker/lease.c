/*
 * Leases: files <chain>/leases/<job id> that say "this job reads or writes here". The file holds the host's name; its modification time is the time of the last
 * renewal by the holder's clock. Whoever takes away looks for others' leases after it has taken its own, and whoever reads looks at the manifest after it has
 * taken its own: of the two, at least one sees the other. A lease "alone" has a second line that says so: its holder exchanges files that readers may know by name or
 * checksum, so nobody begins to read until it is dropped.
 */
#include "worker/repository.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char alone[] = "\nalone\n";

enum { LEASE_STALE_MS = 10 * 60 * 1000, LEASE_HOST_MAX = 256, LEASE_TRIES = 10 };

static int lease_path(const char *chain_folder, const char *job_id, char out[PATH_MAX], struct err *err)
{
    if (!name_valid_plain(job_id))
        return err_set(err, ERR_PERMANENT, "lease: \"%s\" is no job id", job_id);
    if (snprintf(out, PATH_MAX, "%s/leases/%s", chain_folder, job_id) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "lease: path is too long: %s", chain_folder);
    return 0;
}

static int touch(int fd, const char *path, struct err *err)
{
    int64_t now = clock_real_ms();
    struct timespec time = {.tv_sec = now / 1000, .tv_nsec = now % 1000 * 1000000};
    struct timespec times[2] = {time, time};

    return futimens(fd, times) < 0 ? err_errno(err, errno, path) : 0;
}

static int take(const char *chain_folder, const char *job_id, const char *text, struct err *err)
{
    char path[PATH_MAX], folder[PATH_MAX];
    CLEANUP(closep) int fd = -1;

    if (lease_path(chain_folder, job_id, path, err) < 0)
        return -1;
    snprintf(folder, sizeof folder, "%s/leases", chain_folder);
    for (int try = 1; fd < 0 && try <= LEASE_TRIES;
         try++) { /* whoever drops the last lease removes the folder, perhaps between these two */
        if (mkdir(folder, 0755) < 0 && errno != EEXIST)
            return err_errno(err, errno, folder);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0 && errno != ENOENT)
            break;
    }
    if (fd < 0)
        return err_errno(err, errno, path);
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return err_errno(err, errno ? errno : ENOSPC, path);
    return touch(fd, path, err);
}

int lease_take(const char *chain_folder, const char *job_id, const char *host, struct err *err)
{
    return take(chain_folder, job_id, host, err);
}

int lease_take_alone(const char *chain_folder, const char *job_id, const char *host, struct err *err)
{
    char text[LEASE_HOST_MAX];

    if (snprintf(text, sizeof text, "%s%s", host, alone) >= (int)sizeof text)
        return err_set(err, ERR_PERMANENT, "lease: the name of the host is too long");
    return take(chain_folder, job_id, text, err);
}

int lease_renew(const char *chain_folder, const char *job_id, struct err *err)
{
    char path[PATH_MAX];
    CLEANUP(closep) int fd = -1;

    if (lease_path(chain_folder, job_id, path, err) < 0)
        return -1;
    fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, errno, path);
    return touch(fd, path, err);
}

void lease_drop(const char *chain_folder, const char *job_id)
{
    char path[PATH_MAX];

    if (lease_path(chain_folder, job_id, path, NULL) < 0)
        return;
    unlink(path);
    snprintf(path, sizeof path, "%s/leases", chain_folder);
    rmdir(path); /* fails, as it should, while somebody else holds one */
}

enum lease_age { LEASE_GONE, LEASE_LIVE, LEASE_STALE };

static enum lease_age lease_age(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return LEASE_GONE; /* dropped meanwhile */
    int64_t renewed_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
    return clock_real_ms() - renewed_ms > LEASE_STALE_MS ? LEASE_STALE : LEASE_LIVE;
}

static int lease_judge(const char *chain_folder, const char *job_id, bool only_alone, struct err *err)
{
    char path[PATH_MAX];
    CLEANUP(freep) char *host = NULL;
    size_t len;

    snprintf(path, sizeof path, "%s/leases/%s", chain_folder, job_id);
    if (lease_age(path) != LEASE_LIVE)
        return 0;
    if (file_read(path, LEASE_HOST_MAX, &host, &len, NULL) < 0)
        host = strdup("an unknown host");
    if (only_alone && (!host || !strstr(host, alone)))
        return 0;
    if (host)
        host[strcspn(host, "\n")] = '\0';
    err_set(err, ERR_RETRY, "%s: in use by job %s on %s", chain_folder, job_id, host ? host : "?");
    return err_hint(err, "wait for that job, or cancel it; what a dead one holds is free after ten minutes");
}

static int check_others(const char *chain_folder, const char *but_job_id, bool only_alone, struct err *err)
{
    char path[PATH_MAX];
    struct dirent *entry;
    int result = 0;
    DIR *dir;

    snprintf(path, sizeof path, "%s/leases", chain_folder);
    if (!(dir = opendir(path)))
        return errno == ENOENT ? 0 : err_errno(err, errno, path);
    while (result == 0 && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && (!but_job_id || strcmp(entry->d_name, but_job_id) != 0))
            result = lease_judge(chain_folder, entry->d_name, only_alone, err);
    closedir(dir);
    return result;
}

int lease_check_free(const char *chain_folder, const char *but_job_id, struct err *err)
{
    return check_others(chain_folder, but_job_id, false, err);
}

int lease_check_calm(const char *chain_folder, const char *but_job_id, struct err *err)
{
    return check_others(chain_folder, but_job_id, true, err);
}

int lease_stale(const char *chain_folder, struct strings *out_jobs, struct err *err)
{
    char folder[PATH_MAX], path[PATH_MAX + 256];
    struct dirent *entry;
    int result = 0;
    DIR *dir;

    snprintf(folder, sizeof folder, "%s/leases", chain_folder);
    if (!(dir = opendir(folder)))
        return errno == ENOENT ? 0 : err_errno(err, errno, folder);
    while (result == 0 && (entry = readdir(dir))) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && lease_age(path) == LEASE_STALE)
            result = strings_add(out_jobs, entry->d_name, err);
    }
    closedir(dir);
    return result;
}
