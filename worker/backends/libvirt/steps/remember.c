/*
 * remember: before the guest is stopped, what an undo of this job will need is written into the state directory (undo_record.h): the definition with its secrets, all snapshots
 * and checkpoints, which file is kept as what, which files those are, and what the job leaves. What is taken out of use is listed as kept from here on.
 * args: swapped, kept:<disk>, now:<disk>, fresh:<disk> (where the disk that comes is until then), unfit (a disk that cannot be brought back), after.<n>, after_current, point.<n>
 */
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/moments.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/undo_record.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

static int add_snapshots(const struct list *snapshots, struct facts *args, struct err *err)
{
    for (size_t i = 0; snapshots && i < snapshots->count; i++) {
        const struct snapshot_info *each = list_at(snapshots, struct snapshot_info, i);
        char key[32];

        snprintf(key, sizeof key, "after.%06zu", i);
        if (facts_setf(args, err, key, "%lld %s", (long long)each->created_at_ms, each->name) < 0)
            return -1;
    }
    return 0;
}

struct step *plan_remember(const struct undo_after *after, bool swapped, struct plan *plan, struct err *err)
{
    struct step *step = plan_add(plan, &step_remember, err, "swapped", swapped ? "yes" : NULL, "after_current",
                                 after->current, NULL);

    if (!step || add_snapshots(after->snapshots, &step->args, err) < 0)
        return NULL;
    for (size_t i = 0; after->checkpoints && i < after->checkpoints->count; i++) {
        char key[32];

        snprintf(key, sizeof key, "point.%06zu", i);
        if (facts_set(&step->args, key, after->checkpoints->items[i], err) < 0)
            return NULL;
    }
    return step;
}

int remember_disk(struct step *step, const char *disk, const char *kept, const char *now, const char *fresh,
                  struct err *err)
{
    char key[160];

    if (!kept || kept[0] != '/')
        return facts_set(&step->args, "unfit", disk, err);
    snprintf(key, sizeof key, "kept:%s", disk);
    if (facts_set(&step->args, key, kept, err) < 0)
        return -1;
    snprintf(key, sizeof key, "now:%s", disk);
    if (facts_set(&step->args, key, now, err) < 0)
        return -1;
    snprintf(key, sizeof key, "fresh:%s", disk);
    return facts_set(&step->args, key, fresh, err);
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)step;
    (void)lost;
    (void)err;
    text_add(command, "# definition, snapshots, checkpoints and disks of now are noted, so that this can be undone");
    return 0;
}

static int note_bases(const char *disk, const char *top, struct facts *record, struct err *err)
{
    CLEANUP(strings_endp) struct strings chain = {0};

    if (image_chain(top, &chain, err) < 0)
        return -1;
    for (size_t i = 1; i < chain.count; i++) {
        CLEANUP(freep) char *which = NULL;
        char key[200];

        snprintf(key, sizeof key, "base:%s:%03zu", disk, i);
        if (undo_file(chain.items[i], true, &which, err) < 0 ||
            facts_setf(record, err, key, "%s %s", which, chain.items[i]) < 0)
            return -1;
    }
    return 0;
}

/* `kept` is where the disk of now will be; swapped, it is still under its own name. */
static int note_disk(const struct step_run *run, const struct step *step, const char *disk, const char *kept,
                     struct facts *record, struct err *err)
{
    CLEANUP(freep) char *which = NULL, *left = NULL;
    char key[160];

    snprintf(key, sizeof key, "now:%s", disk);
    const char *file = *step_get(step, "swapped") ? step_get(step, key) : kept;
    snprintf(key, sizeof key, "file:%s", disk);
    if (undo_file(file, false, &which, err) < 0 || facts_set(record, key, which, err) < 0 ||
        note_bases(disk, file, record, err) < 0)
        return -1;
    snprintf(key, sizeof key, "fresh:%s", disk);
    if (undo_file(step_get(step, key), false, &left, err) < 0)
        return -1;
    facts_remove(record, key);
    snprintf(key, sizeof key, "left:%s", disk);
    if (facts_set(record, key, left, err) < 0)
        return -1;
    return kept_add(run->backend->config, run->job->job_id, disk, kept, err);
}

static int note_domain(const struct step_run *run, struct facts *record, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(freep) char *definition = NULL;
    char boot[40];

    if (step_open(run, &domain, err) < 0)
        return -1;
    definition = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (!definition)
        return libvirt_err(err, "definition");
    if (moments_save(domain, record, err) < 0 || host_boot(boot, err) < 0)
        return -1;
    return facts_set(record, "definition", definition, err) < 0 || facts_set(record, "boot", boot, err) < 0 ||
                   facts_set(record, "target", run->job->target.id, err) < 0 ||
                   facts_set(record, "op", op_names[run->job->op], err) < 0 ||
                   facts_set_int(record, "made_at", clock_real_ms(), err) < 0
               ? -1
               : 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(facts_clearp) struct facts record = {0};

    if (facts_copy(&record, &step->args, err) < 0 || note_domain(run, &record, err) < 0)
        return -1;
    for (size_t i = 0; i < step->args.count; i++) {
        const char *disk = undo_disk_of(&step->args.items[i], "kept");
        char key[160];

        if (!disk)
            continue;
        snprintf(key, sizeof key, "kept.%s", disk);
        if (note_disk(run, step, disk, step->args.items[i].value, &record, err) < 0 ||
            facts_set(learned, key, step->args.items[i].value, err) < 0)
            return -1;
    }
    return undo_record_write(run->backend->config, run->job->job_id, &record, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    (void)learned;
    for (size_t i = 0; i < step->args.count; i++) {
        const char *disk = undo_disk_of(&step->args.items[i], "kept");

        if (disk && kept_remove(run->backend->config, run->job->job_id, disk, err) < 0)
            return -1;
    }
    return undo_record_remove(run->backend->config, run->job->job_id, err);
}

const struct step_type step_remember = {
    .name = "remember",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle_by_repeating, /* the stop has not begun, so the domain is still what is to be noted */
};
