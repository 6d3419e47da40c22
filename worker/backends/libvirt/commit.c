#include "worker/backends/libvirt/commit.h"

#include "base/crash.h"
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/snapshots.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { POLL_FIRST_MS = 10, POLL_MS = 500 };

/* ---- chains ---- */

static int read_live_chain(xmlNodePtr disk, struct strings *out, struct err *err)
{
    for (xmlNodePtr layer = disk; layer; layer = xml_find(layer, "backingStore")) {
        CLEANUP(freep) char *file = xml_get_at(layer, "source/@file | source/@dev");

        if (file && strings_add(out, file, err) < 0)
            return -1;
    }
    return 0;
}

int disk_chain(virDomainPtr domain, const char *name, struct strings *out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *source = NULL;
    xmlNodePtr disk;

    if (libvirt_domain_xml(domain, 0, &doc, err) < 0)
        return -1;
    disk = definition_find_disk(xmlDocGetRootElement(doc), name);
    if (!disk)
        return err_set(err, ERR_CONFLICT, "disk %s: %s has it no more", name, virDomainGetName(domain));
    if (virDomainIsActive(domain) == 1)
        return read_live_chain(disk, out, err);
    source = xml_get_at(disk, "source/@file | source/@dev");
    return source ? image_chain(source, out, err) : 0;
}

static size_t chain_index(const struct strings *chain, const char *file)
{
    size_t i = 0;

    while (i < chain->count && !image_same(chain->items[i], file))
        i++;
    return i;
}

/* ---- of a guest that is up ---- */

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

bool commit_running(virDomainPtr domain, const char *disk)
{
    virDomainBlockJobInfo info;

    return virDomainGetBlockJobInfo(domain, disk, &info, 0) == 1 &&
           (info.type == VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT || info.type == VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT);
}

/* READY is said once, by event, and lost on those who come later: the definition has it as long as it is so. */
static bool mirror_ready(virDomainPtr domain, const char *name)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *ready = NULL;
    xmlNodePtr disk;

    if (libvirt_domain_xml(domain, 0, &doc, NULL) < 0)
        return false;
    disk = definition_find_disk(xmlDocGetRootElement(doc), name);
    ready = disk ? xml_get_at(disk, "mirror/@ready") : NULL;
    return ready && strcmp(ready, "yes") == 0;
}

static int begin(struct libvirt_backend *backend, virDomainPtr domain, const struct commit *commit, bool active,
                 struct err *err)
{
    if (commit_running(domain, commit->disk))
        return 0; /* of an earlier attempt */
    if (virDomainBlockCommit(domain, commit->disk, commit->base, commit->top, 0,
                             active ? VIR_DOMAIN_BLOCK_COMMIT_ACTIVE : 0) < 0)
        return libvirt_call_err(backend, err, "commit %s", commit->disk);
    crash_point("commit.after", commit->disk);
    return 0;
}

static int give_up(virDomainPtr domain, const char *disk, struct err *err)
{
    virDomainBlockJobAbort(domain, disk, 0); /* the chain stays as it was */
    return err_set(err, ERR_CANCELLED, "commit %s: cancelled", disk);
}

/* One look at the job. 1: it is over, 0: not yet. */
static int look(const struct step_run *run, virDomainPtr domain, const struct commit *commit, bool active,
                struct err *err)
{
    virDomainBlockJobInfo info = {0};
    int there = virDomainGetBlockJobInfo(domain, commit->disk, &info, 0);

    if (there < 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "commit %s", commit->disk);
    if (there == 0)
        return 1;
    if (run->attempt)
        attempt_progress(run->attempt, (int64_t)info.cur, (int64_t)info.end);
    if (!active || info.cur < info.end || !mirror_ready(domain, commit->disk))
        return 0;
    crash_point("pivot.before", commit->disk);
    if (virDomainBlockJobAbort(domain, commit->disk, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) == 0)
        return 1;
    if (libvirt_code() == VIR_ERR_BLOCK_COPY_ACTIVE)
        return 0; /* it fell behind again */
    return libvirt_call_err(libvirt_of(run->backend), err, "pivot %s", commit->disk);
}

static int wait_for_end(const struct step_run *run, virDomainPtr domain, const struct commit *commit, bool active,
                        struct err *err)
{
    int over;

