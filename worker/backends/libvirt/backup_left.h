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
/* The same of the server alone, whose libvirt died between the end of an export's job and the server's: no other export can begin. Never while somebody is connected to it. */
bool backup_stop_server_left(virDomainPtr domain, const struct export_server *server);
/* Of the export that runs: its clients are disconnected, and nothing is exported any more. */
void backup_cut_clients(virDomainPtr domain);
