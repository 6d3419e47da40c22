/*
 * complete: everything that belongs to the point is put beside the disks (definition, NVRAM), all of it is made durable, and only then the manifest says complete.
 * Before that the point does not exist for anybody; the checkpoint is kept only because of what happens here.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)lost;
    (void)err;
    text_addf(command, "virsh dumpxml '%s' --inactive --security-info > '%s/domain.xml'\n", step_subject(run),
              step_arg(step, "folder"));
    text_addf(command, "sync -f '%s'\n# manifest.json: \"state\": \"complete\"", step_arg(step, "folder"));
    return 0;
}

/* The size of a file, after it is on disk. */
static int sync_file(const char *folder, const char *name, int64_t *size, struct err *err)
{
    char path[PATH_MAX];
    CLEANUP(closep) int fd = -1;
    struct stat status;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fsync(fd) < 0 || fstat(fd, &status) < 0)
        return err_errno(err, errno, path);
    *size = status.st_size;
    return 0;
}

static int sync_disks(const char *folder, struct restore_point *point, struct err *err)
{
    point->size_bytes = 0;
    for (size_t i = 0; i < point->disks.count; i++) {
        struct point_disk *disk = list_at(&point->disks, struct point_disk, i);

        if (!disk->file)
            continue;
        if (sync_file(folder, disk->file, &disk->stored_bytes, err) < 0)
            return -1;
        point->size_bytes += disk->stored_bytes;
    }
    return 0;
}

/* ---- what else belongs to it ---- */

static bool has_all_disks(xmlDocPtr xml, const struct restore_point *point)
{
    struct domain_disks disks = {0};
    size_t found = 0, wanted = 0;

    if (domain_disks_read(xml, &disks, NULL) < 0)
        return false;
    for (size_t i = 0; i < point->disks.count; i++) {
        const struct point_disk *disk = list_at(&point->disks, struct point_disk, i);

        wanted += disk->file != NULL;
        for (size_t k = 0; disk->file && k < disks.count; k++)
            found += strcmp(disks.items[k].name, disk->name) == 0;
    }
    domain_disks_clear(&disks);
    return found == wanted;
}

/* The definition that the next start would use; but where it lacks a disk that was plugged into the running guest, the live one. */
static int definition(virDomainPtr domain, const struct restore_point *point, xmlDocPtr *out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr inactive = NULL;

    if (libvirt_domain_xml(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, &inactive, err) < 0)
        return -1;
    if (virDomainIsActive(domain) == 1 && !has_all_disks(inactive, point))
        return libvirt_domain_xml(domain, VIR_DOMAIN_XML_MIGRATABLE | VIR_DOMAIN_XML_SECURE, out, err);
    *out = TAKE_PTR(inactive);
    return 0;
}

