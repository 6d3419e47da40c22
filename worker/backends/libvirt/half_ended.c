/*
 * libvirt tells QEMU to forget a commit that has ended, and then notes what came of it. Dead between the two, it finds when it starts again a commit that QEMU does not know, and drops
 * it from its note without asking what became of the disk: the disk keeps its mirror, refuses every other job ("already in active block job"), and is the upper image in the note and
 * the definition, while the guest writes the lower one (seen on libvirt 9.0). QEMU knows: it has no such job, and the disk stands on this node or on that.
 *
 * | job in QEMU | the disk stands on | the note |
 * |---|---|---|
 * | yes | – | stays: libvirt follows what it finds |
 * | no, active | the base | gets the base as its disk |
 * | no, active | the top | loses the mirror: the commit was given up |
 * | no, below the top | the chain without the merged layers | loses these layers |
 * | no | anything else | stays: UNCLEAR |
 *
 * libvirt also leaves out a note altogether, and takes the guest for off, in which the commit is "completed" and the disk is not yet the base: QEMU was told to forget the commit before
 * that word was written, so this one needs no answer.
 */
#include "worker/backends/libvirt/half_ended.h"

#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/note_disk.h"
#include "worker/backends/libvirt/snapshots.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* A commit that the note says goes on. */
struct doubt {
    xmlNodePtr disk, job; /* job NULL: dropped from the note already, and the mirror is left */
    char *name;           /* of the job, in QEMU */
    char *top, *base;     /* nodes */
    bool active, completed;
};

static void doubt_clear(struct doubt *doubt)
{
    free(doubt->name);
    free(doubt->top);
    free(doubt->base);
    *doubt = (struct doubt){0};
}

/* ---- the note ---- */

static xmlNodePtr job_of(xmlNodePtr disk)
{
    CLEANUP(freep) char *name = xml_get_at(disk, "target/@dev");

    for (xmlNodePtr job = xml_find(disk, "/domstatus/blockjobs/blockjob"); job && name;
         job = xmlNextElementSibling(job)) {
        CLEANUP(freep) char *each = xml_get_at(job, "disk/@dst");

        if (text_equal(each, name))
            return job;
    }
    return NULL;
}

static char *job_name(xmlNodePtr disk, const char *top)
{
    CLEANUP(freep) char *name = xml_get_at(disk, "target/@dev");
    char *out = NULL;

    return name && top && asprintf(&out, "commit-%s-%s", name, top) >= 0 ? out : NULL;
}

static void read_job(struct doubt *doubt)
{
    CLEANUP(freep) char *type = xml_get_at(doubt->job, "@type");
    CLEANUP(freep) char *newstate = xml_get_at(doubt->job, "@newstate");

    doubt->active = text_equal(type, "active-commit");
    doubt->completed = text_equal(newstate, "completed");
    if (!doubt->active && !text_equal(type, "commit"))
        return;
    doubt->name = xml_get_at(doubt->job, "@name");
    doubt->top = xml_get_at(doubt->job, "top/@node");
    doubt->base = xml_get_at(doubt->job, "base/@node");
}

static void read_mirror(struct doubt *doubt)
{
    doubt->active = xml_find(doubt->disk, "mirror[@job='active-commit']");
    if (!doubt->active)
        return;
    doubt->top = xml_get_at(doubt->disk, "source/" FORMAT_NODE);
    doubt->base = xml_get_at(doubt->disk, "mirror/source/" FORMAT_NODE);
    doubt->name = job_name(doubt->disk, doubt->top);
}

/* false: of this disk libvirt notes what is. */
static bool doubt_read(xmlNodePtr disk, struct doubt *out)
{
    *out = (struct doubt){.disk = disk, .job = job_of(disk)};
    if (out->job)
        read_job(out);
    else
        read_mirror(out);
    if (out->name && out->top && out->base && (!out->active || xml_find(disk, "mirror")))
        return true;
    doubt_clear(out);
    return false;
}

bool half_ended_doubtful(const char *note, char **socket)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    bool any = false;

    if (!strstr(note, "commit") || xml_parse(note, "status", &doc, NULL) < 0)
        return false;
    for (xmlNodePtr disk = note_first_disk(doc); disk && !any; disk = note_next_disk(disk)) {
        struct doubt doubt;

        any = doubt_read(disk, &doubt);
        doubt_clear(&doubt);
    }
    if (any)
        *socket = xml_get(doc, "/domstatus/monitor[@type='unix']/@path");
    return any;
}

/* ---- what QEMU says ---- */

struct answers {
    json_t *jobs, *blocks; /* arrays; both NULL: none */
};

static void answers_clear(struct answers *answers)
{
    json_decref(answers->jobs);
    json_decref(answers->blocks);
}