    for (int ms = POLL_FIRST_MS; (over = look(run, domain, commit, active, err)) == 0;
         ms = ms < POLL_MS / 2 ? ms * 2 : POLL_MS) {
        if (run->attempt && attempt_cancelled(run->attempt))
            return give_up(domain, commit->disk, err);
        pause_ms(ms);
    }
    return over < 0 ? -1 : 0;
}

int commit_defined(virDomainPtr domain, const struct commit *commit, bool *out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *source = NULL;
    xmlNodePtr disk;

    *out = false;
    if (virDomainIsPersistent(domain) != 1)
        return 0;
    if (libvirt_domain_xml(domain, VIR_DOMAIN_XML_INACTIVE, &doc, err) < 0)
        return -1;
    disk = definition_find_disk(xmlDocGetRootElement(doc), commit->disk);
    source = disk ? xml_get_at(disk, "source/@file") : NULL;
    *out = source && image_same(source, commit->top);
    return 0;
}

static int check_gone(virDomainPtr domain, const struct commit *commit, struct err *err)
{
    CLEANUP(strings_endp) struct strings chain = {0};

    if (disk_chain(domain, commit->disk, &chain, err) < 0)
        return -1;
    if (chain_index(&chain, commit->top) == chain.count)
        return 0;
    return err_set(err, ERR_RETRY, "commit %s: it ended, and %s is still in the chain", commit->disk, commit->top);
}

static int commit_running_guest(const struct step_run *run, virDomainPtr domain, const struct commit *commit,
                                bool active, struct err *err)
{
    int result;

    libvirt_job_begin(run->job->target.id);
    result = begin(libvirt_of(run->backend), domain, commit, active, err);
    if (result == 0)
        result = wait_for_end(run, domain, commit, active, err);
    libvirt_job_end(run->job->target.id);
    return result < 0 ? -1 : check_gone(domain, commit, err);
}

/* ---- of a guest that is off ---- */

static int define_with(struct libvirt_backend *backend, virDomainPtr domain, const struct commit *commit,
                       struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *text = NULL;
    CLEANUP(domain_freep) virDomainPtr defined = NULL;

    if (libvirt_domain_xml(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, &doc, err) < 0 ||
        definition_set_disk(xmlDocGetRootElement(doc), commit->disk, commit->base, commit->base_format, err) < 0 ||
        xml_format(doc, &text, err) < 0)
        return -1;
    defined = virDomainDefineXML(backend->connection, text);
    return defined ? 0 : libvirt_call_err(backend, err, "define with %s", commit->base);
}

/* Where a daemon died right after QEMU had gone over, the definition for the next start still names the layer that is merged. */
static int check_defined(const struct step_run *run, virDomainPtr domain, const struct commit *commit, struct err *err)
{
    bool named;

    if (commit_defined(domain, commit, &named, err) < 0)
        return -1;
    return named ? define_with(libvirt_of(run->backend), domain, commit, err) : 0;
}

static int commit_off(const struct step_run *run, virDomainPtr domain, const struct commit *commit,
                      const struct strings *chain, size_t at, struct err *err)
{
    if (image_commit(run, commit->top, commit->base, err) < 0)
        return -1;
    if (at == 0)
        return define_with(libvirt_of(run->backend), domain, commit, err);
    return image_rebase_name(chain->items[at - 1], commit->base, commit->base_format, err);
}

int commit_layer(const struct step_run *run, virDomainPtr domain, const struct commit *commit, struct err *err)
{
    CLEANUP(strings_endp) struct strings chain = {0};
    size_t at;

    if (disk_chain(domain, commit->disk, &chain, err) < 0)
        return -1;
    at = chain_index(&chain, commit->top);
    if (at == chain.count)
        return check_defined(run, domain, commit, err); /* done by an earlier attempt */
    if (chain_index(&chain, commit->base) <= at)
        return err_set(err, ERR_CONFLICT, "disk %s: %s does not stand on %s any more", commit->disk, commit->top,
                       commit->base);
    if (virDomainIsActive(domain) == 1)
        return commit_running_guest(run, domain, commit, at == 0, err);
    return commit_off(run, domain, commit, &chain, at, err);
}