static int save_definition(virDomainPtr domain, const char *folder, struct restore_point *point, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr xml = NULL;
    CLEANUP(freep) char *text = NULL;
    CLEANUP(freep) char *nvram = NULL;
    char path[PATH_MAX];

    if (definition(domain, point, &xml, err) < 0 || xml_format(xml, &text, err) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/domain.xml", folder);
    if (file_write_atomic(path, text, strlen(text), 0600, err) < 0 ||
        string_set(&point->definition, "domain.xml", err) < 0)
        return -1;
    nvram = xml_get(xml, "/domain/os/nvram");
    if (!nvram || !file_exists(nvram))
        return 0;
    snprintf(path, sizeof path, "%s/nvram.fd", folder);
    return file_copy(nvram, path, 0600, NULL, err) < 0 ? -1 : string_set(&point->nvram, "nvram.fd", err);
}

static int list_snapshots(virDomainPtr domain, struct restore_point *point, struct err *err)
{
    virDomainSnapshotPtr *snapshots = NULL;
    int count = virDomainListAllSnapshots(domain, &snapshots, 0), failed = 0;

    if (count < 0)
        return libvirt_err(err, "snapshots");
    strings_clear(&point->missing_snapshots);
    for (int i = 0; i < count; i++) {
        if (strings_add(&point->missing_snapshots, virDomainSnapshotGetName(snapshots[i]), err) < 0)
            failed = -1;
        virDomainSnapshotFree(snapshots[i]);
    }
    free(snapshots);
    return failed;
}

/* ---- what is known of it ---- */

static int set_level(const struct step_run *run, const struct step *step, struct restore_point *point, struct err *err)
{
    const char *level = level_reached(run->known, step_arg(step, "level"));
    const char *reason = facts_get(run->known, "level_reason");

    if (!reason)
        reason = facts_get(&step->args, "level_reason");
    if (string_set(&point->level, level, err) < 0)
        return -1;
    return string_set(&point->level_reason, strcmp(level, "filesystem") == 0 ? NULL : reason, err);
}

static int finish(const struct step_run *run, const struct step *step, struct restore_point *point, struct err *err)
{
    int64_t now = clock_real_ms(), begun = facts_get_int(run->known, "begun_at_ms", 0);

    if (begun > 0)
        point->created_at_ms = begun;
    point->completed_at_ms = now;
    point->duration_ms = now > point->created_at_ms ? now - point->created_at_ms : 0;
    point->frozen_ms = facts_get_int(run->known, "frozen_ms", 0);
    point->dirty_bytes = facts_get_int(run->known, "dirty_bytes", 0);
    point->state = POINT_COMPLETE;
    barrier_measure(point, run->known);
    return set_level(run, step, point, err);
}

static int learn(const struct restore_point *point, struct facts *learned, struct err *err)
{
    if (facts_set(learned, "kind", point->backup_kind, err) < 0 || facts_set(learned, "level", point->level, err) < 0 ||
        facts_set_int(learned, "size_bytes", point->size_bytes, err) < 0 ||
        facts_set_int(learned, "duration_ms", point->duration_ms, err) < 0 ||
        facts_set_int(learned, "chain_length", point->chain_length, err) < 0)
        return -1;
    if (point->parent && facts_set(learned, "parent", point->parent, err) < 0)
        return -1;
    return point->fallback_reason ? facts_set(learned, "fallback_reason", point->fallback_reason, err) : 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(point_endp) struct restore_point point = {0};
    CLEANUP(chain_lease_endp) struct chain_lease lease = {0};
    const char *folder = step_arg(step, "folder");

    if (manifest_read(folder, &point, err) < 0)
        return -1;
    if (point.state == POINT_COMPLETE)
        return learn(&point, learned, err);
    if (step_domain(run, &domain, err) < 0 || chain_lease_take(&lease, run, step_arg(step, "chain_folder"), err) < 0 ||
        save_definition(domain, folder, &point, err) < 0 || list_snapshots(domain, &point, err) < 0 ||
        sync_disks(folder, &point, err) < 0 || finish(run, step, &point, err) < 0 ||
        file_sync_directory(folder, err) < 0 || manifest_write(folder, &point, err) < 0)
        return -1;
    if (file_sync_directory(step_arg(step, "chain_folder"), err) < 0)
        return -1;
    return learn(&point, learned, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(point_endp) struct restore_point point = {0};

    (void)run;
    (void)learned;
    if (manifest_read(step_arg(step, "folder"), &point, err) < 0)
        return err->kind == ERR_RETRY ? -1 : 0; /* it cannot be read now, and may say complete; or it is not there */
    if (point.state != POINT_COMPLETE)
        return 0;
    point.state = POINT_INCOMPLETE;
    return manifest_write(step_arg(step, "folder"), &point, err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    CLEANUP(point_endp) struct restore_point point = {0};

    *out = SETTLED_NOT_DONE;
    chain_lease_settle(run, step, *out);
    if (manifest_read(step_arg(step, "folder"), &point, NULL) < 0 || point.state != POINT_COMPLETE)
        return 0;
    *out = SETTLED_DONE;
    return learn(&point, learned, err);
}

const struct step_type step_backup_complete = {
    .name = "complete",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