static int answers_read(const struct half_ended_answers *from, struct answers *out, struct err *err)
{
    *out = (struct answers){0};
    if (!from->jobs || !from->blocks)
        return 0;
    out->jobs = json_loads(from->jobs, 0, NULL);
    out->blocks = json_loads(from->blocks, 0, NULL);
    if (json_is_array(out->jobs) && json_is_array(out->blocks))
        return 0;
    return err_set(err, ERR_RETRY, "what QEMU says of its jobs and disks cannot be read");
}

static const char *job_status(json_t *jobs, const char *name)
{
    json_t *job;
    size_t i;

    json_array_foreach(jobs, i, job)
    {
        const char *status = json_text(job, "status");

        if (text_equal(json_text(job, "id"), name))
            return status ? status : "unknown";
    }
    return NULL;
}

/* ---- an active commit ---- */

static xmlNodePtr layer_of(xmlNodePtr disk, const char *node)
{
    for (xmlNodePtr layer = xml_find(disk, "backingStore"); layer; layer = xml_find(layer, "backingStore")) {
        CLEANUP(freep) char *each = xml_get_at(layer, "source/" FORMAT_NODE);

        if (text_equal(each, node))
            return layer;
    }
    return NULL;
}

static void forget_job(const struct doubt *doubt)
{
    xml_remove_all(doubt->disk, "mirror");
    if (!doubt->job)
        return;
    xmlUnlinkNode(doubt->job);
    xmlFreeNode(doubt->job);
}

/* The disk is that layer of its chain from now on. */
static bool stand_on(const struct doubt *doubt)
{
    xmlNodePtr disk = doubt->disk, layer = layer_of(disk, doubt->base);
    CLEANUP(freep) char *type = layer ? xml_get_at(layer, "@type") : NULL;
    CLEANUP(freep) char *index = layer ? xml_get_at(layer, "@index") : NULL;
    CLEANUP(freep) char *format = layer ? xml_get_at(layer, "format/@type") : NULL;
    xmlNodePtr source = layer ? xml_find(layer, "source") : NULL, below = layer ? xml_find(layer, "backingStore") : NULL;
    xmlNodePtr old = xml_find(disk, "source"), driver = xml_find(disk, "driver");

    if (!type || !index || !format || !source || !below || !old || !driver)
        return false;
    xml_attr(disk, "type", type);
    xml_attr(driver, "type", format);
    xml_attr(source, "index", index);
    xml_replace(old, source);
    xml_replace(xml_find(disk, "backingStore"), below); /* frees the layer */
    forget_job(doubt);
    return true;
}

static enum half_ended mend_active(const struct doubt *doubt, const char *node)
{
    CLEANUP(freep) char *top = xml_get_at(doubt->disk, "source/" FORMAT_NODE);

    if (text_equal(node, doubt->base))
        return stand_on(doubt) ? HALF_ENDED_MENDED : HALF_ENDED_UNCLEAR;
    if (!text_equal(node, top))
        return HALF_ENDED_UNCLEAR;
    forget_job(doubt);
    return HALF_ENDED_MENDED;
}

/* ---- a commit below the top ---- */

/* The files of the chain are those of the layers from `disk` on, with or without the ones from `top` down to `base`. */
static bool chain_is(json_t *image, xmlNodePtr disk, xmlNodePtr top, xmlNodePtr base)
{
    for (xmlNodePtr layer = disk; layer; layer = xml_find(layer, "backingStore")) {
        CLEANUP(freep) char *file = NULL;

        if (layer == top)
            layer = base;
        file = xml_get_at(layer, "source/@file | source/@dev");
        if (!file)
            break; /* the empty <backingStore/> that ends a chain */
        if (!text_equal(json_text(image, "filename"), file))
            return false;
        image = json_object_get(image, "backing-image");
    }
    return !image;
}

static enum half_ended mend_below(const struct doubt *doubt, json_t *drive)
{
    xmlNodePtr top = layer_of(doubt->disk, doubt->top), base = top ? layer_of(top, doubt->base) : NULL;
    json_t *image = json_object_get(drive, "image");

    if (!base || !image)
        return HALF_ENDED_UNCLEAR;
    if (chain_is(image, doubt->disk, NULL, NULL))
        return HALF_ENDED_NOTHING; /* given up; libvirt drops the job by itself */
    if (!chain_is(image, doubt->disk, top, base))
        return HALF_ENDED_UNCLEAR;
    xml_replace(top, base);
    forget_job(doubt);
    return HALF_ENDED_MENDED;
}

/* ---- */

static enum half_ended mend_disk(xmlNodePtr disk, const struct answers *answers)
{
    struct doubt doubt;
    enum half_ended result = HALF_ENDED_NOTHING;
    bool over;

    if (!doubt_read(disk, &doubt))
        return HALF_ENDED_NOTHING;
    over = doubt.completed || (answers->jobs && !job_status(answers->jobs, doubt.name));
    if (over && doubt.active)
        result = mend_active(&doubt,
                             answers->blocks ? json_text(note_drive(answers->blocks, disk), "node-name") : doubt.base);
    else if (over && answers->blocks)
        result = mend_below(&doubt, note_drive(answers->blocks, disk));
    doubt_clear(&doubt);
    return result;
}

