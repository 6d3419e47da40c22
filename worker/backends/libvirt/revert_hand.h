#pragma once
/* Reverting to an external snapshot by hand: the steps of it. */
#include "worker/backends/libvirt/revert_rules.h"

struct revert_hand {
    struct libvirt_backend *backend;
    virDomainPtr domain;
    const struct job *job;
    xmlDocPtr snapshot; /* with secrets */
    const struct revert_scene *scene;
};

/* Adds forget_checkpoints for all of them (inventory_checkpoint), if there are any: before libvirt is told of snapshots while the guest is off; can be taken back. */
int plan_forget_checkpoints(virDomainPtr domain, const struct list *checkpoints, struct plan *plan, struct err *err);
/* In `definition`, disks that are not among `taken` become those that the domain has now. */
int revert_present_disks(virDomainPtr domain, const struct strings *taken, xmlNodePtr definition, struct err *err);
int revert_hand_check(const struct revert_hand *hand, struct err *err);
int revert_hand_plan(const struct revert_hand *hand, struct plan *plan, struct err *err);
