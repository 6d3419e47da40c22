/*
 * A backup job of the hypervisor has no name. Ours is known by the folder that it writes to, which holds the restore point's id: never is a job aborted, adopted or
 * believed for which that is not seen.
 */
#include "worker/backends/libvirt/backup_tools.h"

#include "base/clock.h"
#include "base/file.h"
#include "worker/backends/libvirt/backup_choice.h"
#include "worker/backends/libvirt/backup_xml.h"
#include "worker/backends/libvirt/bitmaps.h"
#include "worker/backends/libvirt/image.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    LEASE_RENEW_MS = 10000,
    LEASE_WAIT_MS = 60000,
    LEASE_PAUSE_MS = 200,
    STOPS_LATE_MS = 300,
    ABORT_WAIT_MS = 20000
};

int backup_repository(struct backend *backend, const struct repository_ref *ref, struct repository *out, struct err *err)
{
    return repository_open_ref(ref, backend->config->repositories, out, err);
}

int backup_source(const struct job *job, const struct repository *repository, const char *point, char **out,
                  struct err *err)
{
    if (strcmp(job->target.kind, "repository") == 0)
        return repository_owner(repository, point, out, err);
    *out = strdup(job->target.id);
    return *out ? 0 : err_memory(err, point);
}

int pool_directory(const struct backend *backend, const char *asked, char *out, struct err *err)
{
    const struct strings *pools = backend->config->pools;
    bool inside = false;

    if (!asked && (!pools || !pools->count)) {
        err_set(err, ERR_PERMANENT, "this worker has no pool for new disks");
        return err_hint(err, "add one to pools in its configuration");
    }
    if (snprintf(out, PATH_MAX, "%s", asked ? asked : pools->items[0]) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", asked);
    for (size_t i = 0; pools && i < pools->count; i++)
        inside = inside || file_inside(out, pools->items[i]);
    if (inside)
        return 0;
    err_set(err, ERR_PERMANENT, "%s is in none of this worker's pools", out);
    return err_hint(err, "add it to pools in the worker's configuration");
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

/* 1: others are in the way. */
static int take_once(const struct step_run *run, const char *chain_folder, bool alone, struct err *err)
{
    const char *job_id = run->job->job_id, *host = run->backend->config->host;
    int failed = alone ? lease_take_alone(chain_folder, job_id, host, err) : lease_take(chain_folder, job_id, host, err);

    if (failed < 0)
        return -1;
    failed = alone ? lease_check_free(chain_folder, job_id, err) : lease_check_calm(chain_folder, job_id, err);
    if (failed == 0)
        return 0;
    lease_drop(chain_folder, job_id);
    return 1;
}

static int take(struct chain_lease *lease, const struct step_run *run, const char *chain_folder, bool alone,
                struct err *err)
{
    int64_t until = clock_monotonic_ms() + LEASE_WAIT_MS;
    int taken;

    while ((taken = take_once(run, chain_folder, alone, err)) > 0 && !step_cancelled(run) && clock_monotonic_ms() < until)
        pause_ms(LEASE_PAUSE_MS);
    if (taken != 0)
        return -1;
    snprintf(lease->folder, sizeof lease->folder, "%s", chain_folder);
    lease->job_id = run->job->job_id;
    lease->renewed_ms = clock_monotonic_ms();
    return 0;
}

int chain_lease_take(struct chain_lease *lease, const struct step_run *run, const char *chain_folder, struct err *err)
{
    return take(lease, run, chain_folder, false, err);
}

int chain_lease_take_alone(struct chain_lease *lease, const struct step_run *run, const char *chain_folder,
                           struct err *err)
{
    return take(lease, run, chain_folder, true, err);
}

void chain_lease_tick(struct chain_lease *lease)
{
    if (!lease->job_id || clock_monotonic_ms() - lease->renewed_ms < LEASE_RENEW_MS)
        return;
    lease->renewed_ms = clock_monotonic_ms();
    lease_renew(lease->folder, lease->job_id,
                NULL); /* tried again in ten seconds; sixty times before anyone calls it stale */
}

void chain_lease_endp(struct chain_lease *lease)
{
    if (lease->job_id)
        lease_drop(lease->folder, lease->job_id);
    lease->job_id = NULL;
}

void chain_lease_settle(const struct step_run *run, const struct step *step, enum settled settled)
{
    static const char *const chains[] = {"chain_folder", "source_chain"};

    if (settled == SETTLED_BUSY || settled == SETTLED_RUNNING)
        return;
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        const char *folder = facts_get(&step->args, chains[i]);

        if (folder)
            lease_drop(folder, run->job->job_id);
    }
}

bool step_cancelled(const struct step_run *run)
{
    return run->attempt && attempt_cancelled(run->attempt);
}

const char *step_arg(const struct step *step, const char *key)
{
    const char *value = facts_get(&step->args, key);

    assert(value);
    return value;
}

const char *step_subject(const struct step_run *run)
{
    return run->job->target.name ? run->job->target.name : run->job->target.id;
}

int step_domain(const struct step_run *run, virDomainPtr *out, struct err *err)
{
    return libvirt_domain((struct libvirt_backend *)run->backend, run->job->target.id, out, err);
}

/* ---- jobs ---- */

static bool writes_to(const char *xml, const char *folder)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *file = NULL;
    size_t len = strlen(folder);

    if (xml_parse(xml, "domainbackup", &doc, NULL) < 0)
        return false;
    file = xml_get(doc, "/domainbackup/disks/disk/*[self::target or self::scratch]/@file");
    return file && strncmp(file, folder, len) == 0 && file[len] == '/';
}

