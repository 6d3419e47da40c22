/*
 * What a backup leaves in QEMU when the libvirt that began it, or was to take in its end, died in that moment:
 *   - a job "backup-vda…", where libvirt had not noted that QEMU has begun it: it runs, or waits for ever to be dismissed, and no other may have its name
 *   - the bitmap "backup-vda", by which each later incremental fails
 *   - the bitmap of a checkpoint that libvirt knows nothing of, and that a repeat of its job wants to make
 *   - the server of an export, by which no other can begin
 *   - the files that it wrote to, open, whose names a later backup may want to give, and whose room nobody gets back
 * libvirt has no call for any of it, so QEMU itself is told.
 */
#include "worker/backends/libvirt/backup_left.h"

#include "base/clock.h"
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/export.h"

#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { JOB_END_MS = 5000, LOOK_MS = 20 };

/* QEMU's answer, to be released by the caller; NULL: it refuses. `arguments` is taken, and may be NULL. */
static json_t *ask(virDomainPtr domain, const char *what, json_t *arguments)
{
    json_auto_t *question = json_pack("{s:s, s:o*}", "execute", what, "arguments", arguments);
    CLEANUP(freep) char *text = question ? json_dumps(question, JSON_COMPACT) : NULL;
    CLEANUP(freep) char *answer = NULL;
    json_auto_t *whole = NULL;

    if (!text || virDomainQemuMonitorCommand(domain, text, &answer, 0) < 0)
        return NULL;
    whole = json_loads(answer, 0, NULL);
    return json_incref(json_object_get(whole, "return"));
}

