#pragma once
#include "model/inventory.h"
#include "worker/backends/libvirt/libvirt.h"

/* Who made a checkpoint: the job of its mark, or of its name fs-<job id>; false: others. */
bool checkpoint_owner(const char *name, const char *description, char out_job[UUID_TEXT]);
char *checkpoint_description(virDomainCheckpointPtr checkpoint); /* with its mark; caller frees; NULL: none */
/* All checkpoints of the domain as inventory_checkpoint, parents first; `out` zeroed. */
int checkpoints_read(virDomainPtr domain, struct list *out, struct err *err);
void checkpoints_clear(struct list *checkpoints);
static inline void checkpoints_endp(struct list *checkpoints)
{
    checkpoints_clear(checkpoints);
}

/* One domain as a record; `out` zeroed, cleared by the caller. Asks the agent at most for one time-out. */
int inventory_domain(struct libvirt_backend *backend, virDomainPtr domain, struct inventory_target *out,
                     struct err *err);
int libvirt_inventory(struct backend *backend, struct inventory_host *host, inventory_target_found *found,
                      void *context, struct err *err);

/* watch.c */
int libvirt_watch(const struct backend_config *config, void (*changed)(void *context, const char *target_id),
                  void *context, struct err *err);
void libvirt_unwatch(void);
