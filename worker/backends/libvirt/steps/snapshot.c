/*
 * snapshot: virDomainSnapshotCreateXML with the XML and flags of the plan. The mark with job and level goes into the description here, because the level is known only now (a
 * freeze may have failed). A repeat finds its own snapshot by that mark, or, where there is no metadata, its own overlay in the chain.
 * args: name, xml, flags, level, kind (internal, external), top:<disk>, base:<disk>, format:<disk>, memory (file), reuse (files that were there), made (files of the plan's own steps), halt
 */
#include "worker/backends/libvirt/commit.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"

#include "base/clock.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *arg(const struct step *step, const char *key)
{
    return facts_get_or(&step->args, key, "");
}

static bool no_metadata(const struct step *step)
{
    return facts_get_int(&step->args, "flags", 0) & VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA;
}

/* Walks the disks of the plan: *at starts at 0; the overlay, and its disk's name in *disk. NULL: no more. */
static const char *next_top(const struct step *step, size_t *at, const char **disk)
{
    for (; *at < step->args.count; (*at)++) {
        const struct fact *fact = &step->args.items[*at];

        if (strncmp(fact->key, "top:", 4) != 0)
            continue;
        *disk = fact->key + 4;
        (*at)++;
        return fact->value;
    }
    return NULL;
}

static const char *of_disk(const struct step *step, const char *what, const char *disk)
{
    char key[160];

    snprintf(key, sizeof key, "%s:%s", what, disk);
    return arg(step, key);
}

static const char *const flag_words[] = {
    [2] = "--no-metadata", [3] = "--halt",   [4] = "--disk-only", [5] = "--reuse-external",
    [6] = "--quiesce",     [7] = "--atomic", [8] = "--live",      [9] = "--validate"};

static int render_snapshot(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                           struct err *err)
{
    int64_t flags = facts_get_int(&step->args, "flags", 0);

    (void)err;
    text_addf(command, "virsh snapshot-create '%s' /dev/stdin",
              run->job->target.name ? run->job->target.name : run->job->target.id);
    for (size_t bit = 0; bit < sizeof flag_words / sizeof flag_words[0]; bit++)
        if (flag_words[bit] && flags & (1 << bit))
            text_addf(command, " %s", flag_words[bit]);
    text_addf(command, "\n%s", arg(step, "xml"));
    if (flags & VIR_DOMAIN_SNAPSHOT_CREATE_HALT)
        text_add(lost, "the running state: the guest is off afterwards");
    if (*arg(step, "reuse"))
        text_add(lost, "what is in the files that are reused");
    return 0;
}

/* ---- execute ---- */

enum found { FOUND_NOTHING, FOUND_OURS, FOUND_ANOTHER };

static int find_ours(const struct step_run *run, const struct step *step, virDomainPtr domain, enum found *out,
                     char level[MARK_LEVEL], struct err *err)
{
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *description = NULL;
    char job[UUID_TEXT];

    if (snapshot_lookup(domain, arg(step, "name"), &snapshot, err) < 0)
        return -1;
    *out = FOUND_NOTHING;
    if (!snapshot)
        return 0;
    if (snapshot_xml(domain, arg(step, "name"), 0, &doc, err) < 0)
        return -1;
    description = xml_get(doc, "description");
    *out = mark_read(description, job, level) && strcmp(job, run->job->job_id) == 0 ? FOUND_OURS : FOUND_ANOTHER;
    return 0;
}

/* Is one of the plan's overlays in use by the domain? */
static int find_overlay(const struct step *step, virDomainPtr domain, bool *out, struct err *err)
{
    const char *disk, *top;

    *out = false;
    for (size_t at = 0; !*out && (top = next_top(step, &at, &disk));) {
        CLEANUP(strings_endp) struct strings chain = {0};

        if (!file_exists(top))
            continue;
        if (disk_chain(domain, disk, &chain, err) < 0)
            return -1;
        for (size_t i = 0; i < chain.count; i++)
            *out = *out || image_same(chain.items[i], top);
    }
    return 0;
}

