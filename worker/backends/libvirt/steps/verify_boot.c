/*
 * verify-boot: starts the copy of the restore point, whose disks the steps before have made, and waits until its guest agent answers, or a text appears on one of its
 * consoles. From its INTENT on the copy is owed to be removed (boot-remove): on every way out, also that of a dead worker. (An embedded libvirt cannot do that by itself:
 * "autodestroy not supported".)
 *
 * That it does not come so far is what the verification has found, and is recorded. That it cannot be started on this host at all says nothing of the backup.
 * args: repository, chain_folder, source, point, folder
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "worker/backends/libvirt/agent.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/boot_copy.h"
#include "worker/backends/libvirt/verify.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 250, CONSOLE_TAIL = 256 * 1024, EVIDENCE = 160 };

struct boot {
    const struct params_backup_verify *params;
    struct verify verify;
    virDomainPtr domain;
    char last_line[EVIDENCE]; /* of what was seen on a console */
};

static void boot_end(struct boot *boot)
{
    domain_freep(&boot->domain);
    verify_end(&boot->verify);
}

static int definition(const struct step_run *run, const struct step *step, char **out, struct err *err)
{
    CLEANUP(restore_end) struct restore restore = {0};
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    struct params_backup_restore as;

    if (boot_copy_open(run->backend, run->job, step_arg(step, "source"), &as, &restore, err) < 0 ||
        restore_definition(&restore, step_arg(step, "folder"), &doc, err) < 0 ||
        boot_copy_isolate(doc, run->job->job_id, step_arg(step, "folder"), err) < 0)
        return -1;
    return xml_format(doc, out, err);
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const struct params_backup_verify *params = run->job->params;
    CLEANUP(freep) char *xml = NULL;
    char name[BOOT_NAME];

    (void)lost;
    if (definition(run, step, &xml, err) < 0)
        return -1;
    boot_copy_name(run->job->job_id, name);
    text_addf(command, "virsh create %s.xml   # until %s%s%s\n%s", name,
              params->console ? "\"" : "the guest agent answers", params->console ? params->console : "",
              params->console ? "\" is on a console" : "", xml);
    return 0;
}

/* ---- the copy ---- */

static int find_copy(const struct step_run *run, virDomainPtr *out, struct err *err)
{
    struct libvirt_backend *backend = libvirt_of(run->backend);

    if (libvirt_connect(backend, err) < 0)
        return -1;
    *out = virDomainLookupByUUIDString(backend->connection, run->job->job_id);
    return *out || libvirt_code() == VIR_ERR_NO_DOMAIN ? 0 : libvirt_err(err, "the copy");
}

static int copy_nvram(const struct boot *boot, struct err *err)
{
    const struct list *chain = &boot->verify.chain;
    const struct restore_point *point = list_at(chain, struct restore_point, chain->count - 1);
    char from[PATH_MAX], to[PATH_MAX];

    if (!point->nvram)
        return 0;
    if (!name_valid_plain(point->nvram) ||
        snprintf(from, sizeof from, "%s/%s", boot->verify.folder, point->nvram) >= (int)sizeof from ||
        snprintf(to, sizeof to, "%s/nvram.fd", step_arg(boot->verify.step, "folder")) >= (int)sizeof to)
        return err_set(err, ERR_PERMANENT, "manifest of %s: \"%s\" is no name of a file", point->id, point->nvram);
    return file_copy(from, to, 0600, NULL, err);
}

static int start(struct boot *boot, const struct step_run *run, const struct step *step, struct err *err)
{
    CLEANUP(freep) char *xml = NULL;

    if (find_copy(run, &boot->domain, err) < 0)
        return -1;
    if (boot->domain) /* of an attempt before, still there */
        return 0;
    if (definition(run, step, &xml, err) < 0 || copy_nvram(boot, err) < 0)
        return -1;
    boot->domain = virDomainCreateXML(libvirt_of(run->backend)->connection, xml, 0);
    return boot->domain ? 0 : libvirt_call_err(libvirt_of(run->backend), err, "start a copy of %s", step_subject(run));
}

/* ---- what can be seen of it ---- */

/* The end of a console's file; NULL: nothing, or it cannot be read now. Caller frees. */
static char *read_tail(const char *path, size_t *out_len)
{
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    char *text;
    ssize_t len;

    if (fd < 0 || fstat(fd, &status) < 0 || !(text = malloc(CONSOLE_TAIL + 1)))
        return NULL;
    len = pread(fd, text, CONSOLE_TAIL, status.st_size > CONSOLE_TAIL ? status.st_size - CONSOLE_TAIL : 0);
    *out_len = len > 0 ? (size_t)len : 0;
    text[*out_len] = '\0';
    return text;
}

