/*
 * Force is needed in exactly two cases: the snapshot lacks the domain's definition, so nobody can say whether it fits; or a running guest would get another machine than it has:
 * its hardware differs, or the snapshot is of a guest that was off and it is to run afterwards. libvirt 9 lets some of these pass without a word; so both are checked here.
 */
#include "worker/backends/libvirt/revert_rules.h"

#include "base/parse.h"
#include "model/inventory.h"
#include "worker/backends/libvirt/definition.h"

#include <string.h>

static bool is_state(const struct snapshot_info *snapshot, const char *state)
{
    return snapshot->state && strcmp(snapshot->state, state) == 0;
}

enum revert_end revert_ends(const struct params_snapshot_revert *params, const struct snapshot_info *snapshot)
{
    if (params->after == AFTER_RUNNING)
        return END_RUNNING;
    if (params->after == AFTER_PAUSED)
        return END_PAUSED;
    if (is_state(snapshot, "paused"))
        return END_PAUSED;
    return is_state(snapshot, "shutoff") ? END_OFF : END_RUNNING;
}

static int need_force(const struct revert_scene *scene, const char *why, struct err *err)
{
    if (scene->params->force != FORCE_NEVER)
        return 0;
    err_set(err, ERR_PERMANENT, "snapshot %s/%s: revert refused: %s", scene->domain, scene->snapshot->name, why);
    return err_hint(err, "nothing was changed; to accept that: --force if-needed; to look first: --dry-run");
}

static int check_force(const struct revert_scene *scene, struct err *err)
{
    bool will_run = revert_ends(scene->params, scene->snapshot) != END_OFF;
    CLEANUP(freep) char *differences = NULL;
    char why[400];

    if (!scene->has_definition)
        return need_force(scene, "the snapshot lacks the domain's definition, so it cannot be checked whether it fits",
                          err);
    if (!scene->active || !will_run)
        return 0;
    if (scene->differences->count > 0) {
        differences = strings_join(scene->differences, ", ");
        snprintf(why, sizeof why, "hardware differs (%.250s), the guest would get another machine than it has",
                 differences ? differences : "");
        return need_force(scene, why, err);
    }
    if (scene->params->after != AFTER_AS_SAVED && is_state(scene->snapshot, "shutoff"))
        return need_force(
            scene,
            "the snapshot is of a guest that was off, and it is to run afterwards: the running guest would be replaced by a fresh boot",
            err);
    return 0;
}

static int check_transient(const struct revert_scene *scene, struct err *err)
{
    bool has_memory = is_state(scene->snapshot, "running") || is_state(scene->snapshot, "paused");

    if (scene->persistent)
        return 0;
    if (scene->by_hand) {
        err_set(err, ERR_PERMANENT, "snapshot %s/%s: the domain is transient: it would be gone when it is stopped",
                scene->domain, scene->snapshot->name);
        return err_hint(err, "make it persistent first: virsh define");
    }
    if (has_memory || scene->params->after != AFTER_AS_SAVED)
        return 0;
    err_set(err, ERR_PERMANENT,
            "snapshot %s/%s: the domain is transient and the snapshot of a guest that was off: it would be gone",
            scene->domain, scene->snapshot->name);
    return err_hint(err, "say what it is to be afterwards: --running or --paused");
}

static int check_checkpoints(const struct revert_scene *scene, struct err *err)
{
    for (size_t i = 0; i < scene->checkpoints->count; i++) {
        const struct inventory_checkpoint *each = list_at(scene->checkpoints, struct inventory_checkpoint, i);

        if (each->owner || strings_have(&scene->params->drop_checkpoint, each->name))
            continue;
        err_set(err, ERR_PERMANENT, "snapshot %s/%s: revert refused: checkpoint %s, made by others, would end with it",
                scene->domain, scene->snapshot->name, each->name);
        return err_hint(err, "name it to accept that: --drop-checkpoint %s", each->name);
    }
    return 0;
}

int revert_check(const struct revert_scene *scene, struct err *err)
{
    if (check_transient(scene, err) < 0 || check_force(scene, err) < 0)
        return -1;
    return check_checkpoints(scene, err);
}

/* ---- what is lost ---- */

static int lose_time(const struct revert_scene *scene, struct plan *plan, struct err *err)
{
    char age[32];

    format_duration(scene->now_ms - scene->snapshot->created_at_ms, age, sizeof age);
    return plan_lose(plan, err, "%s of disk changes", age);
}

static int lose_state(const struct revert_scene *scene, struct plan *plan, struct err *err)
{
    if (scene->active && plan_lose(plan, err, "the memory of the running guest") < 0)
        return -1;
    if (scene->active && revert_ends(scene->params, scene->snapshot) == END_OFF &&
        plan_lose(plan, err, "the running state: the guest is off afterwards") < 0)
        return -1;
    return scene->has_saved ? plan_lose(plan, err, "the saved memory of the guest (managed save)") : 0;
}

static int lose_changes(const struct revert_scene *scene, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *joined = strings_join(scene->differences, ", ");
    size_t count = scene->differences->count;

    if (!joined)
        return err_memory(err, "plan");
    return count == 0 ? 0
                      : plan_lose(plan, err, "%zu configuration change%s (%s)", count, count == 1 ? "" : "s", joined);
}

/* Snapshots between here and there stop being on the way to the present. */
static int lose_branches(const struct revert_scene *scene, struct plan *plan, struct err *err)
{
    CLEANUP(strings_endp) struct strings names = {0};
    CLEANUP(freep) char *joined = NULL;
    const struct snapshot_info *at = snapshots_current(scene->snapshots);

    for (size_t i = 0;
         at && i < scene->snapshots->count && snapshots_below(scene->snapshots, at->name, scene->snapshot->name); i++) {
        if (strings_add(&names, at->name, err) < 0)
            return -1;
        at = snapshots_find(scene->snapshots, at->parent);
    }
    joined = strings_join(&names, ", ");
    if (names.count == 0 || !joined)
        return joined ? 0 : err_memory(err, "plan");
    return plan_lose(plan, err, "%zu snapshot%s a side branch (%s)", names.count,
                     names.count == 1 ? " becomes" : "s become", joined);
}

static int lose_checkpoints(const struct revert_scene *scene, struct plan *plan, struct err *err)
{
    size_t count = scene->checkpoints->count;

    return count == 0 ? 0
                      : plan_lose(plan, err, "%zu checkpoint%s: the next backup is full", count,
                                  count == 1 ? " ends" : "s end");
}

int revert_lost(const struct revert_scene *scene, struct plan *plan, struct err *err)
{
    if (lose_time(scene, plan, err) < 0 || lose_state(scene, plan, err) < 0 || lose_changes(scene, plan, err) < 0)
        return -1;
    return lose_branches(scene, plan, err) < 0 ? -1 : lose_checkpoints(scene, plan, err);
}
