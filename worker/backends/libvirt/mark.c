/*
 * The mark of ownership at the end of a description: "[fleetsnap <job id>]", "[fleetsnap <job id> <level>]" or, of the checkpoint of a backup,
 * "[fleetsnap <job id> backup <repository id>]". Pure.
 */
#include "worker/backends/libvirt/libvirt.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const char opening[] = "[fleetsnap ";

/* Where the mark begins, or NULL. Only one at the very end counts: a description may quote another. */
static const char *find_mark(const char *description)
{
    const char *mark = NULL;
    size_t len = description ? strlen(description) : 0;

    if (len == 0 || description[len - 1] != ']')
        return NULL;
    for (const char *at = description; (at = strstr(at, opening)); at++)
        mark = at;
    return mark && strchr(mark, ']') == description + len - 1 ? mark : NULL;
}

bool mark_read(const char *description, char out_job[UUID_TEXT], char out_level[MARK_LEVEL])
{
    const char *mark = find_mark(description);
    char job[UUID_TEXT] = "", level[MARK_LEVEL] = "";

    if (!mark || sscanf(mark, "[fleetsnap %36[0-9a-f-] %15[a-z]", job, level) < 1 || !uuid_valid(job))
        return false;
    memcpy(out_job, job, sizeof job);
    memcpy(out_level, level, sizeof level);
    return true;
}

char *mark_strip(const char *description)
{
    char job[UUID_TEXT], level[MARK_LEVEL];
    size_t len;

    if (!description)
        return NULL;
    if (!mark_read(description, job, level))
        return *description ? strdup(description) : NULL;
    len = (size_t)(find_mark(description) - description);
    while (len > 0 && (description[len - 1] == ' ' || description[len - 1] == '\n'))
        len--;
    return len > 0 ? strndup(description, len) : NULL;
}

char *mark_add(const char *description, const char *job_id, const char *level)
{
    struct text text = {0};

    if (description && *description)
        text_addf(&text, "%s ", description);
    text_addf(&text, "%s%s", opening, job_id);
    if (level && *level)
        text_addf(&text, " %s", level);
    text_add(&text, "]");
    return text_take(&text);
}

char *mark_add_backup(const char *description, const char *job_id, const char *repository_id)
{
    char level[8 + UUID_TEXT];

    snprintf(level, sizeof level, "backup %s", repository_id);
    return mark_add(description, job_id, level);
}

bool mark_read_backup(const char *description, char out_job[UUID_TEXT], char out_repository[UUID_TEXT])
{
    const char *mark = find_mark(description);
    char job[UUID_TEXT], repository[UUID_TEXT];

    if (!mark || sscanf(mark, "[fleetsnap %36[0-9a-f-] backup %36[0-9a-f-]]", job, repository) != 2 ||
        !uuid_valid(job) || !uuid_valid(repository))
        return false;
    memcpy(out_job, job, sizeof job);
    memcpy(out_repository, repository, sizeof repository);
    return true;
}

void short_job(const char *job_id, char out[SHORT_JOB])
{
    snprintf(out, SHORT_JOB, "%.13s", job_id);
}
