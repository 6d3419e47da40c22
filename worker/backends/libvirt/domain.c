/* Domains: look-up, state, XML, and the jobs that run on them. */
#include "worker/backends/libvirt/libvirt.h"

#include "base/text.h"

#include <string.h>

int libvirt_domain(struct libvirt_backend *backend, const char *uuid, virDomainPtr *out, struct err *err)
{
    virDomainPtr domain;

    if (libvirt_connect(backend, err) < 0)
        return -1;
    domain = virDomainLookupByUUIDString(backend->connection, uuid);
    if (!domain && libvirt_code() == VIR_ERR_NO_DOMAIN) {
        err_set_code(err, ERR_PERMANENT, VIR_ERR_NO_DOMAIN, "domain %s: no such domain on this host", uuid);
        return err_hint(err, "it may have been undefined or moved: fleetsnap targets");
    }
    if (!domain)
        return libvirt_err(err, "domain %s", uuid);
    *out = domain;
    return 0;
}

int libvirt_domain_state(virDomainPtr domain, int *out_state, int *out_reason, struct err *err)
{
    int state, reason;

    if (virDomainGetState(domain, &state, &reason, 0) < 0)
        return libvirt_err(err, "%s: state", virDomainGetName(domain));
    *out_state = state;
    if (out_reason)
        *out_reason = reason;
    return 0;
}

bool libvirt_started(virDomainPtr domain)
{
    int state, reason;

    return virDomainIsActive(domain) == 1 && virDomainGetState(domain, &state, &reason, 0) == 0 &&
           !(state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_STARTING_UP);
}

const char *libvirt_state_name(int state)
{
    static const char *const names[] = {"unknown",       "running", "blocked", "paused",
                                        "shutting-down", "shutoff", "crashed", "suspended"};

    return state >= 0 && state < (int)(sizeof names / sizeof names[0]) ? names[state] : "unknown";
}

int libvirt_domain_xml(virDomainPtr domain, unsigned flags, xmlDocPtr *out, struct err *err)
{
    CLEANUP(freep) char *text = virDomainGetXMLDesc(domain, flags);

    if (!text)
        return libvirt_err(err, "%s: definition", virDomainGetName(domain));
    return xml_parse(text, "domain", out, err);
}

bool libvirt_busy(virDomainPtr domain)
{
    virDomainControlInfo info;

    if (virDomainGetControlInfo(domain, &info, 0) < 0)
        return false; /* inactive: nothing can be at work on it */
    return info.state == VIR_DOMAIN_CONTROL_JOB || info.state == VIR_DOMAIN_CONTROL_OCCUPIED;
}

static const char *block_job_name(int type)
{
    switch (type) {
    case VIR_DOMAIN_BLOCK_JOB_TYPE_PULL: return "pull";
    case VIR_DOMAIN_BLOCK_JOB_TYPE_COPY: return "copy";
    case VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT:
    case VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT: return "commit";
    case VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP: return "backup";
    default: return "block job";
    }
}

static const char *domain_job_name(int operation)
{
    switch (operation) {
    case VIR_DOMAIN_JOB_OPERATION_BACKUP: return "backup";
    case VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN:
    case VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT: return "migration";
    case VIR_DOMAIN_JOB_OPERATION_SAVE: return "save";
    case VIR_DOMAIN_JOB_OPERATION_RESTORE: return "restore";
    case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT:
    case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT:
    case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_DELETE: return "snapshot";
    case VIR_DOMAIN_JOB_OPERATION_DUMP: return "dump";
    default: return "job";
    }
}

/* Asked for once more: between the two looks it may have begun, or ended. */
static bool backup_is_known(virDomainPtr domain)
{
    CLEANUP(freep) char *xml = virDomainBackupGetXMLDesc(domain, 0);

    return xml || libvirt_code() != VIR_ERR_NO_DOMAIN_BACKUP;
}

enum job_slot libvirt_slot(virDomainPtr domain, int *out_operation)
{
    virTypedParameterPtr params = NULL;
    int count = 0, type = VIR_DOMAIN_JOB_NONE, operation = 0, code;

    if (virDomainGetJobStats(domain, &type, &params, &count, 0) < 0) {
        code = libvirt_code();
        if (virDomainIsActive(domain) != 1 || code == VIR_ERR_OPERATION_INVALID)
            return SLOT_FREE;
        return code == VIR_ERR_INTERNAL_ERROR && !backup_is_known(domain) ? SLOT_BEGINNING : SLOT_UNSURE;
    }
    virTypedParamsGetInt(params, count, VIR_DOMAIN_JOB_OPERATION, &operation);
    virTypedParamsFree(params, count);
    *out_operation = operation;
    return type == VIR_DOMAIN_JOB_BOUNDED || type == VIR_DOMAIN_JOB_UNBOUNDED ? SLOT_TAKEN : SLOT_FREE;
}

int libvirt_slot_free(virDomainPtr domain, struct err *err)
{
    int operation;

    switch (libvirt_slot(domain, &operation)) {
    case SLOT_FREE: return 0;
    case SLOT_TAKEN:
        err_set(err, ERR_RETRY, "foreign job: another %s runs on %s", domain_job_name(operation),
                virDomainGetName(domain));
        return err_hint(err, "it is left alone; this job waits until it ends: virsh domjobinfo, virsh blockjob");
    case SLOT_BEGINNING:
        err_set(err, ERR_RETRY, "foreign job: on %s libvirt is about to begin a backup, or died when it was",
                virDomainGetName(domain));
        return err_hint(err, "if it stays so, nothing but powering the guest off and on ends it");
    case SLOT_UNSURE: break;
    }
    return err_set(err, ERR_RETRY, "%s: libvirt does not say whether a job runs", virDomainGetName(domain));
}

static char *domain_job(virDomainPtr domain)
{
    int operation = VIR_DOMAIN_JOB_OPERATION_BACKUP;
    enum job_slot slot = libvirt_slot(domain, &operation);

    return slot == SLOT_TAKEN || slot == SLOT_BEGINNING ? strdup(domain_job_name(operation)) : NULL;
}

static char *block_job(virDomainPtr domain, const struct domain_disks *disks)
{
    for (size_t i = 0; i < disks->count; i++) {
        virDomainBlockJobInfo info;
        struct text text = {0};

        if (!disks->items[i].source || virDomainGetBlockJobInfo(domain, disks->items[i].name, &info, 0) != 1)
            continue;
        text_addf(&text, "%s on %s", block_job_name(info.type), disks->items[i].name);
        return text_take(&text);
    }
    return NULL;
}

char *libvirt_job_running(virDomainPtr domain)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};
    char *job;

    if (virDomainIsActive(domain) != 1)
        return NULL;
    job = domain_job(domain);
    if (job || libvirt_domain_xml(domain, 0, &doc, NULL) < 0 || domain_disks_read(doc, &disks, NULL) < 0)
        return job;
    return block_job(domain, &disks);
}

int libvirt_no_foreign_job(virDomainPtr domain, struct err *err)
{
    CLEANUP(freep) char *job = NULL;

    if (libvirt_slot_free(domain, err) < 0)
        return -1;
    job = libvirt_job_running(domain);
    if (!job)
        return 0;
    err_set(err, ERR_RETRY, "foreign job: another %s runs on %s", job, virDomainGetName(domain));
    return err_hint(err, "it is left alone; this job waits until it ends: virsh domjobinfo, virsh blockjob");
}