static int learn(const struct step *step, const char *level, struct facts *learned, struct err *err)
{
    const char *disk, *top;

    if (facts_set(learned, "name", arg(step, "name"), err) < 0 || facts_set(learned, "level", level, err) < 0 ||
        facts_set(learned, "kind", arg(step, "kind"), err) < 0)
        return -1;
    for (size_t at = 0; (top = next_top(step, &at, &disk));) {
        char key[160];

        snprintf(key, sizeof key, "file.%s", disk);
        if (facts_set(learned, key, top, err) < 0)
            return -1;
    }
    return *arg(step, "memory") ? facts_set(learned, "memory_file", arg(step, "memory"), err) : 0;
}

/* A killed attempt may have left files that no chain holds; libvirt would refuse to write over them. The plan saw that the names were free. */
static int remove_leftovers(const struct step *step, struct err *err)
{
    const char *disk, *top;

    if (*arg(step, "reuse"))
        return 0;
    for (size_t at = 0; (top = next_top(step, &at, &disk));) {
        if (!file_exists(top))
            continue;
        if (image_open(top))
            return err_set(err, ERR_UNKNOWN, "%s: in use, but in no chain that libvirt knows", top);
        if (!*arg(step, "made") && file_remove(top, err) < 0)
            return -1;
    }
    return *arg(step, "memory") ? file_remove(arg(step, "memory"), err) : 0;
}

/*
 * libvirt holds the guest while it saves its memory, and an embedded daemon or a libvirtd that dies meanwhile never lets it go. A pause for any other reason is somebody's wish.
 */
static int let_go(virDomainPtr domain, struct err *err)
{
    int state, reason;

    if (libvirt_domain_state(domain, &state, &reason, err) < 0)
        return -1;
    if (state != VIR_DOMAIN_PAUSED || (reason != VIR_DOMAIN_PAUSED_SAVE && reason != VIR_DOMAIN_PAUSED_SNAPSHOT &&
                                       reason != VIR_DOMAIN_PAUSED_MIGRATION))
        return 0;
    return virDomainResume(domain) < 0
               ? libvirt_err(err, "%s: resume after an interrupted snapshot", virDomainGetName(domain))
               : 0;
}

static int marked_xml(const struct step_run *run, const struct step *step, const char *level, char **out,
                      struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *description = NULL;
    CLEANUP(freep) char *marked = NULL;

    if (xml_parse(arg(step, "xml"), "snapshot", &doc, err) < 0)
        return -1;
    description = xml_get(doc, "description");
    marked = mark_add(description, run->job->job_id, level);
    if (!marked)
        return err_memory(err, "snapshot");
    xml_remove_all(xmlDocGetRootElement(doc), "description");
    xml_child(xmlDocGetRootElement(doc), "description", marked);
    return xml_format(doc, out, err);
}

/* Offline overlays of libvirt before 11.10 are readable by everybody (CVE-2025-13193). */
static void close_files(const struct step *step)
{
    const char *disk, *top;

    for (size_t at = 0; (top = next_top(step, &at, &disk));)
        chmod(top, 0600);
}

/* A guest that is frozen does not wait for libvirt's place. */
static int create(const struct step_run *run, const struct step *step, virDomainPtr domain, const char *level,
                  struct facts *learned, struct err *err)
{
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    CLEANUP(freep) char *xml = NULL;
    bool off = strcmp(level, "off") == 0;
    int64_t flags = facts_get_int(&step->args, "flags", 0);
    int64_t began;

    if (off && run->job->group_limit_ms && virDomainIsActive(domain) == 1)
        return err_set(err, ERR_CONFLICT, "%s: was started while its consistency group waited",
                       virDomainGetName(domain));
    if (remove_leftovers(step, err) < 0 || marked_xml(run, step, level, &xml, err) < 0 ||
        (strcmp(level, "filesystem") == 0 && libvirt_slot_free(domain, err) < 0))
        return -1;
    began = clock_monotonic_ms();
    snapshot = virDomainSnapshotCreateXML(domain, xml, (unsigned)flags);
    if (!snapshot)
        return libvirt_call_err(libvirt_of(run->backend), err, "snapshot %s/%s", virDomainGetName(domain),
                                arg(step, "name"));
    if (off)
        close_files(step);
    if (strcmp(level, "memory") == 0 && !(flags & (VIR_DOMAIN_SNAPSHOT_CREATE_LIVE | VIR_DOMAIN_SNAPSHOT_CREATE_HALT)) &&
        facts_set_int(learned, "paused_ms", clock_monotonic_ms() - began, err) < 0)
        return -1;
    return learn(step, level, learned, err);
}

