#pragma once
/* What a revert may do and what it costs. Pure. */
#include "worker/backends/libvirt/snapshots.h"

enum revert_end { END_OFF, END_RUNNING, END_PAUSED };

struct revert_scene {
    const char *domain;
    const struct params_snapshot_revert *params;
    const struct snapshot_info *snapshot;
    const struct list *snapshots;      /* all of them */
    const struct list *checkpoints;    /* inventory_checkpoint */
    const struct strings *differences; /* of the definitions, then → now */
    bool active, persistent, has_definition, has_saved;
    bool by_hand;
    int64_t now_ms;
};

/* As saved: what the guest was when it was taken; it ran when only its disks were. */
enum revert_end revert_ends(const struct params_snapshot_revert *params, const struct snapshot_info *snapshot);
/* Refuses what must not be done, with the way out. */
int revert_check(const struct revert_scene *scene, struct err *err);
/* Sentences for people: what is lost. */
int revert_lost(const struct revert_scene *scene, struct plan *plan, struct err *err);
