/* What this host has: one record per domain, and what the host itself says. Reads only; a domain that disappears while it is looked at is left out. */
#include "worker/backends/libvirt/inventory.h"
#include "worker/backends/libvirt/boot_copy.h"

#include "base/file.h"
#include "worker/backends/libvirt/agent.h"
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/labels.h"
#include "worker/backends/libvirt/snapshots.h"

#include <stdio.h>
#include <string.h>

static int fill_disk(virDomainPtr domain, const struct domain_disk *disk, struct inventory_disk *out, struct err *err)
{
    virDomainBlockInfo info;
    const char *reason;
    const char *backup = domain_disk_backup(disk, &reason);

    if (disk->source && virDomainGetBlockInfo(domain, disk->name, &info, 0) == 0)
        out->size_bytes = (int64_t)info.capacity;
    out->read_only = disk->read_only;
    if (string_set(&out->name, disk->name, err) < 0 || string_set(&out->device, disk->device, err) < 0 ||
        string_set(&out->format, disk->format, err) < 0 || string_set(&out->source, disk->source, err) < 0)
        return -1;
    if (string_set(&out->type, disk->type, err) < 0 || string_set(&out->backup, backup, err) < 0)
        return -1;
    return string_set(&out->reason, reason, err);
}

static int fill_disks(virDomainPtr domain, xmlDocPtr doc, struct list *out, struct err *err)
{
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};

    if (domain_disks_read(doc, &disks, err) < 0)
        return -1;
    domain_disks_resolve(virDomainGetConnect(domain), &disks);
    for (size_t i = 0; i < disks.count; i++) {
        struct inventory_disk *disk = list_add(out, &inventory_disk_record, err);

        if (!disk || fill_disk(domain, &disks.items[i], disk, err) < 0)
            return -1;
    }
    return 0;
}

static int fill_identity(virDomainPtr domain, struct target *out, struct err *err)
{
    char uuid[VIR_UUID_STRING_BUFLEN];

    if (virDomainGetUUIDString(domain, uuid) < 0)
        return libvirt_err(err, "uuid");
    if (string_set(&out->kind, "libvirt", err) < 0 || string_set(&out->id, uuid, err) < 0)
        return -1;
    return string_set(&out->name, virDomainGetName(domain), err);
}

static int fill_job(virDomainPtr domain, struct inventory_target *out, struct err *err)
{
    CLEANUP(freep) char *job = libvirt_job_running(domain);

    if (!job || asprintf(&out->job, "%s (%s)", job, libvirt_job_ours(out->target.id) ? "ours" : "foreign") >= 0)
        return 0;
    out->job = NULL;
    return err_memory(err, "inventory");
}

static int fill_state(struct libvirt_backend *backend, virDomainPtr domain, struct inventory_target *out,
                      struct err *err)
{
    static const char *const answers[] = {[AGENT_ANSWERS] = "answers", [AGENT_SILENT] = "silent", [AGENT_NONE] = "none"};
    int state;

    if (libvirt_domain_state(domain, &state, NULL, err) < 0)
        return -1;
    out->persistent = virDomainIsPersistent(domain) == 1;
    if (state == VIR_DOMAIN_RUNNING && string_set(&out->agent, answers[libvirt_agent_now(backend, domain)], err) < 0)
        return -1;
    return string_set(&out->state, libvirt_state_name(state), err) < 0 ? -1 : fill_job(domain, out, err);
}

static int fill_definition(virDomainPtr domain, struct inventory_target *out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    char digest[65];

    if (libvirt_domain_xml(domain, VIR_DOMAIN_XML_INACTIVE, &doc, err) < 0 || definition_digest(doc, digest, err) < 0)
        return -1;
    return string_set(&out->definition, digest, err) < 0 ? -1 : labels_read(doc, &out->labels, err);
}

/* libvirt refuses to migrate a domain that has snapshots. */
static int fill_migratable(struct inventory_target *out, struct err *err)
{
    char reason[64];

    out->migratable = out->snapshots.count == 0;
    if (out->migratable)
        return 0;
    snprintf(reason, sizeof reason, "%zu snapshot%s", out->snapshots.count, out->snapshots.count == 1 ? "" : "s");
    return string_set(&out->migratable_reason, reason, err);
}

