/*
 * convert: copies one disk of a guest that is off, with qemu-img, which locks the disk: a guest cannot be started on it meanwhile, and a guest that was
 * started before makes the step fail rather than copy a moving disk.
 */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/qemu_img.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const struct params_backup_create *params = run->job->params;

    (void)lost;
    (void)err;
    text_addf(command, "qemu-img convert -p%s", facts_get(&step->args, "compress") ? " -c" : "");
    if (params->rate_limit)
        text_addf(command, " -r %lld", (long long)params->rate_limit);
    text_addf(command, " -f %s -O qcow2 '%s' '%s'", step_arg(step, "format"), step_arg(step, "source"),
              step_arg(step, "file"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(chain_lease_endp) struct chain_lease lease = {0};
    virDomainBlockInfo info = {0};
    struct image_copy copy = {
        .source = step_arg(step, "source"),
        .source_format = step_arg(step, "format"),
        .target = step_arg(step, "file"),
        .target_format = "qcow2",
        .compress = facts_get(&step->args, "compress") != NULL,
        .rate_limit = attempt_rate_limit(run->attempt),
    };

    (void)learned;
    if (step_domain(run, &domain, err) < 0 || chain_lease_take(&lease, run, step_arg(step, "chain_folder"), err) < 0)
        return -1;
    if (virDomainIsActive(domain) != 0)
        return err_set(err, ERR_RETRY, "%s was started meanwhile", step_subject(run));
    virDomainGetBlockInfo(domain, step_arg(step, "disk"), &info, 0);
    copy.size_bytes = copy.total = (int64_t)info.capacity;
    if (image_copy(run, &lease, &copy, err) < 0)
        return err_wrap(err, "disk %s", step_arg(step, "disk"));
    return 0;
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    return image_copy_undo(step_arg(step, "file"), err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    (void)learned;
    if (image_copy_settle(step_arg(step, "file"), out, err) < 0)
        return -1;
    chain_lease_settle(run, step, *out);
    return 0;
}

const struct step_type step_backup_convert = {
    .name = "convert",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
