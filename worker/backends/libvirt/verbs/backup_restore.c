/*
 * backup.restore to a new domain: check · folder · [reserve …] · disk … · define · [start]. What is in place is in restore_in_place.c.
 *
 * All files of the new domain are in one new folder, <directory>/<name>: it is ours as a whole, nothing that was there before can be hit, and undo takes away
 * exactly what we made. Disks that are asked for elsewhere (restore_places.h) are files that are not there before. The definition is the saved or the given one,
 * edited (domain_edit.h); planning builds and shows it, and asks the host whether it can run it.
 */
#include "base/file.h"
#include "model/status.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/restore.h"

#include <stdio.h>
#include <string.h>

static int refuse_existing(struct restore *restore, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr by_name = NULL;
    CLEANUP(domain_freep) virDomainPtr by_uuid = NULL;

    by_name = virDomainLookupByName(restore->backend->connection, restore->params->new_name);
    if (by_name) {
        err_set(err, ERR_PERMANENT, "a domain %s exists on this host", restore->params->new_name);
        return err_hint(err, "choose another name, or restore in place");
    }
    if (libvirt_code() != VIR_ERR_NO_DOMAIN)
        return libvirt_err(err, "look for %s", restore->params->new_name);
    by_uuid = virDomainLookupByUUIDString(restore->backend->connection, restore->job->target.id);
    if (by_uuid)
        return err_set(err, ERR_PERMANENT, "a domain with the UUID %s exists on this host: %s", restore->job->target.id,
                       virDomainGetName(by_uuid));
    return libvirt_code() == VIR_ERR_NO_DOMAIN ? 0 : libvirt_err(err, "look for %s", restore->job->target.id);
}

