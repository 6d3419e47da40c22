/*
 * boot-room: what the copy needs is there before anything is made: room for its disks in the pool, and memory that no other guest is using. A copy that drives the host out
 * of memory would cost a machine that people need.
 * args: repository, chain_folder, source, point, room, memory (KiB)
 */
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/verify.h"

#include <stdio.h>
#include <string.h>

enum { SPARE_KIB = 128 * 1024 };

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "df '%s'\ngrep MemAvailable /proc/meminfo   # %s KiB are needed", step_arg(step, "room"),
              step_arg(step, "memory"));
    return 0;
}

static int64_t available_kib(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    long long kib = -1;
    char line[128];

    while (file && kib < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %lld", &kib) != 1)
            kib = -1;
    if (file)
        fclose(file);
    return kib;
}

static int check_memory(const struct step *step, struct err *err)
{
    int64_t need = facts_get_int(&step->args, "memory", 0) + SPARE_KIB, there = available_kib();
    char need_text[32], there_text[32];

    if (there < 0 || there >= need)
        return 0;
    return err_set(err, ERR_RETRY, "no memory for a copy: it needs %s, the host has %s",
                   format_size(need * 1024, need_text, sizeof need_text),
                   format_size(there * 1024, there_text, sizeof there_text));
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(verify_end) struct verify verify = {0};
    int64_t free_bytes, total;
    char need[32], there[32];

    (void)learned;
    if (facts_get(run->known, "restoring")) /* after a restart part of the room is taken by the copy itself */
        return 0;
    if (verify_open(&verify, run, step, err) < 0 ||
        file_free_space(step_arg(step, "room"), &free_bytes, &total, err) < 0)
        return -1;
    if (free_bytes < verify.files.bytes)
        return err_set(err, ERR_RETRY, "%s: no room for a copy: it needs %s, there are %s", step_arg(step, "room"),
                       format_size(verify.files.bytes, need, sizeof need), format_size(free_bytes, there, sizeof there));
    return check_memory(step, err);
}

const struct step_type step_boot_room = {
    .name = "boot-room",
    .class = STEP_READS,
    .render = render,
    .execute = execute,
};
