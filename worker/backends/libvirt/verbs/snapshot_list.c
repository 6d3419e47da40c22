/* snapshot.list: the live listing, parents before children. It only reads, so the plan has no steps; filters are the caller's. */
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/verbs/verbs.h"

int plan_snapshot_list(struct backend *base, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)plan;
    return libvirt_domain(libvirt_of(base), job->target.id, &domain, err);
}

int report_snapshot_list(struct backend *base, const struct job *job, const struct facts *known, struct report *report,
                         struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)known;
    if (libvirt_domain(libvirt_of(base), job->target.id, &domain, err) < 0 ||
        snapshots_read(domain, &report->result->snapshots, err) < 0)
        return -1;
    return facts_set_int(&report->result->facts, "count", (int64_t)report->result->snapshots.count, err);
}
