/* check: looks at all that one target has in the repository, or (without a target) at what lies beside the targets. */
#include "worker/backends/repository/check.h"

#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

struct look {
    struct check check;
    const struct step_run *run;
    int64_t done, total;
};

static void look_endp(struct look *look)
{
    check_clear(&look->check);
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const char *target = facts_get(&step->args, "target");

    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "ls -lR '%s%s%s'   # against %s", repository_arg(step, "path"), target ? "/" : "",
              target ? target : "", target ? "each manifest.json" : "the marker");
    if (facts_get(&step->args, "checksum"))
        text_addf(command, "\nsha256sum '%s/%s'/*/*/*", repository_arg(step, "path"), target ? target : "");
    return 0;
}

static bool progress(void *context, int64_t bytes)
{
    struct look *look = context;

    look->done += bytes;
    attempt_progress(look->run->attempt, look->done, look->total);
    return !attempt_cancelled(look->run->attempt);
}

static int add(const struct step_run *run, struct facts *learned, const char *key, int64_t value, struct err *err)
{
    return facts_set_int(learned, key, facts_get_int(run->known, key, 0) + value, err);
}

static int learn(const struct step_run *run, const struct check *check, struct facts *learned, struct err *err)
{
    const struct {
        const char *key;
        int64_t value;
    } sums[] = {{"points", check->points},
                {"files", check->files},
                {"size_bytes", check->bytes},
                {"hashed_bytes", check->hashed_bytes},
                {"unhashed", check->unhashed_files},
                {"damaged", check->damaged},
                {"busy", check->busy}};

    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        if (add(run, learned, sums[i].key, sums[i].value, err) < 0)
            return -1;
    return findings_learn(&check->findings, run->known, learned, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(look_endp) struct look look = {.run = run};
    const char *target = facts_get(&step->args, "target");

    if (repository_open(repository_arg(step, "path"), run->job->target.id, &repository, err) < 0)
        return -1;
    look.done = facts_get_int(&step->args, "before", 0);
    look.total = facts_get_int(&step->args, "total", 0);
    look.check = (struct check){.repository = &repository,
                                .checksum = facts_get(&step->args, "checksum") != NULL,
                                .progress = progress,
                                .context = &look};
    if (target ? check_target(&look.check, target, err) < 0 : check_root(&look.check, err) < 0)
        return -1;
    return learn(run, &look.check, learned, err);
}

const struct step_type step_repository_check = {
    .name = "check",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