static bool tell(virDomainPtr domain, const char *what, json_t *arguments)
{
    json_auto_t *answer = ask(domain, what, arguments);

    return answer != NULL;
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* "backup-vda", and for names of jobs "backup-vda-…", of one of the disks ("vda vdb"). */
static bool names_backup(const char *name, const char *disks, bool more)
{
    static const char prefix[] = "backup-";

    if (strncmp(name, prefix, strlen(prefix)) != 0)
        return false;
    name += strlen(prefix);
    for (size_t len; *disks; disks += len + (disks[len] == ' ')) {
        len = strcspn(disks, " ");
        if (strncmp(name, disks, len) == 0 && (!name[len] || (more && name[len] == '-')))
            return true;
    }
    return false;
}

/* ---- jobs ---- */

/* The first such job; *out_id belongs to the caller. False: there is none. */
static bool find_job(virDomainPtr domain, const char *disks, char **out_id, bool *out_concluded)
{
    json_auto_t *jobs = ask(domain, "query-jobs", NULL);
    json_t *job;
    size_t i;

    json_array_foreach(jobs, i, job)
    {
        if (strcmp(text_of(job, "type"), "backup") != 0 || !names_backup(text_of(job, "id"), disks, true))
            continue;
        *out_id = strdup(text_of(job, "id"));
        *out_concluded = strcmp(text_of(job, "status"), "concluded") == 0;
        return *out_id != NULL;
    }
    return false;
}

static int end_jobs(virDomainPtr domain, const char *disks)
{
    int64_t until = clock_monotonic_ms() + JOB_END_MS;
    int count = 0;

    while (clock_monotonic_ms() < until) {
        CLEANUP(freep) char *id = NULL;
        bool concluded;

        if (!find_job(domain, disks, &id, &concluded))
            return count;
        if (concluded)
            count += tell(domain, "job-dismiss", json_pack("{s:s}", "id", id));
        else
            tell(domain, "block-job-cancel", json_pack("{s:s, s:b}", "device", id, "force", 1));
        if (!concluded)
            nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
    }
    return count;
}

/* ---- nodes, and the bitmaps on them ---- */

static bool is_left(json_t *bitmap, const char *disks, const char *checkpoint)
{
    const char *name = text_of(bitmap, "name");

    if (json_is_true(json_object_get(bitmap, "busy")))
        return false;
    if (checkpoint && strcmp(name, checkpoint) == 0)
        return true;
    return json_is_false(json_object_get(bitmap, "persistent")) && names_backup(name, disks, false);
}

static int remove_bitmaps(virDomainPtr domain, json_t *nodes, const char *disks, const char *checkpoint)
{
    json_t *node, *bitmap;
    size_t i, k;
    int count = 0;

    json_array_foreach(nodes, i, node)
    {
        json_array_foreach(json_object_get(node, "dirty-bitmaps"), k, bitmap)
        {
            if (is_left(bitmap, disks, checkpoint))
                count += tell(
                    domain, "block-dirty-bitmap-remove",
                    json_pack("{s:s, s:s}", "node", text_of(node, "node-name"), "name", text_of(bitmap, "name")));
        }
    }
    return count;
}

/* Of all that is below `place`: QEMU refuses for what it uses. */
static int close_files(virDomainPtr domain, json_t *nodes, const char *place, bool storage)
{
    json_t *node;
    size_t i;
    int count = 0;

    json_array_foreach(nodes, i, node)
    {
        const char *file = text_of(node, "file");

        if (strncmp(file, place, strlen(place)) == 0 && (strcmp(text_of(node, "drv"), "file") == 0) == storage)
            count += tell(domain, "blockdev-del", json_pack("{s:s}", "node-name", text_of(node, "node-name")));
    }
    return count;
}

/* What stands on a file goes before the file. */
static int close_below(virDomainPtr domain, json_t *nodes, const char *place)
{
    return close_files(domain, nodes, place, false) + close_files(domain, nodes, place, true);
}

/* Where all backups of the domain in this repository are: two above the folder of one of them. Empty: nowhere. */
static void place_of(const char *folder, char out[PATH_MAX])
{
    char *slash;

    if (snprintf(out, PATH_MAX, "%s", folder) >= PATH_MAX)
        out[0] = '\0';
    for (int up = 0; up < 2 && (slash = strrchr(out, '/')); up++)
        slash[up == 0 ? 0 : 1] = '\0';
}

static int clean_nodes(virDomainPtr domain, const struct step *step, const char *checkpoint)
{
    json_auto_t *nodes = ask(domain, "query-named-block-nodes", json_pack("{s:b}", "flat", 1));
    char place[PATH_MAX];
    int count = remove_bitmaps(domain, nodes, step_arg(step, "disks"), checkpoint);

    place_of(step_arg(step, "folder"), place);
    if (place[0])
        count += close_below(domain, nodes, place);
    return count;
}

/* Its own checkpoint, where libvirt does not know it; NULL: no bitmap of that name is ours to remove. */
static const char *unknown_checkpoint(virDomainPtr domain, const struct step *step)
{
    const char *checkpoint = facts_get(&step->args, "checkpoint");
    bool exists;

    return checkpoint && checkpoint_exists(domain, checkpoint, &exists, NULL) == 0 && !exists ? checkpoint : NULL;
}

/* Never with a client: see export_abort(). */
static bool nobody_connected(const struct export_server *server)
{
    struct connections seen;

    return (server->socket || server->address) && export_clients(server, &seen) <= 0;
}

static bool knows_of_none(virDomainPtr domain)
{
    enum running_backup running;
    int operation;

    return backup_running(domain, "", &running, NULL) == 0 && running == BACKUP_NONE &&
           libvirt_slot(domain, &operation) == SLOT_FREE;
}

static bool stop_server(virDomainPtr domain, const struct export_server *server)
{
    return nobody_connected(server) && tell(domain, "nbd-server-stop", NULL); /* QEMU refuses where there is none */
}

void export_remove_left(virDomainPtr domain, const char *folder, const struct export_server *server)
{
    if (!knows_of_none(domain))
        return;
    stop_server(domain, server);
    json_auto_t *nodes = ask(domain, "query-named-block-nodes", json_pack("{s:b}", "flat", 1));
    close_below(domain, nodes, folder);
}

void backup_cut_clients(virDomainPtr domain)
{
    json_auto_t *exports = ask(domain, "query-block-exports", NULL);
    json_t *export;
    size_t i;

    json_array_foreach(exports, i, export)
    {
        if (strcmp(text_of(export, "type"), "nbd") == 0)
            tell(domain, "block-export-del", json_pack("{s:s, s:s}", "id", text_of(export, "id"), "mode", "hard"));
    }
}

bool backup_remove_left(virDomainPtr domain, const struct step *step)
{
    const struct export_server server = export_server_of(step);

    if (!knows_of_none(domain))
        return false;
    int count = stop_server(domain, &server);
    count += end_jobs(domain, step_arg(step, "disks"));
    return count + clean_nodes(domain, step, unknown_checkpoint(domain, step)) > 0;
}
