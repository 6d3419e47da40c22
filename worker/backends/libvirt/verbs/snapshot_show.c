/* snapshot.show: one snapshot by name, or the current one: its XML (libvirt leaves secrets out unless asked), where it stands in the tree, and its children. */
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/verbs/verbs.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static int find(virDomainPtr domain, const struct params_snapshot_show *params, struct list *all,
                const struct snapshot_info **out, struct err *err)
{
    if (snapshots_read(domain, all, err) < 0)
        return -1;
    *out = params->name ? snapshots_find(all, params->name) : snapshots_current(all);
    if (*out)
        return 0;
    if (!params->name)
        return err_set(err, ERR_PERMANENT, "%s has no current snapshot", virDomainGetName(domain));
    err_set(err, ERR_PERMANENT, "snapshot %s/%s: there is none", virDomainGetName(domain), params->name);
    return err_hint(err, "fleetsnap snapshot list shows those that there are");
}

int plan_snapshot_show(struct backend *base, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(snapshots_endp) struct list all = {0};
    const struct snapshot_info *info;

    (void)plan;
    if (libvirt_domain(libvirt_of(base), job->target.id, &domain, err) < 0)
        return -1;
    return find(domain, job->params, &all, &info, err);
}

/* Names as one fact each, a line per name: they may hold anything but control characters. */
static int name_lines(const struct list *all, const char *name, bool direct, const char *key, struct facts *out,
                      struct err *err)
{
    struct text lines = {0};
    int result;

    for (size_t i = 0; i < all->count; i++) {
        const struct snapshot_info *each = list_at(all, struct snapshot_info, i);
        bool wanted = direct ? each->parent && strcmp(each->parent, name) == 0 : snapshots_below(all, each->name, name);

        if (wanted)
            text_addf(&lines, "%s%s", lines.len ? "\n" : "", each->name);
    }
    result = lines.len ? facts_set(out, key, text_str(&lines), err) : 0;
    text_free(&lines);
    return result;
}

static int fill(virDomainPtr domain, const struct list *all, const struct snapshot_info *info, struct job_result *out,
                struct err *err)
{
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, info->name, 0);
    struct snapshot_info *copy = list_add(&out->snapshots, &snapshot_info_record, err);

    if (!copy || record_copy(&snapshot_info_record, copy, info, err) < 0)
        return -1;
    out->xml = snapshot ? virDomainSnapshotGetXMLDesc(snapshot, 0) : NULL;
    if (!out->xml)
        return libvirt_err(err, "snapshot %s", info->name);
    if (facts_set(&out->facts, "domain", virDomainGetName(domain), err) < 0 ||
        facts_set(&out->facts, "name", info->name, err) < 0)
        return -1;
    if (name_lines(all, info->name, true, "children", &out->facts, err) < 0)
        return -1;
    return name_lines(all, info->name, false, "descendants", &out->facts, err);
}

int report_snapshot_show(struct backend *base, const struct job *job, const struct facts *known, struct report *report,
                         struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(snapshots_endp) struct list all = {0};
    const struct snapshot_info *info;

    (void)known;
    if (libvirt_domain(libvirt_of(base), job->target.id, &domain, err) < 0 ||
        find(domain, job->params, &all, &info, err) < 0)
        return -1;
    return fill(domain, &all, info, report->result, err);
}