int half_ended_mend(const char *note, const struct half_ended_answers *answers, enum half_ended *result, char **out,
                    struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(answers_clear) struct answers said = {0};
    bool mended = false, unclear = false;

    *out = NULL;
    if (xml_parse(note, "status", &doc, err) < 0 || answers_read(answers, &said, err) < 0)
        return -1;
    for (xmlNodePtr disk = note_first_disk(doc), next; disk; disk = next) {
        enum half_ended each;

        next = note_next_disk(disk);
        each = mend_disk(disk, &said);
        mended = mended || each == HALF_ENDED_MENDED;
        unclear = unclear || each == HALF_ENDED_UNCLEAR;
    }
    if (mended && xml_format(doc, out, err) < 0)
        return -1;
    *result = unclear ? HALF_ENDED_UNCLEAR : mended ? HALF_ENDED_MENDED : HALF_ENDED_NOTHING;
    return 0;
}

/* ---- the definition ---- */

static bool same_source(xmlNodePtr left, xmlNodePtr right)
{
    CLEANUP(freep) char *of_left = xml_get_at(left, "source/@file | source/@dev");
    CLEANUP(freep) char *of_right = xml_get_at(right, "source/@file | source/@dev");

    return text_equal(of_left, of_right);
}

/* As a definition has it: without what is only of a guest that runs. */
static int take_source(xmlNodePtr defined, xmlNodePtr now, struct err *err)
{
    CLEANUP(freep) char *type = xml_get_at(now, "@type");
    CLEANUP(freep) char *format = xml_get_at(now, "driver/@type");
    xmlNodePtr source = xmlDocCopyNode(xml_find(now, "source"), defined->doc, 1), driver = xml_find(defined, "driver");

    if (!type || !format || !source || !driver) {
        xmlFreeNode(source);
        return err_memory(err, "definition");
    }
    xml_remove_all(source, "privateData | @index | text()");
    xml_attr(defined, "type", type);
    xml_attr(driver, "type", format);
    xml_remove_all(defined, "backingStore | mirror");
    xml_replace(xml_find(defined, "source"), source);
    return 0;
}

int half_ended_define(const char *definition, const char *before, const char *after, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr defined = NULL;
    CLEANUP(xml_freep) xmlDocPtr old = NULL;
    CLEANUP(xml_freep) xmlDocPtr new = NULL;
    bool changed = false;

    *out = NULL;
    if (xml_parse(definition, "definition", &defined, err) < 0 || xml_parse(before, "status", &old, err) < 0 ||
        xml_parse(after, "status", &new, err) < 0)
        return -1;
    for (xmlNodePtr disk = note_first_disk(new); disk; disk = note_next_disk(disk)) {
        CLEANUP(freep) char *name = xml_get_at(disk, "target/@dev");
        xmlNodePtr was = definition_find_disk(xml_find(xmlDocGetRootElement(old), "domain"), name);
        xmlNodePtr to_be = definition_find_disk(xmlDocGetRootElement(defined), name);

        if (!was || !to_be || same_source(was, disk) || !same_source(was, to_be))
            continue;
        if (take_source(to_be, disk, err) < 0)
            return -1;
        changed = true;
    }
    return changed ? xml_format(defined, out, err) : 0;
}

/* ---- what is left in QEMU ---- */

int half_ended_nodes(const char *before, const char *after, struct strings *out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr old = NULL;
    CLEANUP(xml_freep) xmlDocPtr new = NULL;
    CLEANUP(strings_endp) struct strings had = {0};
    CLEANUP(strings_endp) struct strings has = {0};

    if (xml_parse(before, "status", &old, err) < 0 || xml_parse(after, "status", &new, err) < 0 ||
        note_nodes(old, &had, err) < 0 || note_nodes(new, &has, err) < 0)
        return -1;
    for (size_t i = 0; i < had.count; i++)
        if (!strings_have(&has, had.items[i]) && strings_add(out, had.items[i], err) < 0)
            return -1;
    return 0;
}

int half_ended_bases(const char *note, const struct half_ended_answers *answers, struct strings *out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(answers_clear) struct answers said = {0};

    if (xml_parse(note, "status", &doc, err) < 0 || answers_read(answers, &said, err) < 0)
        return -1;
    for (xmlNodePtr disk = note_first_disk(doc); disk && said.jobs; disk = note_next_disk(disk)) {
        struct doubt doubt;
        const char *status;
        int result = 0;

        if (!doubt_read(disk, &doubt))
            continue;
        status = job_status(said.jobs, doubt.name);
        if (doubt.active && (!status || text_equal(status, "running") || text_equal(status, "ready")))
            result = strings_add(out, doubt.base, err);
        doubt_clear(&doubt);
        if (result < 0)
            return -1;
    }
    return 0;
}
