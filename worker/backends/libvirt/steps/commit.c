/*
 * commit: what the layer on top of a snapshot's state has goes into it, by hand, where libvirt's own deletion refuses. The chain of the guest is one file shorter afterwards; the
 * file itself is removed by unlink.
 * args: name, disk, base:<disk>, top:<disk>, format (of base)
 */
#include "worker/backends/libvirt/commit.h"
#include "worker/backends/libvirt/delete_rules.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"

#include <stdio.h>
#include <string.h>

static const char *of_disk(const struct step *step, const char *what)
{
    char key[160];

    snprintf(key, sizeof key, "%s:%s", what, step_get(step, "disk"));
    return step_get(step, key);
}

static struct commit read_args(const struct step *step)
{
    return (struct commit){step_get(step, "disk"), of_disk(step, "base"), of_disk(step, "top"),
                           step_get(step, "format")};
}

static int render_commit(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                         struct err *err)
{
    struct commit commit = read_args(step);

    (void)err;
    text_addf(command, "virsh blockcommit '%s' %s --base '%s' --top '%s' --pivot", step_target(run), commit.disk,
              commit.base, commit.top);
    text_addf(lost, "the state of disk %s in snapshot %s", commit.disk, step_get(step, "name"));
    return 0;
}

static int execute_commit(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    struct commit commit = read_args(step);

    (void)learned;
    if (step_open(run, &domain, err) < 0)
        return -1;
    if (!commit_running(domain, commit.disk) && delete_check_users(run, step, err) < 0)
        return -1;
    return commit_layer(run, domain, &commit, err);
}

static bool in_chain(const struct strings *chain, const char *file)
{
    for (size_t i = 0; i < chain->count; i++)
        if (image_same(chain->items[i], file))
            return true;
    return false;
}

static int settle_commit(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                         struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(strings_endp) struct strings chain = {0};
    struct commit commit = read_args(step);
    bool defined;

    (void)learned;
    if (step_open(run, &domain, err) < 0 || disk_chain(domain, commit.disk, &chain, err) < 0 ||
        commit_defined(domain, &commit, &defined, err) < 0)
        return -1;
    if (image_busy(commit.top))
        *out = SETTLED_BUSY;
    else if (commit_running(domain, commit.disk))
        *out = SETTLED_RUNNING;
    else
        *out = defined || in_chain(&chain, commit.top) ? SETTLED_NOT_DONE : SETTLED_DONE;
    return 0;
}

const struct step_type step_commit = {
    .name = "commit",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render_commit,
    .execute = execute_commit,
    .settle = settle_commit,
};
