#pragma once
/* The libvirt backend's shared tools: connection, error mapping, domain look-up, XML. Only files of this folder include it. Third-party types are allowed here because nobody else sees them. */
#include "base/err.h"
#include "model/job.h"
#include "worker/backend.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>

struct libvirt_backend {
	struct backend base;
	virConnectPtr connection; /* NULL until first use; reopened when dead */
	unsigned long version;    /* virConnectGetLibVersion */
};

static inline void domain_freep(virDomainPtr *domain) { if (*domain) virDomainFree(*domain); }
static inline void snapshot_freep(virDomainSnapshotPtr *snapshot) { if (*snapshot) virDomainSnapshotFree(*snapshot); }
static inline void checkpoint_freep(virDomainCheckpointPtr *checkpoint) { if (*checkpoint) virDomainCheckpointFree(*checkpoint); }
static inline void xml_freep(xmlDocPtr *doc) { if (*doc) xmlFreeDoc(*doc); }
static inline void xml_string_freep(xmlChar **string) { if (*string) xmlFree(*string); }

extern const struct backend_ops libvirt_backend_ops;

/* Opens or reopens (virConnectIsAlive) the handle's connection; keep-alive is set; the event loop thread runs for the whole process from the first open on. */
int libvirt_connect(struct libvirt_backend *backend, struct err *err);
/* From virGetLastError, which the next call erases: call it on the failing line. Kind by code (facts in docs/backends/libvirt.md); `code` = virErrorNumber. Text: "<format>: libvirt: <message>". */
int libvirt_err(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
int libvirt_code(void); /* VIR_ERR_… of the last error */
/* The job's domain by UUID. ERR_PERMANENT "no such domain on this host" (42). */
int libvirt_domain(struct libvirt_backend *backend, const char *uuid, virDomainPtr *out, struct err *err);
int libvirt_domain_state(virDomainPtr domain, int *out_state, int *out_reason, struct err *err);
const char *libvirt_state_name(int state); /* "running", "paused", "shutoff", "crashed" … */
int libvirt_domain_xml(virDomainPtr domain, unsigned flags, xmlDocPtr *out, struct err *err);

/* The disks of a domain's XML. */
struct domain_disk {
	char *name;          /* target dev */
	char *device;        /* disk, cdrom, floppy, lun */
	char *type;          /* file, block, network … */
	char *source;        /* file or dev; NULL: none */
	char *format;        /* driver type */
	char *serial;
	bool read_only, shareable, transient;
	char *backing;       /* the first backing file as the XML says; NULL: none or unknown */
	unsigned index;      /* of the source node, for vda[N] */
};
struct domain_disks {
	struct domain_disk *items;
	size_t count;
};
int domain_disks_read(xmlDocPtr domain, struct domain_disks *out, struct err *err);
void domain_disks_clear(struct domain_disks *disks);

/* The guest agent: the response time-out is always set before a command is sent. */
enum agent_answer { AGENT_ANSWERS, AGENT_SILENT, AGENT_NONE };
enum agent_answer libvirt_agent(struct libvirt_backend *backend, virDomainPtr domain);

/* Steps and verbs that several verbs plan: freeze and thaw (libvirt/steps/freeze.c, thaw.c). */
extern const struct step_type step_freeze, step_thaw;
/* Decides quiesce for a job: require (agent silent: ERR_RETRY with hint), prefer, never. Adds step_freeze when it will freeze; *out_frozen says so; reason why not into plan->facts "level_reason". */
int plan_freeze(struct libvirt_backend *backend, virDomainPtr domain, int quiesce, struct plan *plan, bool *out_frozen, struct err *err);

/* XML helpers: built with libxml2, never by printf. */
int xml_parse(const char *text, const char *what, xmlDocPtr *out, struct err *err);
int xml_format(xmlDocPtr doc, char **out, struct err *err);             /* caller frees with free() */
char *xml_get(xmlDocPtr doc, const char *xpath);                        /* text of the first match, strdup'ed; NULL: none */
xmlNodePtr xml_child(xmlNodePtr parent, const char *name, const char *content); /* new element, content may be NULL */
void xml_attr(xmlNodePtr node, const char *name, const char *value);