int backup_running(virDomainPtr domain, const char *folder, enum running_backup *out, struct err *err)
{
    CLEANUP(freep) char *xml = virDomainBackupGetXMLDesc(domain, 0);

    if (!xml && libvirt_code() != VIR_ERR_NO_DOMAIN_BACKUP && libvirt_code() != VIR_ERR_OPERATION_INVALID)
        return libvirt_err(err, "backup job");
    if (!xml)
        *out = BACKUP_NONE;
    else
        *out = writes_to(xml, folder) ? BACKUP_OURS : BACKUP_FOREIGN;
    return 0;
}

static size_t count_words(const char *words)
{
    size_t count = words[0] != '\0';

    for (; *words; words++)
        count += *words == ' ';
    return count;
}

void backup_set_rate(virDomainPtr domain, const char *disks, int64_t rate)
{
    CLEANUP(freep) char *words = strdup(disks);
    size_t count = count_words(disks);
    unsigned long each = rate > 0 && count ? (unsigned long)rate / count : 0;
    char *rest = NULL;

    if (rate > 0 && !each)
        each = 1; /* 0 would be no limit */
    for (char *disk = words ? strtok_r(words, " ", &rest) : NULL; disk; disk = strtok_r(NULL, " ", &rest))
        virDomainBlockJobSetSpeed(domain, disk, each, VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES);
}

static int end_job(virDomainPtr domain, const char *folder, bool *asked, struct err *err)
{
    int64_t until = clock_monotonic_ms() + ABORT_WAIT_MS;
    enum running_backup running;

    do {
        if (backup_running(domain, folder, &running, err) < 0)
            return -1;
        if (running != BACKUP_OURS)
            return 0;
        if (!*asked && virDomainAbortJob(domain) < 0 && libvirt_code() != VIR_ERR_OPERATION_INVALID)
            return libvirt_err(err, "abort the backup job");
        *asked = true;
        pause_ms(50);
    } while (clock_monotonic_ms() < until);
    return err_set(err, ERR_RETRY, "the backup job does not end though it was asked to");
}

bool backup_stopped_guest(virDomainPtr domain)
{
    int state, reason;

    return virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED &&
           reason == VIR_DOMAIN_PAUSED_IOERROR;
}

