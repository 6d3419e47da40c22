/*
 * Evidence that nothing has used the disks since: the record of the job, the definition (which files the disks are), the files themselves (the same inodes, nobody on top of them,
 * what they stand on not written), the tree of snapshots and the checkpoints. A later snapshot, revert, restore or merge changes at least one of them, whoever made it. A backup only leaves a
 * checkpoint; undoing costs it, and the next backup is full: that needs --force, as another machine for a running guest does.
 */
#include "worker/backends/libvirt/undo_look.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/expect.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/inventory.h"
#include "worker/backends/libvirt/moments.h"
#include "worker/backends/libvirt/undo_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void undo_look_end(struct undo_look *look)
{
    facts_clear(&look->record);
    domain_freep(&look->domain);
    xml_freep(&look->definition);
    strings_clear(&look->checkpoints);
    strings_clear(&look->differences);
    snapshots_clear(&look->snapshots_before);
}

bool undo_swapped(const struct undo_look *look)
{
    return facts_get(&look->record, "swapped") != NULL;
}

static const char *noted(const struct undo_look *look, const char *kind, const char *disk)
{
    char key[160];

    snprintf(key, sizeof key, "%s:%s", kind, disk);
    return facts_get_or(&look->record, key, "");
}

/* ---- the record ---- */

static int read_record(struct undo_look *look, struct err *err)
{
    const char *target;

    if (undo_record_read(look->backend->base.config, look->params->job, &look->record, err) < 0)
        return -1;
    if (look->record.count == 0) {
        err_set(err, ERR_PERMANENT, "job %s cannot be undone: this host has no record of what it took out of use",
                look->params->job);
        return err_hint(err, "only a revert by hand, a restore in place and an undo leave one, if they were done; those "
                             "of older versions did not: fleetsnap job show");
    }
    target = facts_get_or(&look->record, "target", "");
    if (strcmp(target, look->job->target.id) != 0)
        return err_set(err, ERR_PERMANENT, "job %s was on another machine: libvirt:%s", look->params->job, target);
    return 0;
}

static int check_record(const struct undo_look *look, struct err *err)
{
    const char *by = facts_get(&look->record, "undone_by"), *unfit = facts_get(&look->record, "unfit");
    char when[48];

    if (by) {
        err_set(err, ERR_PERMANENT, "job %s was undone already, by job %s", look->params->job, by);
        return err_hint(err, "to take that back: fleetsnap job undo %.8s", by);
    }
    if (look->until_ms == 0)
        return err_set(err, ERR_PERMANENT, "job %s did not come to its end: there is nothing to undo",
                       look->params->job);
    if (look->until_ms <= look->now_ms)
        return err_set(err, ERR_PERMANENT, "job %s: what it took out of use was kept until %s; that is over",
                       look->params->job, format_time(look->until_ms, true, when, sizeof when));
    return unfit ? err_set(err, ERR_PERMANENT, "job %s: disk %s was no file, and was not kept", look->params->job, unfit)
                 : 0;
}

/* ---- the domain and its disks ---- */

static int look_at_domain(struct undo_look *look, struct err *err)
{
    if (libvirt_domain(look->backend, look->job->target.id, &look->domain, err) < 0 ||
        libvirt_no_foreign_job(look->domain, err) < 0 || expect_check(look->domain, look->job, err) < 0 ||
        libvirt_domain_state(look->domain, &look->state, NULL, err) < 0)
        return -1;
    if (virDomainIsPersistent(look->domain) != 1) {
        err_set(err, ERR_PERMANENT, "the domain is transient: it would be gone when it is stopped");
        return err_hint(err, "make it persistent first: virsh define");
    }
    look->active = virDomainIsActive(look->domain) == 1;
    look->has_saved = virDomainHasManagedSaveImage(look->domain, 0) == 1;
    return libvirt_domain_xml(look->domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, &look->definition, err);
}

static int check_source(const struct undo_look *look, xmlDocPtr definition, const char *disk, struct err *err)
{
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};
    const char *left = noted(look, "now", disk);
    const struct domain_disk *now;

    if (domain_disks_read(definition, &disks, err) < 0)
        return -1;
    now = domain_disks_find(&disks, disk);
    if (now && now->source && (strcmp(now->source, left) == 0 || image_same(now->source, left))) {
        if (undo_file_is(left, noted(look, "left", disk), look->same_boot))
            return 0;
        err_set(err, ERR_PERMANENT,
                "job %s cannot be undone: disk %s was changed since: %s is another file than it left",
                look->params->job, disk, left);
    } else {
        err_set(err, ERR_PERMANENT,
                "job %s cannot be undone: disk %s was changed since: it is %s, and the job left %s there",
                look->params->job, disk, now && now->source ? now->source : "gone", left);
    }
    return err_hint(err, "a later snapshot, revert or restore did it: undo that one first, or revert to a snapshot");
}

