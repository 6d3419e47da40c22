#pragma once
/*
 * The libvirt backend's shared tools: connection, error mapping, domain look-up, XML, ownership. Only files of this folder include it. Third-party types are allowed
 * here because nobody else sees them.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/uuid.h"
#include "model/job.h"
#include "worker/backend.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>

struct thaw_guard;

struct libvirt_backend {
    struct backend base;
    virConnectPtr connection; /* NULL until first use; reopened when dead */
    unsigned long version;    /* virConnectGetLibVersion */
    struct thaw_guard *guard; /* while a guest is frozen by this handle; see thaw_guard.h */
    char unfrozen[UUID_TEXT]; /* the job whose freeze has certainly frozen nothing, until its thaw has read it; else empty */
};

static inline struct libvirt_backend *libvirt_of(struct backend *backend)
{
    return (struct libvirt_backend *)backend;
}
static inline void domain_freep(virDomainPtr *domain)
{
    if (*domain)
        virDomainFree(*domain);
}
static inline void snapshot_freep(virDomainSnapshotPtr *snapshot)
{
    if (*snapshot)
        virDomainSnapshotFree(*snapshot);
}
static inline void checkpoint_freep(virDomainCheckpointPtr *checkpoint)
{
    if (*checkpoint)
        virDomainCheckpointFree(*checkpoint);
}
static inline void xml_freep(xmlDocPtr *doc)
{
    if (*doc)
        xmlFreeDoc(*doc);
}
static inline void xml_string_freep(xmlChar **string)
{
    if (*string)
        xmlFree(*string);
}

extern const struct backend_ops libvirt_backend_ops;

