#include "worker/backends/libvirt/bitmaps.h"

#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <stdlib.h>
#include <string.h>

struct bitmaps {
    json_t *answer;
};

void bitmaps_free(struct bitmaps *bitmaps)
{
    if (bitmaps)
        json_decref(bitmaps->answer);
    free(bitmaps);
}

int bitmaps_ask(virDomainPtr domain, struct bitmaps **out, struct err *err)
{
    static const char question[] = "{\"execute\":\"query-named-block-nodes\",\"arguments\":{\"flat\":true}}";
    CLEANUP(bitmaps_freep) struct bitmaps *bitmaps = calloc(1, sizeof *bitmaps);
    CLEANUP(freep) char *text = NULL;

    if (!bitmaps)
        return err_memory(err, "bitmaps");
    if (virDomainQemuMonitorCommand(domain, question, &text, 0) < 0)
        return libvirt_err(err, "ask QEMU for its bitmaps");
    bitmaps->answer = json_loads(text, 0, NULL);
    if (!bitmaps->answer)
        return err_set(err, ERR_RETRY, "QEMU's answer about its bitmaps cannot be read");
    *out = TAKE_PTR(bitmaps);
    return 0;
}

static bool is_image(json_t *node, const char *file)
{
    const char *format = json_string_value(json_object_get(node, "drv"));
    const char *name = json_string_value(json_object_get(json_object_get(node, "image"), "filename"));

    return format && strcmp(format, "qcow2") == 0 && name && strcmp(name, file) == 0;
}

static enum bitmap_state find_in(json_t *bitmaps, const char *name)
{
    json_t *bitmap;
    size_t i;

    json_array_foreach(bitmaps, i, bitmap)
    {
        const char *each = json_string_value(json_object_get(bitmap, "name"));

        if (!each || strcmp(each, name) != 0)
            continue;
        if (json_is_true(json_object_get(bitmap, "inconsistent")) || !json_is_true(json_object_get(bitmap, "recording")))
            return BITMAP_BROKEN;
        return BITMAP_SOUND;
    }
    return BITMAP_ABSENT;
}

enum bitmap_state bitmaps_find(const struct bitmaps *bitmaps, const char *file, const char *name)
{
    json_t *nodes = json_object_get(bitmaps->answer, "return"), *node;
    size_t i;

    json_array_foreach(nodes, i, node)
    {
        if (is_image(node, file))
            return find_in(json_object_get(node, "dirty-bitmaps"), name);
    }
    return BITMAP_ABSENT;
}