/* Of the definition and, while it runs, of the guest. */
static int check_sources(const struct undo_look *look, const char *disk, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr live = NULL;

    if (check_source(look, look->definition, disk, err) < 0)
        return -1;
    if (!look->active)
        return 0;
    return libvirt_domain_xml(look->domain, 0, &live, err) < 0 ? -1 : check_source(look, live, disk, err);
}

static int check_unused(const struct undo_look *look, const char *disk, const char *kept, struct err *err)
{
    CLEANUP(strings_endp) struct strings users = {0};

    if (image_holders(look->backend->connection, kept, &users, err) < 0 ||
        image_users(look->backend->connection, kept, &users, err) < 0)
        return -1;
    if (users.count)
        return err_set(err, ERR_PERMANENT, "job %s cannot be undone: disk %s: %s uses %s, which it kept",
                       look->params->job, disk, users.items[0], kept);
    return image_written(kept) ? err_set(err, ERR_PERMANENT, "job %s cannot be undone: disk %s: %s is in use",
                                         look->params->job, disk, kept)
                               : 0;
}

/* What the kept file stands on is as it was: neither merged into, nor written, nor replaced. */
static int check_bases(const struct undo_look *look, const char *disk, struct err *err)
{
    size_t len = strlen(disk);

    for (size_t i = 0; i < look->record.count; i++) {
        const char *base = undo_disk_of(&look->record.items[i], "base");
        const char *which = look->record.items[i].value, *path = strchr(which, ' ');

        if (!base || strncmp(base, disk, len) != 0 || base[len] != ':' || !path)
            continue;
        CLEANUP(freep) char *alone = strndup(which, (size_t)(path - which));
        if (!alone || !undo_file_is(path + 1, alone, look->same_boot))
            return err_set(err, ERR_PERMANENT,
                           "job %s cannot be undone: disk %s: %s, on which the kept disk stands, was changed since, or is "
                           "gone",
                           look->params->job, disk, path + 1);
    }
    return 0;
}

static int check_disk(const struct undo_look *look, const char *disk, const char *kept, struct err *err)
{
    if (!file_exists(kept))
        return err_set(err, ERR_PERMANENT, "job %s cannot be undone: disk %s: what it kept is gone: there is no %s",
                       look->params->job, disk, kept);
    if (!undo_file_is(kept, noted(look, "file", disk), look->same_boot))
        return err_set(err, ERR_PERMANENT, "job %s cannot be undone: disk %s: %s is not the file that it kept",
                       look->params->job, disk, kept);
    if (check_sources(look, disk, err) < 0 || check_bases(look, disk, err) < 0)
        return -1;
    return check_unused(look, disk, kept, err);
}