/* The last line with something in it, without what is not to be shown. */
static void note_last_line(struct boot *boot, const char *text, size_t len)
{
    size_t end = len, at = 0;

    while (end > 0 && (unsigned char)text[end - 1] <= ' ')
        end--;
    for (size_t i = end; i > 0 && text[i - 1] != '\n' && end - i < EVIDENCE - 1; i--)
        at = i;
    if (end == 0)
        return;
    snprintf(boot->last_line, sizeof boot->last_line, "%.*s", (int)(end - at + 1), text + at - 1);
    for (char *c = boot->last_line; *c; c++)
        *c = *c >= ' ' && *c <= '~' ? *c : ' ';
}

static bool console_says(struct boot *boot, const char *wanted)
{
    const char *folder = step_arg(boot->verify.step, "folder");
    DIR *dir = opendir(folder);
    struct dirent *entry;
    bool found = false;

    while (dir && !found && (entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');
        CLEANUP(freep) char *text = NULL;
        char path[PATH_MAX];
        size_t len = 0;

        if (!dot || strcmp(dot, ".log") != 0 ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path ||
            !(text = read_tail(path, &len)))
            continue;
        note_last_line(boot, text, len);
        found = wanted && memmem(text, len, wanted, strlen(wanted));
    }
    if (dir)
        closedir(dir);
    return found;
}

static bool is_up(struct boot *boot)
{
    const char *wanted = boot->params->console;
    bool said = console_says(boot, wanted);

    return wanted ? said : libvirt_agent_now(libvirt_of(boot->verify.run->backend), boot->domain) == AGENT_ANSWERS;
}

static int not_booted(struct boot *boot, const char *why, struct err *err)
{
    const char *line = boot->last_line;

    err_set(err, ERR_PERMANENT, "a copy of %s does not boot: %s%s%s%s", step_subject(boot->verify.run), why,
            *line ? "; the last on its console: \"" : "; its console says nothing", line, *line ? "\"" : "");
    return verify_failed(&boot->verify, err);
}

static int wait_until_up(struct boot *boot, struct err *err)
{
    int64_t until = clock_monotonic_ms() + boot->params->timeout_ms;
    char why[400], time[32];

    while (!is_up(boot)) {
        chain_lease_tick(&boot->verify.lease);
        if (step_cancelled(boot->verify.run))
            return err_set(err, ERR_CANCELLED, "asked to stop");
        int active = virDomainIsActive(boot->domain);
        if (active < 0 && libvirt_code() != VIR_ERR_NO_DOMAIN)
            return libvirt_call_err(libvirt_of(boot->verify.run->backend), err, "the copy");
        if (active != 1)
            return not_booted(boot, "it stopped by itself", err);
        if (clock_monotonic_ms() >= until) {
            format_duration(boot->params->timeout_ms, time, sizeof time);
            snprintf(why, sizeof why, "%s%.255s%s within %s", boot->params->console ? "\"" : "",
                     boot->params->console ? boot->params->console : "its guest agent does not answer",
                     boot->params->console ? "\" is on no console" : "", time);
            return not_booted(boot, why, err);
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(boot_end) struct boot boot = {.params = run->job->params};
    int64_t began = clock_monotonic_ms();

    if (verify_open(&boot.verify, run, step, err) < 0 || start(&boot, run, step, err) < 0 ||
        wait_until_up(&boot, err) < 0)
        return -1;
    return facts_set(learned, "booted", boot.params->console ? "console" : "agent", err) < 0
               ? -1
               : facts_set_int(learned, "boot_ms", clock_monotonic_ms() - began, err);
}

/* Recovery has removed the copy before it asks. */
static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    (void)learned;
    (void)err;
    *out = SETTLED_NOT_DONE;
    chain_lease_settle(run, step, *out);
    return 0;
}

/* ---- boot-remove ---- */

static int render_remove(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                         struct err *err)
{
    char name[BOOT_NAME];

    (void)lost;
    (void)err;
    text_addf(command, "virsh destroy %s\nrm -r '%s'", boot_copy_name(run->job->job_id, name), step_arg(step, "folder"));
    return 0;
}

static int execute_remove(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)learned;
    if (find_copy(run, &domain, err) < 0)
        return -1;
    if (domain && virDomainDestroy(domain) < 0 && virDomainIsActive(domain) == 1)
        return libvirt_err(err, "stop the copy");
    return file_remove_folder(step_arg(step, "folder"), err);
}

const struct step_type step_boot_remove = {
    .name = "boot-remove",
    .class = STEP_ADDS,
    .pay_first = true,
    .render = render_remove,
    .execute = execute_remove,
};

const struct step_type step_verify_boot = {
    .name = "verify-boot",
    .class = STEP_ADDS,
    .owes = &step_boot_remove,
    .render = render,
    .execute = execute,
    .settle = settle,
};