/* Opens or reopens (virConnectIsAlive) the handle's connection; keep-alive is set; the event loop thread runs for the whole process from the first open on. */
int libvirt_connect(struct libvirt_backend *backend, struct err *err);
/* A connection that the caller closes. Opens are serialised in the process: the embedded driver starts in the first one, and a second at the same time fails. */
virConnectPtr libvirt_open(const char *uri, struct err *err);
/* From virGetLastError, which the next call erases: call it on the failing line. Kind by code (facts in docs/backends/libvirt.md); `code` = virErrorNumber. Text: "<format>: libvirt: <message>". */
int libvirt_err_noted(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define libvirt_err(...) (libvirt_note_error(), libvirt_err_noted(__VA_ARGS__))
/* The same for a call that changes something: when the connection broke under it, nobody knows what became of it, so the kind is ERR_UNKNOWN. */
int libvirt_call_err_noted(struct libvirt_backend *backend, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define libvirt_call_err(...) (libvirt_note_error(), libvirt_call_err_noted(__VA_ARGS__))
/* Each call of libvirt forgets the error of the one before, even one that only asks for the name that the message needs: so it is noted before the arguments are looked at. */
void libvirt_note_error(void);
int libvirt_code(void); /* VIR_ERR_… of the last error */
/* The job's domain by UUID. ERR_PERMANENT "no such domain on this host" (42). */
int libvirt_domain(struct libvirt_backend *backend, const char *uuid, virDomainPtr *out, struct err *err);
int libvirt_domain_state(virDomainPtr domain, int *out_state, int *out_reason, struct err *err);
/* Active, and not only being started: a daemon that died in the start leaves a QEMU that the next one stops. */
bool libvirt_started(virDomainPtr domain);
const char *libvirt_state_name(int state); /* "running", "paused", "shutoff", "crashed" … */
int libvirt_domain_xml(virDomainPtr domain, unsigned flags, xmlDocPtr *out, struct err *err);
/* A call of a dead worker is still at work in libvirtd: what settle() answers SETTLED_BUSY to. */
bool libvirt_busy(virDomainPtr domain);

/* The disks of a domain's XML. */
struct domain_disk {
    char *name;   /* target dev */
    char *device; /* disk, cdrom, floppy, lun */
    char *type;   /* file, block, network … */
    char *source; /* file or dev; NULL: none */
    char *pool;   /* that it is a volume of; NULL: none */
    char *format; /* driver type */
    char *serial;
    bool read_only, shareable, transient;
    char *backing;  /* the first backing file as the XML says; NULL: none or unknown */
    unsigned index; /* of the source node, for vda[N] */
};
struct domain_disks {
    struct domain_disk *items;
    size_t count;
};
int domain_disks_read(xmlDocPtr domain, struct domain_disks *out, struct err *err);
int domain_disks_read_at(xmlNodePtr domain, struct domain_disks *out,
                         struct err *err); /* of a <domain> inside another document */
/* Volumes of a pool become the files and block devices that they are; one of which libvirt does not say what it is stays a volume. volumes.c */
void domain_disks_resolve(virConnectPtr connection, struct domain_disks *disks);
void domain_disks_clear(struct domain_disks *disks);
const struct domain_disk *domain_disks_find(const struct domain_disks *disks, const char *name);
bool domain_disk_writable(
    const struct domain_disk *disk); /* a disk with a source that the guest can change and only this guest has */
/* What a backup of it can be: "incremental", "full", "refused"; *out_reason (static text, NULL for incremental) says why. Pure. */
const char *domain_disk_backup(const struct domain_disk *disk, const char **out_reason);

/* The guest agent: the response time-out is always set before a command is sent. */
enum agent_answer { AGENT_ANSWERS, AGENT_SILENT, AGENT_NONE };
enum agent_answer libvirt_agent(struct libvirt_backend *backend, virDomainPtr domain);
int libvirt_agent_timeout(struct libvirt_backend *backend, virDomainPtr domain, struct err *err);
bool libvirt_agent_answered(int code); /* this error of a command is the agent's own answer */

/* Steps and verbs that several verbs plan: freeze and thaw (libvirt/steps/freeze.c, thaw.c). */
extern const struct step_type step_freeze, step_thaw;
/* The level that was reached: "filesystem", where it was planned, only if the guest was frozen until the thaw. */
const char *level_reached(const struct facts *known, const char *planned);
/* Decides quiesce for a job: require (agent silent: ERR_RETRY with hint), prefer, never. Adds step_freeze when it will freeze; *out_frozen says so; reason why not into plan->facts "level_reason".
 * The plan adds step_thaw itself, behind what must happen while frozen. After freeze, known "frozen" is the number of frozen file systems ("0": prefer, and it failed);
 * after thaw, "frozen_ms" is known, and "level_reason" where the guest thawed too early. */
int plan_freeze(struct libvirt_backend *backend, virDomainPtr domain, int quiesce, struct plan *plan, bool *out_frozen,
                struct err *err);

/*
 * Ours and theirs. What Fleetsnap makes in libvirt carries its job in the description: "text [fleetsnap <job id> <level>]". The mark travels with the XML, so it survives
 * restarts, redefinition and the loss of our own state directory; see docs/backends/libvirt.md. The name of an object is no proof.
 */
enum { SHORT_JOB = 14, MARK_LEVEL = 16 };
void short_job(const char *job_id, char out[SHORT_JOB]); /* the first 13 characters */
bool mark_read(const char *description, char out_job[UUID_TEXT],
               char out_level[MARK_LEVEL]); /* false: not ours; level "" if it has none */
char *mark_strip(const char *description);  /* without the mark; caller frees; NULL: nothing left, or no memory */
char *mark_add(const char *description, const char *job_id, const char *level); /* caller frees; NULL: no memory */
/* Of the checkpoint of a backup: "text [fleetsnap <job id> backup <repository id>]". */
char *mark_add_backup(const char *description, const char *job_id, const char *repository_id);
bool mark_read_backup(const char *description, char out_job[UUID_TEXT], char out_repository[UUID_TEXT]);

/*
 * libvirt does one long job at a time on a domain, and a call that needs its place while it is taken waits for half a minute: never with a frozen guest. BEGINNING: it is a
 * backup of which nothing is known yet; it stays so for ever where a daemon died in that moment (half_begun.h). UNSURE: the domain is active and libvirt does not say.
 */
enum job_slot { SLOT_FREE, SLOT_TAKEN, SLOT_BEGINNING, SLOT_UNSURE };
enum job_slot libvirt_slot(virDomainPtr domain, int *out_operation); /* VIR_DOMAIN_JOB_OPERATION_…, where it is taken */
int libvirt_slot_free(virDomainPtr domain, struct err *err);         /* ERR_RETRY: it is not, or nobody knows */

/* ERR_RETRY "foreign job: …" while a job that is not ours runs on the domain or one of its disks. */
int libvirt_no_foreign_job(virDomainPtr domain, struct err *err);
/* What runs: "backup", "commit on vda" …; caller frees; NULL: nothing. */
char *libvirt_job_running(virDomainPtr domain);
/* For the inventory: a step that starts a block or backup job says so for as long as it watches it. Any thread. */
void libvirt_job_begin(const char *uuid);
void libvirt_job_end(const char *uuid);
bool libvirt_job_ours(const char *uuid);

/* XML helpers: built with libxml2, never by printf. */
int xml_parse(const char *text, const char *what, xmlDocPtr *out, struct err *err);
int xml_format(xmlDocPtr doc, char **out, struct err *err); /* caller frees with free() */
int xml_format_node(xmlNodePtr node, char **out,
                    struct err *err);            /* this element as a document of its own; caller frees with free() */
xmlDocPtr xml_new(const char *root);             /* NULL: no memory */
char *xml_get(xmlDocPtr doc, const char *xpath); /* text of the first match, strdup'ed; NULL: none */
char *xml_get_at(xmlNodePtr node, const char *xpath);    /* the same, relative to a node */
xmlNodePtr xml_find(xmlNodePtr node, const char *xpath); /* the first match, relative to a node; NULL: none */
/* All matches, in order; caller frees with xmlXPathFreeObject. NULL: no memory. */
xmlXPathObjectPtr xml_all(xmlNodePtr node, const char *xpath);
xmlNodePtr xml_child(xmlNodePtr parent, const char *name, const char *content); /* new element, content may be NULL */
void xml_attr(xmlNodePtr node, const char *name, const char *value);
void xml_remove_all(xmlNodePtr node, const char *xpath);
static inline void xml_matches_freep(xmlXPathObjectPtr *object)
{
    if (*object)
        xmlXPathFreeObject(*object);
}
