#pragma once
/*
 * Exports by NBD: a pull job of the hypervisor. QEMU itself serves the disks as they were in one moment, keeps what the guest overwrites meanwhile in scratch files, and says
 * neither who reads nor when he is done. What its steps share:
 *   scratch folder   POOL/fleetsnap-export/<target>/<job>: the running job is known by it (backup_tools.h)
 *   notes in it      "free": the socket's paths were, so what is there is ours; "told": clients may know where it is; "done": a person said that the copy is whole
 */
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/connections.h"

#define EXPORT_PLACE "fleetsnap-export"

/* Where the steps are told to listen; from their arguments. */
struct export_server {
    const char *socket; /* NULL: address */
    const char *inner; /* of a socket: the hypervisor's own, behind a relay (export_relay.h); NULL: it is `socket` itself */
    const char *address;
    bool tls;
};
struct export_server export_server_of(const struct step *step);
/* "nbd+unix:///vda?socket=/run/x"; caller frees; NULL: no memory. */
char *export_uri(const struct export_server *server, const char *disk);
/* Connections that clients have with it; -1: the kernel does not say. Of TCP also what is on its way. */
int export_clients(const struct export_server *server, struct connections *out);
/* Where the hypervisor listens for what clients reach at `socket`. */
#define EXPORT_INNER ".qemu"
/* ERR_CONFLICT where something is at the path of a socket: QEMU removes what is there. */
int export_socket_free(const struct export_server *server, struct err *err);

/*
 * Ends the export as backup_abort() does a backup, but never while a connection to it is open. QEMU 7.2 that stops its server while a client has connected and not yet said what
 * it wants (a probe of a port, a client that hangs) waits for it for ever, and its guest with it: seen. So the name of the socket goes first (and before that the relay, with all of
 * its clients), then all clients that have said it are cut, and then nobody may be left; such a QEMU cuts those that say nothing after 10 s by itself. ERR_RETRY: somebody is left, and it goes on.
 */
int export_abort(virDomainPtr domain, const char *folder, const struct export_server *server, struct err *err);

/* The folder, with the ones above it. */
int export_room_make(const char *folder, struct err *err);
/* The scratch files, the folder, sockets that nobody listens on any more. May be repeated. */
int export_room_clear(const char *folder, const struct export_server *server, struct err *err);
void export_remove_dead_sockets(const char *folder, const struct export_server *server);
int64_t export_room_bytes(const char *folder); /* what the scratch files occupy */
bool export_noted(const char *folder, const char *note);
int export_note(const char *folder, const char *note, struct err *err);

/* What runs on the domain, and which job's it is, by its scratch folder; *out_folder is NULL where no export of ours runs. Caller frees both. */
int export_running(virDomainPtr domain, xmlDocPtr *out_xml, char **out_folder, char out_job[UUID_TEXT], struct err *err);

int plan_target_export(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int plan_target_export_finish(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);

extern const struct step_type step_export_room, step_export, step_export_end, step_export_close;
#define EXPORT_STEPS &step_export_room, &step_export, &step_export_end, &step_export_close
