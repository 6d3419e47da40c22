/*
 * exchange: a kept disk takes the name of the one in use, which gets another name in its turn. At no moment is there no disk under the name that the definition has. Files are told
 * apart by what they are, not by their names, so each half of it, and each half of the way back, can be repeated.
 * args: disk, place, from (where the kept one is), to (where the other one goes), wanted, present (undo_file() of the two), boot
 */
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/undo_record.h"

#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)err;
    text_addf(command, "ln '%s' '%s'\nmv '%s' '%s'", step_get(step, "place"), step_get(step, "to"),
              step_get(step, "from"), step_get(step, "place"));
    text_addf(lost, "what was written to disk %s since (kept as %s)", step_get(step, "disk"), step_get(step, "to"));
    return 0;
}

struct swap {
    const char *place, *from, *to;
    const char *wanted, *present;
    bool same_boot;
};

static int swap_of(const struct step *step, bool back, struct swap *out, struct err *err)
{
    char boot[40];

    if (host_boot(boot, err) < 0)
        return -1;
    *out = (struct swap){
        .place = step_get(step, "place"),
        .from = step_get(step, back ? "to" : "from"),
        .to = step_get(step, back ? "from" : "to"),
        .wanted = step_get(step, back ? "present" : "wanted"),
        .present = step_get(step, back ? "wanted" : "present"),
        .same_boot = strcmp(boot, step_get(step, "boot")) == 0,
    };
    return 0;
}

static bool is(const struct swap *swap, const char *path, const char *which)
{
    return undo_file_is(path, which, swap->same_boot);
}

static bool done(const struct swap *swap)
{
    return is(swap, swap->place, swap->wanted);
}

static int sync_folder(const char *path, struct err *err)
{
    char folder[PATH_MAX];

    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    return file_sync_directory(folder, err);
}

static int exchange(const struct swap *swap, struct err *err)
{
    if (done(swap)) { /* what is left to do is at most to take away its second name */
        if (is(swap, swap->from, swap->wanted) && file_remove(swap->from, err) < 0)
            return -1;
        return sync_folder(swap->place, err);
    }
    if (!is(swap, swap->place, swap->present) || !is(swap, swap->from, swap->wanted))
        return err_set(err, ERR_CONFLICT, "%s or %s is not the file that it was", swap->place, swap->from);
    if (!is(swap, swap->to, swap->present) && link(swap->place, swap->to) < 0)
        return err_errno(err, errno, swap->to);
    if (rename(swap->from, swap->place) < 0)
        return err_errno(err, errno, swap->place);
    return sync_folder(swap->place, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    struct swap swap;

    (void)learned;
    if (step_open(run, &domain, err) < 0 || swap_of(step, false, &swap, err) < 0)
        return -1;
    if (!done(&swap) && virDomainIsActive(domain) != 0)
        return err_set(err, ERR_CONFLICT, "%s was started meanwhile", virDomainGetName(domain));
    return exchange(&swap, err);
}

/* A guest that has been started on it since is stopped; what is owed starts it again. */
static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    struct swap swap;

    (void)learned;
    if (step_open(run, &domain, err) < 0 || swap_of(step, true, &swap, err) < 0)
        return -1;
    if (!done(&swap) && virDomainIsActive(domain) == 1 && virDomainDestroy(domain) < 0 && virDomainIsActive(domain) == 1)
        return libvirt_call_err(libvirt_of(run->backend), err, "stop %s", virDomainGetName(domain));
    return exchange(&swap, err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    struct swap swap;

    (void)run;
    (void)learned;
    if (swap_of(step, false, &swap, err) < 0)
        return -1;
    *out = done(&swap) ? SETTLED_DONE : SETTLED_NOT_DONE;
    return 0;
}

const struct step_type step_exchange = {
    .name = "exchange",
    .class = STEP_DESTROYS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