int inventory_domain(struct libvirt_backend *backend, virDomainPtr domain, struct inventory_target *out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    if (string_set(&out->host, backend->base.config->host, err) < 0 || fill_identity(domain, &out->target, err) < 0)
        return -1;
    if (libvirt_domain_xml(domain, 0, &doc, err) < 0 || fill_disks(domain, doc, &out->disks, err) < 0)
        return -1;
    if (fill_state(backend, domain, out, err) < 0 || fill_definition(domain, out, err) < 0)
        return -1;
    if (snapshots_read(domain, &out->snapshots, err) < 0 || checkpoints_read(domain, &out->checkpoints, err) < 0)
        return -1;
    return fill_migratable(out, err);
}

static int report_domain(struct libvirt_backend *backend, virDomainPtr domain, inventory_target_found *found,
                         void *context, struct err *err)
{
    struct inventory_target target = {0};
    struct err failure = {0};
    int result = inventory_domain(backend, domain, &target, &failure);

    if (result == 0)
        result = found(context, &target, err);
    else if (failure.code == VIR_ERR_NO_DOMAIN)
        result = 0;
    else if (err)
        *err = failure;
    inventory_target_clear(&target);
    return result;
}

/* ---- the host ---- */

static int describe_backend(struct libvirt_backend *backend, struct inventory_backend *out, struct err *err)
{
    unsigned long qemu = 0;

    virConnectGetVersion(backend->connection, &qemu);
    if (asprintf(&out->version, "libvirt %lu.%lu.%lu, QEMU %lu.%lu.%lu", backend->version / 1000000,
                 backend->version / 1000 % 1000, backend->version % 1000, qemu / 1000000, qemu / 1000 % 1000,
                 qemu % 1000) < 0) {
        out->version = NULL;
        return err_memory(err, "inventory");
    }
    for (const struct verb *verb = backend->base.ops->verbs; verb->op != OP_NONE; verb++)
        if (strings_add(&out->verbs, op_names[verb->op], err) < 0)
            return -1;
    out->ok = true;
    return 0;
}

static int fill_backend(struct libvirt_backend *backend, struct inventory_host *host, struct err *err)
{
    struct inventory_backend *out = list_add(&host->backends, &inventory_backend_record, err);
    struct err failure = {0};

    if (!out || string_set(&out->kind, "libvirt", err) < 0 ||
        string_set(&out->uri, backend->base.config->libvirt_uri, err) < 0)
        return -1;
    if (libvirt_connect(backend, &failure) == 0)
        return describe_backend(backend, out, err);
    if (string_set(&out->text, failure.text, err) == 0 && err)
        *err = failure;
    return -1;
}

static int fill_pools(const struct backend_config *config, struct inventory_host *host, struct err *err)
{
    for (size_t i = 0; config->pools && i < config->pools->count; i++) {
        const char *path = config->pools->items[i];
        const char *slash = strrchr(path, '/');
        struct inventory_space *out = list_add(&host->pools, &inventory_space_record, err);
        struct err failure = {0};

        if (!out || string_set(&out->path, path, err) < 0 ||
            string_set(&out->name, slash && slash[1] ? slash + 1 : path, err) < 0)
            return -1;
        out->ok = file_free_space(path, &out->free_bytes, &out->total_bytes, &failure) == 0;
        if (!out->ok && string_set(&out->text, failure.text, err) < 0)
            return -1;
    }
    return 0;
}

int libvirt_inventory(struct backend *base, struct inventory_host *host, inventory_target_found *found, void *context,
                      struct err *err)
{
    struct libvirt_backend *backend = libvirt_of(base);
    virDomainPtr *domains = NULL;
    int count, result = 0;

    if (fill_pools(base->config, host, err) < 0 || fill_backend(backend, host, err) < 0)
        return -1;
    count = virConnectListAllDomains(backend->connection, &domains, 0);
    if (count < 0)
        return libvirt_err(err, "domains");
    for (int i = 0; i < count; i++) {
        if (result == 0 && !boot_copy_is(domains[i]))
            result = report_domain(backend, domains[i], found, context, err);
        virDomainFree(domains[i]);
    }
    free(domains);
    return result;
}
