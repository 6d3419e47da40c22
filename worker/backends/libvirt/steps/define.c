/*
 * define: the definition of the snapshot's time, with the new overlays as its disks. Taking it back on a guest that has been started since would leave it on disks that are
 * about to be removed, so it is stopped first; what is owed starts it again.
 * args: xml, former (both with secrets), file:<disk> (the new overlays)
 */
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/steps/steps.h"

#include <string.h>

static int render_define(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                         struct err *err)
{
    CLEANUP(freep) char *xml = NULL;

    (void)run;
    if (definition_without_secrets(step_get(step, "xml"), &xml, err) < 0)
        return -1;
    text_addf(command, "virsh define /dev/stdin\n%s", xml);
    if (*step_get(step, "differences"))
        text_addf(lost, "configuration changes since: %s", step_get(step, "differences"));
    return 0;
}

static int define(const struct step_run *run, const char *xml, struct err *err)
{
    struct libvirt_backend *backend = libvirt_of(run->backend);
    virDomainPtr defined;

    if (libvirt_connect(backend, err) < 0)
        return -1;
    defined = virDomainDefineXML(backend->connection, xml);
    if (!defined)
        return libvirt_call_err(backend, err, "define %s", step_target(run));
    virDomainFree(defined);
    return 0;
}

static int execute_define(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)learned;
    return define(run, step_get(step, "xml"), err);
}

/* Does the running guest write one of the files of this plan? */
static int runs_on_ours(const struct step *step, virDomainPtr domain, bool *out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};

    *out = false;
    if (virDomainIsActive(domain) != 1)
        return 0;
    if (libvirt_domain_xml(domain, 0, &doc, err) < 0 || domain_disks_read(doc, &disks, err) < 0)
        return -1;
    for (size_t i = 0; i < step->args.count; i++) {
        const struct fact *fact = &step->args.items[i];
        const struct domain_disk *disk = strncmp(fact->key, "file:", 5) == 0 ? domain_disks_find(&disks, fact->key + 5)
                                                                             : NULL;

        *out = *out || (disk && disk->source && strcmp(disk->source, fact->value) == 0);
    }
    return 0;
}

static int undo_define(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    bool ours;

    (void)learned;
    if (step_open(run, &domain, err) < 0 || runs_on_ours(step, domain, &ours, err) < 0)
        return -1;
    if (ours && virDomainDestroy(domain) < 0 && virDomainIsActive(domain) == 1)
        return libvirt_call_err(libvirt_of(run->backend), err, "stop %s", virDomainGetName(domain));
    return define(run, step_get(step, "former"), err);
}

const struct step_type step_define = {
    .name = "define",
    .class = STEP_DESTROYS,
    .render = render_define,
    .execute = execute_define,
    .undo = undo_define,
    .settle = settle_by_repeating,
};