/* Its write is repeated by the device. QEMU may say that it has stopped the guest only after the job has ended. */
static int set_guest_free(virDomainPtr domain, int64_t wait_ms, struct err *err)
{
    int64_t until = clock_monotonic_ms() + wait_ms;

    while (!backup_stopped_guest(domain)) {
        if (clock_monotonic_ms() >= until)
            return 0;
        pause_ms(30);
    }
    return virDomainResume(domain) < 0 ? libvirt_err(err, "resume the guest after the backup stopped it") : 0;
}

int backup_abort(virDomainPtr domain, const char *folder, struct err *err)
{
    bool asked = false;

    if (end_job(domain, folder, &asked, err) < 0)
        return -1;
    return set_guest_free(domain, asked ? STOPS_LATE_MS : 0, err);
}

/* ---- checkpoints ---- */

static int checkpoint_find(virDomainPtr domain, const char *name, virDomainCheckpointPtr *out, struct err *err)
{
    *out = virDomainCheckpointLookupByName(domain, name, 0);
    if (!*out && libvirt_code() != VIR_ERR_NO_DOMAIN_CHECKPOINT)
        return libvirt_err(err, "checkpoint %s", name);
    return 0;
}

int checkpoint_exists(virDomainPtr domain, const char *name, bool *out, struct err *err)
{
    CLEANUP(checkpoint_freep) virDomainCheckpointPtr checkpoint = NULL;

    if (checkpoint_find(domain, name, &checkpoint, err) < 0)
        return -1;
    *out = checkpoint != NULL;
    return 0;
}

/* The size of what changed on one disk, as libvirt says; false when it does not say, because the bitmap is missing or inconsistent. */
static bool dirty_of(xmlDocPtr doc, const char *disk, int64_t *bytes)
{
    xmlXPathContextPtr context = xmlXPathNewContext(doc);
    xmlXPathObjectPtr found = context ? xmlXPathEvalExpression(BAD_CAST "/domaincheckpoint/disks/disk", context) : NULL;
    bool says = false;

    for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        CLEANUP(xml_string_freep) xmlChar *name = xmlGetProp(found->nodesetval->nodeTab[i], BAD_CAST "name");
        CLEANUP(xml_string_freep) xmlChar *size = xmlGetProp(found->nodesetval->nodeTab[i], BAD_CAST "size");

        if (!name || !size || strcmp((char *)name, disk) != 0)
            continue;
        *bytes += strtoll((char *)size, NULL, 10);
        says = true;
    }
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
    return says;
}

static int checkpoint_judge(virDomainCheckpointPtr checkpoint, const struct restore_point *point, int *out_state,
                            int64_t *dirty_bytes, struct err *err)
{
    CLEANUP(freep)
    char *xml = virDomainCheckpointGetXMLDesc(checkpoint,
                                              VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN | VIR_DOMAIN_CHECKPOINT_XML_SIZE);
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    int64_t bytes = 0;

    if (!xml && (libvirt_code() == VIR_ERR_RPC || libvirt_code() == VIR_ERR_INVALID_CONN))
        return libvirt_err(err, "checkpoint of %s", point->id);
    if (!xml) {
        *out_state = CHECKPOINT_BROKEN;
        return 0;
    }
    if (xml_parse(xml, "domaincheckpoint", &doc, err) < 0)
        return -1;
    *out_state = CHECKPOINT_SOUND;
    for (size_t i = 0; i < point->disks.count; i++) {
        const struct point_disk *disk = list_at(&point->disks, struct point_disk, i);

        if (disk->checkpoint && !dirty_of(doc, disk->name, &bytes))
            *out_state = CHECKPOINT_BROKEN;
    }
    if (dirty_bytes)
        *dirty_bytes = bytes;
    return 0;
}

static int worse(int one, enum bitmap_state other)
{
    if (other == BITMAP_ABSENT || one == CHECKPOINT_GONE)
        return CHECKPOINT_GONE;
    return other == BITMAP_BROKEN ? CHECKPOINT_BROKEN : one;
}