static int execute_snapshot(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    bool frozen = facts_get_int(run->known, "frozen", 0) > 0 && strcmp(arg(step, "level"), "crash") == 0;
    char level[MARK_LEVEL];
    enum found found;
    bool in_chain = false;

    if (libvirt_domain(libvirt_of(run->backend), run->job->target.id, &domain, err) < 0 || let_go(domain, err) < 0 ||
        find_ours(run, step, domain, &found, level, err) < 0)
        return -1;
    if (found == FOUND_OURS)
        return learn(step, level, learned, err);
    if (found == FOUND_ANOTHER)
        return err_set(err, ERR_PERMANENT, "snapshot %s/%s: exists already", virDomainGetName(domain),
                       arg(step, "name"));
    if (no_metadata(step) && find_overlay(step, domain, &in_chain, err) < 0)
        return -1;
    if (in_chain)
        return learn(step, arg(step, "level"), learned, err);
    return create(run, step, domain, frozen ? "filesystem" : arg(step, "level"), learned, err);
}

/* ---- undo ---- */

static int merge_back(const struct step_run *run, const struct step *step, virDomainPtr domain, struct err *err)
{
    const char *disk, *top;

    for (size_t at = 0; (top = next_top(step, &at, &disk));) {
        struct commit commit = {disk, of_disk(step, "base", disk), top, of_disk(step, "format", disk)};

        if (file_exists(top) && commit_layer(run, domain, &commit, err) < 0)
            return -1;
    }
    return 0;
}

static int remove_files(const struct step *step, struct err *err)
{
    const char *disk, *top;

    for (size_t at = 0; (top = next_top(step, &at, &disk));)
        if (!*arg(step, "reuse") && !*arg(step, "made") && file_remove(top, err) < 0)
            return -1;
    return *arg(step, "memory") ? file_remove(arg(step, "memory"), err) : 0;
}

static int remove_snapshot(const struct step_run *run, const struct step *step, virDomainPtr domain, struct err *err)
{
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    bool internal = strcmp(arg(step, "kind"), "internal") == 0;

    if (snapshot_lookup(domain, arg(step, "name"), &snapshot, err) < 0)
        return -1;
    if (snapshot && virDomainSnapshotDelete(snapshot, internal ? 0 : VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) < 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "delete %s", arg(step, "name"));
    return 0;
}

static int undo_snapshot(const struct step_run *run, const struct step *step, const struct facts *learned,
                         struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    char level[MARK_LEVEL];
    enum found found;

    (void)learned;
    if (libvirt_domain(libvirt_of(run->backend), run->job->target.id, &domain, err) < 0 || let_go(domain, err) < 0 ||
        find_ours(run, step, domain, &found, level, err) < 0)
        return -1;
    if (merge_back(run, step, domain, err) < 0 ||
        (found == FOUND_OURS && remove_snapshot(run, step, domain, err) < 0) || remove_files(step, err) < 0)
        return -1;
    if (*arg(step, "halt") && virDomainIsActive(domain) == 0 && virDomainCreate(domain) < 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "start again");
    return 0;
}

static int settle_snapshot(const struct step_run *run, const struct step *step, struct facts *learned,
                           enum settled *out, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    char level[MARK_LEVEL];
    enum found found;
    bool in_chain;

    if (libvirt_domain(libvirt_of(run->backend), run->job->target.id, &domain, err) < 0 ||
        find_ours(run, step, domain, &found, level, err) < 0 || find_overlay(step, domain, &in_chain, err) < 0)
        return -1;
    if (found == FOUND_OURS)
        *out = SETTLED_DONE;
    else if (libvirt_busy(domain))
        *out = SETTLED_BUSY;
    else if (in_chain)
        *out = no_metadata(step) ? SETTLED_DONE : SETTLED_UNKNOWN;
    else
        *out = SETTLED_NOT_DONE;
    return *out == SETTLED_DONE ? learn(step, found == FOUND_OURS ? level : arg(step, "level"), learned, err) : 0;
}

const struct step_type step_snapshot = {
    .name = "snapshot",
    .class = STEP_ADDS,
    .blocks = true,
    .render = render_snapshot,
    .execute = execute_snapshot,
    .undo = undo_snapshot,
    .settle = settle_snapshot,
};
