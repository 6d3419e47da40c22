/*
 * define: the new domain. The definition is made again here from the repository, as planning made it: it may hold secrets (a password of VNC), so it is
 * neither in the plan nor in the journal, and what a dry run shows has them cut out.
 */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/restore.h"

#include <stdio.h>
#include <string.h>

/* As planned: what is there now may be called otherwise. */
static int place_as_planned(const struct step *step, struct restore *restore, struct err *err)
{
    for (size_t i = 0; i < restore->disk_count; i++) {
        char key[160];

        snprintf(key, sizeof key, RESTORE_FILE "%.128s", restore->disks[i].name);
        if (string_set(&restore->disks[i].target, facts_get(&step->args, key), err) < 0)
            return -1;
    }
    return 0;
}

static int definition(const struct step_run *run, const struct step *step, xmlDocPtr *out, struct err *err)
{
    CLEANUP(restore_end) struct restore restore = {0};

    if (restore_open(&restore, run->backend, run->job, err) < 0 || place_as_planned(step, &restore, err) < 0)
        return -1;
    return restore_definition(&restore, step_arg(step, "folder"), out, err);
}

static void cut_secrets(xmlDocPtr doc)
{
    static const char *const secrets[] = {"//@passwd", "//@password"};

    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        xmlXPathContextPtr context = xmlXPathNewContext(doc);
        xmlXPathObjectPtr found = context ? xmlXPathEvalExpression(BAD_CAST secrets[i], context) : NULL;

        for (int k = 0; found && found->nodesetval && k < found->nodesetval->nodeNr; k++) {
            xmlNodePtr node = found->nodesetval->nodeTab[k];

            found->nodesetval->nodeTab[k] = NULL;
            xmlRemoveProp((xmlAttrPtr)node);
        }
        xmlXPathFreeObject(found);
        xmlXPathFreeContext(context);
    }
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *xml = NULL;
    const char *nvram = facts_get(&step->args, "nvram");

    (void)lost;
    if (definition(run, step, &doc, err) < 0)
        return -1;
    cut_secrets(doc);
    if (xml_format(doc, &xml, err) < 0)
        return -1;
    if (nvram)
        text_addf(command, "cp '%s' '%s/nvram.fd'\n", nvram, step_arg(step, "folder"));
    text_addf(command, "virsh define %s.xml\n%s", step_arg(step, "name"), xml);
    return 0;
}

static int copy_nvram(const struct step *step, struct err *err)
{
    const char *nvram = facts_get(&step->args, "nvram");
    char path[PATH_MAX];

    if (!nvram)
        return 0;
    snprintf(path, sizeof path, "%s/nvram.fd", step_arg(step, "folder"));
    return file_copy(nvram, path, 0600, NULL, err);
}

static int find(const struct step_run *run, const struct step *step, virDomainPtr *out, struct err *err)
{
    struct libvirt_backend *backend = libvirt_of(run->backend);

    if (libvirt_connect(backend, err) < 0)
        return -1;
    *out = virDomainLookupByUUIDString(backend->connection, step_arg(step, "uuid"));
    if (!*out && libvirt_code() != VIR_ERR_NO_DOMAIN)
        return libvirt_err(err, "domain %s", step_arg(step, "name"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *xml = NULL;

    if (find(run, step, &domain, err) < 0)
        return -1;
    if (domain) /* planning refused one that existed: this is ours */
        return facts_set(learned, "name", step_arg(step, "name"), err);
    if (copy_nvram(step, err) < 0 || definition(run, step, &doc, err) < 0 || xml_format(doc, &xml, err) < 0)
        return -1;
    domain = virDomainDefineXMLFlags(libvirt_of(run->backend)->connection, xml, 0);
    if (!domain)
        return libvirt_call_err(libvirt_of(run->backend), err, "define %s", step_arg(step, "name"));
    return facts_set(learned, "name", step_arg(step, "name"), err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                     VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM;

    (void)learned;
    if (find(run, step, &domain, err) < 0)
        return -1;
    if (domain && virDomainUndefineFlags(domain, flags) < 0 && libvirt_code() != VIR_ERR_NO_DOMAIN)
        return libvirt_err(err, "undefine %s", step_arg(step, "name"));
    return 0;
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    if (find(run, step, &domain, err) < 0)
        return -1;
    *out = domain ? SETTLED_DONE : SETTLED_NOT_DONE;
    return domain ? facts_set(learned, "name", step_arg(step, "name"), err) : 0;
}

const struct step_type step_restore_define = {
    .name = "restore-define",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
