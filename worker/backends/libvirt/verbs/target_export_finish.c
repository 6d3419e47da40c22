/*
 * target.export_finish, as a job of its own: for an export that no job of ours watches any more. One that is watched holds the lock, and is told by a word. check only answers.
 */
#include "model/listen_address.h"
#include "worker/backends/libvirt/backup_xml.h"
#include "worker/backends/libvirt/export.h"

#include <stdio.h>
#include <string.h>

static int answer_none(const struct job *job, struct plan *plan, struct err *err)
{
    const struct params_target_export_finish *params = job->params;

    if (params->how == FINISH_DONE) {
        err_set(err, ERR_PERMANENT, "nothing of ours is exported: whether its checkpoint was kept is said by its job");
        return err_hint(err, "fleetsnap job list --op target.export");
    }
    return facts_set(&plan->facts, "export", "none", err);
}

/* What clients reach; the hypervisor's own is behind it, unless somebody else began it. True: it is, and the name of the outer one is left. */
static bool outer_of(char *socket)
{
    size_t len = socket ? strlen(socket) : 0, more = strlen(EXPORT_INNER);

    if (len <= more || strcmp(socket + len - more, EXPORT_INNER) != 0)
        return false;
    socket[len - more] = '\0';
    return true;
}

static int add_close(xmlDocPtr doc, const struct job *job, const char *folder, const char *export, struct plan *plan,
                     struct err *err)
{
    const struct params_target_export_finish *params = job->params;
    CLEANUP(freep) char *socket = xml_get(doc, "/domainbackup/server/@socket");
    CLEANUP(freep) char *name = xml_get(doc, "/domainbackup/server/@name");
    CLEANUP(freep) char *port = xml_get(doc, "/domainbackup/server/@port");
    CLEANUP(freep) char *inner = socket ? strdup(socket) : NULL;
    bool behind = outer_of(socket);
    char checkpoint[CHECKPOINT_NAME], address[INET6_ADDRSTRLEN + 16] = "";

    if (name && port)
        snprintf(address, sizeof address, strchr(name, ':') ? "[%s]:%s" : "%s:%s", name, port);
    return plan_add(plan, &step_export_close, err, "folder", folder, "job", export, "socket", socket, "inner",
                    behind ? inner : NULL, "address", *address ? address : NULL, "checkpoint",
                    params->how == FINISH_CANCEL ? checkpoint_name(export, checkpoint) : NULL, NULL)
               ? 0
               : -1;
}

int plan_target_export_finish(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    const struct params_target_export_finish *params = job->params;
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *folder = NULL;
    char export[UUID_TEXT] = "";

    if (libvirt_domain(libvirt_of(backend), job->target.id, &domain, err) < 0 ||
        export_running(domain, &doc, &folder, export, err) < 0)
        return -1;
    if (!folder)
        return answer_none(job, plan, err);
    if (params->job && strcmp(params->job, export) != 0)
        return err_set(err, ERR_CONFLICT, "what is exported is the work of job %s", export);
    if (facts_set(&plan->facts, "export", "runs", err) < 0 || facts_set(&plan->facts, "job", export, err) < 0)
        return -1;
    return params->how == FINISH_CHECK ? 0 : add_close(doc, job, folder, export, plan, err);
}
