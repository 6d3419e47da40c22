#include "worker/backends/libvirt/restore_places.h"

#include "base/err.h"
#include "base/text.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The directory of an absolute path is this one, however many slashes end it. */
static bool lies_in(const char *file, const char *directory)
{
    const char *slash = file ? strrchr(file, '/') : NULL;
    size_t len = strlen(directory);

    while (len > 1 && directory[len - 1] == '/')
        len--;
    if (!slash || *directory != '/')
        return false;
    size_t folder_len = slash == file ? 1 : (size_t)(slash - file);
    return folder_len == len && strncmp(file, directory, len) == 0;
}

static bool was_in(const struct restore_origin *disk, const char *pool)
{
    return (disk->pool && strcmp(disk->pool, pool) == 0) || lies_in(disk->file, pool);
}

static char *file_in(const struct restore_wish *wish, const struct restore_origin *disk, const char *directory)
{
    struct text path = {0};

    text_addf(&path, "%s/%s-%s.%s", strcmp(directory, "/") == 0 ? "" : directory, wish->domain, disk->name,
              disk->format);
    return text_take(&path);
}

static int choose(const struct restore_wish *wish, const struct restore_origin *disk, char **out, struct err *err)
{
    const char *file = facts_get(wish->files, disk->name), *directory = NULL;

    for (size_t i = 0; !directory && i < wish->pools->count; i++)
        if (was_in(disk, wish->pools->items[i].key))
            directory = wish->pools->items[i].value;
    if (!file && !directory)
        return 0;
    *out = file ? strdup(file) : file_in(wish, disk, directory);
    if (!*out)
        return err_memory(err, disk->name);
    if (strlen(*out) + sizeof ".part" <= PATH_MAX)
        return 0;
    return err_set(err, ERR_PERMANENT, "disk %s: the path of its file is too long", disk->name);
}

static int check_files(const struct restore_wish *wish, const struct restore_origin *disks, size_t count,
                       struct err *err)
{
    for (size_t i = 0; i < wish->files->count; i++) {
        const char *name = wish->files->items[i].key;
        size_t k = 0;

        while (k < count && strcmp(disks[k].name, name) != 0)
            k++;
        if (k < count)
            continue;
        err_set(err, ERR_PERMANENT, "disk %s is given a file, but is none of those that are restored", name);
        return err_hint(err, "fleetsnap backup show names the disks of a backup");
    }
    return 0;
}

static void list_pools(const struct restore_origin *disks, size_t count, struct text *out)
{
    for (size_t i = 0; i < count; i++) {
        const char *slash = disks[i].file ? strrchr(disks[i].file, '/') : NULL;

        text_addf(out, "%s%s in ", i ? ", " : "", disks[i].name);
        if (disks[i].pool)
            text_addf(out, "pool %s", disks[i].pool);
        else if (slash)
            text_addf(out, "%.*s", slash == disks[i].file ? 1 : (int)(slash - disks[i].file), disks[i].file);
        else
            text_addf(out, "none");
    }
}

static int check_pools(const struct restore_wish *wish, const struct restore_origin *disks, size_t count,
                       struct err *err)
{
    for (size_t i = 0; i < wish->pools->count; i++) {
        const char *pool = wish->pools->items[i].key;
        struct text were = {0};
        size_t k = 0;

        while (k < count && !was_in(&disks[k], pool))
            k++;
        if (k < count)
            continue;
        list_pools(disks, count, &were);
        err_set(err, ERR_PERMANENT, "no disk that is restored was in pool %s", pool);
        err_hint(err, "they were: %s", text_str(&were));
        text_free(&were);
        return -1;
    }
    return 0;
}

static int check_apart(const struct restore_origin *disks, size_t count, char *const *files, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; files[i] && k < i; k++)
            if (files[k] && strcmp(files[i], files[k]) == 0)
                return err_set(err, ERR_PERMANENT, "disks %s and %s would be one file, %s", disks[k].name,
                               disks[i].name, files[i]);
    return 0;
}

int restore_choose_files(const struct restore_wish *wish, const struct restore_origin *disks, size_t count, char **out,
                         struct err *err)
{
    int result = check_files(wish, disks, count, err) < 0 || check_pools(wish, disks, count, err) < 0 ? -1 : 0;

    for (size_t i = 0; i < count; i++)
        out[i] = NULL;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = choose(wish, &disks[i], &out[i], err);
    if (result == 0)
        result = check_apart(disks, count, out, err);
    for (size_t i = 0; result < 0 && i < count; i++) {
        free(out[i]);
        out[i] = NULL;
    }
    return result;
}