static int check_disks(struct undo_look *look, struct err *err)
{
    char boot[40];

    if (host_boot(boot, err) < 0)
        return -1;
    look->same_boot = strcmp(boot, facts_get_or(&look->record, "boot", "")) == 0;
    for (size_t i = 0; i < look->record.count; i++) {
        const char *disk = undo_disk_of(&look->record.items[i], "kept");

        if (disk && check_disk(look, disk, look->record.items[i].value, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the tree ---- */

static int changed_tree(const struct undo_look *look, struct err *err, const char *what, const char *name,
                        const char *owner)
{
    err_set(err, ERR_PERMANENT, "job %s cannot be undone: snapshot %s %s since%s%s", look->params->job, name, what,
            owner ? ", by job " : "", owner ? owner : "");
    return err_hint(err, "the snapshots must be those that it left: fleetsnap snapshot list");
}

/* value: "<created, ms> <name>" */
static bool left_by_job(const struct undo_look *look, const struct snapshot_info *snapshot)
{
    for (size_t i = 0; i < look->record.count; i++) {
        const struct fact *fact = &look->record.items[i];
        char *name;

        if (strncmp(fact->key, "after.", 6) != 0)
            continue;
        if (strtoll(fact->value, &name, 10) == snapshot->created_at_ms && *name == ' ' &&
            strcmp(name + 1, snapshot->name) == 0)
            return true;
    }
    return false;
}

static int check_tree(const struct undo_look *look, struct err *err)
{
    CLEANUP(snapshots_endp) struct list now = {0};
    const char *current = facts_get(&look->record, "after_current");
    const struct snapshot_info *now_current;

    if (snapshots_read(look->domain, &now, err) < 0)
        return -1;
    for (size_t i = 0; i < now.count; i++) {
        const struct snapshot_info *each = list_at(&now, struct snapshot_info, i);

        if (!left_by_job(look, each))
            return changed_tree(look, err, "was made", each->name, each->owner);
    }
    for (size_t i = 0; i < look->record.count; i++) {
        const struct fact *fact = &look->record.items[i];
        const char *name = strncmp(fact->key, "after.", 6) == 0 ? strchr(fact->value, ' ') : NULL;

        if (name && !snapshots_find(&now, name + 1))
            return changed_tree(look, err, "was deleted", name + 1, NULL);
    }
    now_current = snapshots_current(&now);
    if (current && (!now_current || strcmp(now_current->name, current) != 0))
        return changed_tree(look, err, "became the current one", now_current ? now_current->name : "none", NULL);
    return 0;
}

static bool point_left(const struct undo_look *look, const char *name)
{
    for (size_t i = 0; i < look->record.count; i++)
        if (strncmp(look->record.items[i].key, "point.", 6) == 0 && strcmp(look->record.items[i].value, name) == 0)
            return true;
    return false;
}

static int check_checkpoints(struct undo_look *look, struct err *err)
{
    CLEANUP(checkpoints_endp) struct list now = {0};

    if (checkpoints_read(look->domain, &now, err) < 0)
        return -1;
    for (size_t i = 0; i < now.count; i++) {
        const struct inventory_checkpoint *each = list_at(&now, struct inventory_checkpoint, i);

        if (point_left(look, each->name))
            continue;
        if (!look->params->force) {
            err_set(err, ERR_PERMANENT,
                    "job %s: %s %s was made since: its checkpoint would end, and the next backup be full",
                    look->params->job, each->owner ? "backup" : "checkpoint", each->owner ? each->owner : each->name);
            return err_hint(err, "nothing was changed, and backups stay; to accept that: --force");
        }
        if (strings_add(&look->checkpoints, each->name, err) < 0)
            return -1;
    }
    return 0;
}

/* The snapshots that come back. */
static int read_before(struct undo_look *look, struct err *err)
{
    for (size_t i = 0; i < look->record.count; i++) {
        const struct fact *fact = &look->record.items[i];
        CLEANUP(xml_freep) xmlDocPtr doc = NULL;
        struct snapshot_info *info;

        if (!moment_is(fact, "snapshot"))
            continue;
        info = list_add(&look->snapshots_before, &snapshot_info_record, err);
        if (!info || xml_parse(fact->value, fact->key, &doc, err) < 0 || snapshot_parse(doc, info, err) < 0)
            return -1;
        info->current = strncmp(fact->key, "snapshot_current.", 17) == 0;
    }
    return 0;
}

/* Swapped disks leave the definition as it is. */
static int check_machine(struct undo_look *look, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr then = NULL;
    CLEANUP(freep) char *joined = NULL;

    if (undo_swapped(look))
        return 0;
    if (xml_parse(facts_get_or(&look->record, "definition", ""), "definition", &then, err) < 0 ||
        definition_differences(xmlDocGetRootElement(look->definition), xmlDocGetRootElement(then), &look->differences,
                               err) < 0)
        return -1;
    if (!look->active || look->differences.count == 0 || look->params->force)
        return 0;
    joined = strings_join(&look->differences, ", ");
    err_set(err, ERR_PERMANENT, "job %s: undo refused: the guest would get another machine than it has (%.300s)",
            look->params->job, joined ? joined : "");
    return err_hint(err, "nothing was changed; to accept that: --force; to look first: --dry-run --force");
}

int undo_look(struct undo_look *look, struct backend *backend, const struct job *job, struct err *err)
{
    look->backend = libvirt_of(backend);
    look->job = job;
    look->params = job->params;
    look->now_ms = clock_real_ms();
    if (read_record(look, err) < 0)
        return -1;
    look->until_ms = facts_get_int(&look->record, "until", 0);
    if (check_record(look, err) < 0 || look_at_domain(look, err) < 0 || check_tree(look, err) < 0 ||
        check_disks(look, err) < 0 || check_checkpoints(look, err) < 0)
        return -1;
    return check_machine(look, err) < 0 ? -1 : read_before(look, err);
}

/* ---- what is lost ---- */

int undo_lost(const struct undo_look *look, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *differences = strings_join(&look->differences, ", ");
    size_t points = look->checkpoints.count;
    char age[32];

    format_duration(look->now_ms - facts_get_int(&look->record, "made_at", look->now_ms), age, sizeof age);
    if (!differences || plan_lose(plan, err, "%s of disk changes", age) < 0)
        return differences ? -1 : err_memory(err, "plan");
    if (look->active && plan_lose(plan, err, "the memory of the running guest") < 0)
        return -1;
    if (look->has_saved && plan_lose(plan, err, "the saved memory of the guest (managed save)") < 0)
        return -1;
    if (look->differences.count && plan_lose(plan, err, "the machine as it is now (%s)", differences) < 0)
        return -1;
    return points == 0 ? 0
                       : plan_lose(plan, err, "%zu checkpoint%s: the next backup is full", points,
                                   points == 1 ? " ends" : "s end");
}