static int choose_folder(const struct restore *restore, char out[PATH_MAX], struct err *err)
{
    char directory[PATH_MAX];

    if (pool_directory(&restore->backend->base, restore->params->directory, directory, err) < 0)
        return -1;
    if (snprintf(out, PATH_MAX, "%s/%s", directory, restore->params->new_name) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", directory);
    if (!file_exists(out))
        return 0;
    err_set(err, ERR_PERMANENT, "%s exists already", out);
    return err_hint(err, "choose another name or directory");
}

/* ---- can this host run it? ---- */

static int check_machine(struct restore *restore, xmlDocPtr doc, struct err *err)
{
    CLEANUP(freep) char *arch = xml_get(doc, "/domain/os/type/@arch");
    CLEANUP(freep) char *machine = xml_get(doc, "/domain/os/type/@machine");
    CLEANUP(freep) char *type = xml_get(doc, "/domain/@type");
    CLEANUP(freep)
    char *abilities = virConnectGetDomainCapabilities(restore->backend->connection, NULL, arch, machine, type, 0);

    if (abilities)
        return 0;
    libvirt_err(err, "this host cannot run a %s guest of machine type %s on %s", arch ? arch : "?",
                machine ? machine : "?", type ? type : "?");
    if (err)
        err->kind = ERR_PERMANENT;
    return -1;
}

/* What libvirt finds wrong with it, before anything is touched. That it cannot show a command for it (a disk is not there yet …) is no reason. */
static int check_given(struct restore *restore, xmlDocPtr doc, struct err *err)
{
    CLEANUP(freep) char *xml = NULL;
    CLEANUP(freep) char *command = NULL;

    if (!restore->params->xml)
        return 0;
    if (xml_format(doc, &xml, err) < 0)
        return -1;
    command = virConnectDomainXMLToNative(restore->backend->connection, "qemu-argv", xml, 0);
    int code = command ? VIR_ERR_OK : libvirt_code();
    if (code != VIR_ERR_XML_ERROR && code != VIR_ERR_XML_DETAIL && code != VIR_ERR_CONFIG_UNSUPPORTED)
        return 0;
    libvirt_err(err, "this host does not take the given definition");
    if (err)
        err->kind = ERR_PERMANENT;
    return -1;
}

static int check_network(virConnectPtr connection, xmlNodePtr source, struct err *err)
{
    CLEANUP(xml_string_freep) xmlChar *name = xmlGetProp(source, BAD_CAST "network");
    virNetworkPtr network = name ? virNetworkLookupByName(connection, (const char *)name) : NULL;

    if (network || !name) {
        if (network)
            virNetworkFree(network);
        return 0;
    }
    err_set(err, ERR_PERMANENT, "this host has no network %s", (const char *)name);
    return err_hint(err, "name another one: --map-network %s=NETWORK", (const char *)name);
}

static int check_networks(struct restore *restore, xmlDocPtr doc, struct err *err)
{
    xmlXPathContextPtr context = xmlXPathNewContext(doc);
    xmlXPathObjectPtr found = context ? xmlXPathEvalExpression(
                                            BAD_CAST "/domain/devices/interface[@type='network']/source", context)
                                      : NULL;
    int result = found ? 0 : err_memory(err, "networks");

    for (int i = 0; result == 0 && found->nodesetval && i < found->nodesetval->nodeNr; i++)
        result = check_network(restore->backend->connection, found->nodesetval->nodeTab[i], err);
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
    return result;
}

/* ---- the plan ---- */

static int add_reservations(const struct restore *restore, struct plan *plan, struct err *err)
{
    for (size_t i = 0; i < restore->disk_count; i++)
        if (restore->disks[i].room && !plan_add(plan, &step_restore_reserve, err, "file", restore->disks[i].target, NULL))
            return -1;
    return 0;
}

static int add_define(struct restore *restore, const char *folder, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *nvram = NULL;

    if (restore->point.nvram && !name_valid_plain(restore->point.nvram))
        return err_set(err, ERR_PERMANENT, "manifest of %s: \"%s\" is no name of a file", restore->point.id,
                       restore->point.nvram);
    if (restore->point.nvram && asprintf(&nvram, "%s/%s", restore->point_folder, restore->point.nvram) < 0)
        return err_memory(err, "nvram");
    struct step *step = plan_add(plan, &step_restore_define, err, "folder", folder, "name", restore->params->new_name,
                                 "uuid", restore->job->target.id, "nvram", nvram, NULL);
    for (size_t i = 0; step && i < restore->disk_count; i++) {
        char key[160];

        snprintf(key, sizeof key, RESTORE_FILE "%.128s", restore->disks[i].name);
        if (restore->disks[i].room && facts_set(&step->args, key, restore->disks[i].target, err) < 0)
            return -1;
    }
    return step ? 0 : -1;
}

int plan_restore_new(struct restore *restore, struct plan *plan, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    char folder[PATH_MAX], room[PATH_MAX];

    if (!restore->params->new_name || !name_valid_domain(restore->params->new_name))
        return err_set(err, ERR_PERMANENT, "a name for the new domain is needed");
    if (refuse_existing(restore, err) < 0 || choose_folder(restore, folder, err) < 0 ||
        restore_place_asked(restore, err) < 0 || restore_definition(restore, folder, &doc, err) < 0 ||
        check_machine(restore, doc, err) < 0 || check_networks(restore, doc, err) < 0 ||
        check_given(restore, doc, err) < 0)
        return -1;
    snprintf(room, sizeof room, "%s", folder);
    *strrchr(room, '/') = '\0';
    if (restore_add_check(restore, room, plan, err) < 0 ||
        !plan_add(plan, &step_restore_folder, err, "folder", folder, "point", restore->point.id, NULL) ||
        add_reservations(restore, plan, err) < 0 || restore_add_disks(restore, plan, err) < 0 ||
        add_define(restore, folder, plan, err) < 0)
        return -1;
    if (restore->params->start != START_NO && !plan_add(plan, &step_restore_start, err, "paused",
                                                        restore->params->start == START_PAUSED ? "yes" : NULL, NULL))
        return -1;
    return 0;
}

int plan_restore_files(struct restore *restore, struct plan *plan, struct err *err)
{
    const struct restore_point *point = &restore->point;
    char folder[PATH_MAX], room[PATH_MAX];

    if (!restore->params->directory)
        return err_set(err, ERR_PERMANENT, "a name for the new domain is needed");
    snprintf(folder, sizeof folder, "%s", restore->params->directory);
    while (strlen(folder) > 1 && folder[strlen(folder) - 1] == '/')
        folder[strlen(folder) - 1] = '\0';
    if (file_exists(folder)) {
        err_set(err, ERR_PERMANENT, "%s exists already", folder);
        return err_hint(err, "name a directory that is not there yet");
    }
    snprintf(room, sizeof room, "%s", folder);
    room[strrchr(room, '/') == room ? 1 : strrchr(room, '/') - room] = '\0';
    if (restore_place_disks(restore, folder, err) < 0 || restore_add_check(restore, room, plan, err) < 0 ||
        !plan_add(plan, &step_restore_folder, err, "folder", folder, "point", point->id, NULL) ||
        restore_add_disks(restore, plan, err) < 0)
        return -1;
    return plan_add(plan, &step_restore_beside, err, "from", restore->point_folder, "folder", folder, "definition",
                    point->definition, "nvram", point->nvram, NULL)
               ? 0
               : -1;
}

int plan_backup_restore(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(restore_end) struct restore restore = {0};

    if (restore_open(&restore, backend, job, err) < 0)
        return -1;
    if (restore.params->in_place)
        return plan_restore_in_place(&restore, plan, err);
    return restore.params->new_name ? plan_restore_new(&restore, plan, err) : plan_restore_files(&restore, plan, err);
}

int report_backup_restore(struct backend *backend, const struct job *job, const struct facts *known,
                          struct report *report, struct err *err)
{
    const struct params_backup_restore *params = job->params;

    (void)backend;
    (void)known;
    if (string_set(&report->result->point, params->point, err) < 0)
        return -1;
    return facts_set(&report->result->facts, "uuid", job->target.id, err);
}