/* libvirt knows nothing of the checkpoint: are its bitmaps in the disks? With overlays they would have to be in every layer, which only a full can be sure of. */
static int look_for_bitmaps(virDomainPtr domain, const struct restore_point *point, int *out_state, struct err *err)
{
    CLEANUP(bitmaps_freep) struct bitmaps *bitmaps = NULL;
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    struct domain_disks disks = {0};
    int state = CHECKPOINT_FORGOTTEN;

    if (bitmaps_ask(domain, &bitmaps, err) < 0 || libvirt_domain_xml(domain, 0, &doc, err) < 0 ||
        domain_disks_read(doc, &disks, err) < 0)
        return -1;
    domain_disks_resolve(virDomainGetConnect(domain), &disks);
    for (size_t i = 0; i < point->disks.count; i++) {
        const struct point_disk *disk = list_at(&point->disks, struct point_disk, i);
        const struct domain_disk *live = domain_disks_find(&disks, disk->name);

        if (!disk->checkpoint)
            continue;
        state = live && live->source && !live->backing
                    ? worse(state, bitmaps_find(bitmaps, live->source, disk->checkpoint))
                    : CHECKPOINT_GONE;
    }
    domain_disks_clear(&disks);
    *out_state = state;
    return 0;
}

int checkpoint_look(virDomainPtr domain, const struct restore_point *point, int *out_state, int64_t *dirty_bytes,
                    struct err *err)
{
    CLEANUP(checkpoint_freep) virDomainCheckpointPtr checkpoint = NULL;
    char name[CHECKPOINT_NAME];

    if (checkpoint_find(domain, checkpoint_name(point->id, name), &checkpoint, err) < 0)
        return -1;
    if (checkpoint)
        return checkpoint_judge(checkpoint, point, out_state, dirty_bytes, err);
    return look_for_bitmaps(domain, point, out_state, err);
}

/* A bitmap that stays costs a little room and nothing else, so failures are not failures. */
static void remove_bitmaps(virDomainPtr domain, const char *name)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    struct domain_disks disks = {0};

    if (libvirt_domain_xml(domain, VIR_DOMAIN_XML_INACTIVE, &doc, NULL) < 0 || domain_disks_read(doc, &disks, NULL) < 0)
        return;
    domain_disks_resolve(virDomainGetConnect(domain), &disks);
    for (size_t i = 0; i < disks.count; i++)
        if (disks.items[i].source && disks.items[i].format && strcmp(disks.items[i].format, "qcow2") == 0)
            image_remove_bitmap(disks.items[i].source, name, NULL);
    domain_disks_clear(&disks);
}

int checkpoint_remove(virDomainPtr domain, const char *name, struct err *err)
{
    CLEANUP(checkpoint_freep) virDomainCheckpointPtr checkpoint = NULL;

    if (checkpoint_find(domain, name, &checkpoint, err) < 0)
        return -1;
    if (!checkpoint || virDomainCheckpointDelete(checkpoint, 0) == 0)
        return 0;
    /* The guest is off (84): libvirt only forgets it, and the bitmaps are ours to remove. Or the bitmap is not there (1): then there is only the metadata. */
    if (virDomainCheckpointDelete(checkpoint, VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) < 0 &&
        libvirt_code() != VIR_ERR_NO_DOMAIN_CHECKPOINT)
        return libvirt_err(err, "delete checkpoint %s", name);
    if (virDomainIsActive(domain) == 0)
        remove_bitmaps(domain, name);
    return 0;
}

/* ---- files ---- */

int file_copy(const char *from, const char *to, mode_t mode, int64_t *out_bytes, struct err *err)
{
    CLEANUP(closep) int source = open(from, O_RDONLY | O_CLOEXEC);
    CLEANUP(closep) int target = -1;
    ssize_t got;
    int64_t bytes = 0;

    if (source < 0)
        return err_errno(err, errno, from);
    target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (target < 0)
        return err_errno(err, errno, to);
    while ((got = copy_file_range(source, NULL, target, NULL, 1 << 20, 0)) > 0)
        bytes += got;
    if (got < 0 || fsync(target) < 0)
        return err_errno(err, errno, to);
    if (out_bytes)
        *out_bytes = bytes;
    return 0;
}
