#pragma once
#include <libvirt/libvirt.h>
#include <stdbool.h>

struct export_server;
struct step;

/*
 * Removes what dead daemons have left in QEMU of backups of this step's disks, and what a backup that QEMU began for this very step has made; only while libvirt knows of no
 * job on the domain. Waits some seconds for a job to end. True: something was there and is gone.
 */
bool backup_remove_left(virDomainPtr domain, const struct step *step);
/*
 * The same of an export whose libvirt died while it took in the end: the server, by which no other export can begin (never while somebody is connected to it), and the scratch files in
 * `folder`, open, by which the guest's disk takes no snapshot.
 */
void export_remove_left(virDomainPtr domain, const char *folder, const struct export_server *server);
/* Of the export that runs: its clients are disconnected, and nothing is exported any more. */
void backup_cut_clients(virDomainPtr domain);
