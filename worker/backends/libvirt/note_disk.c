#include "worker/backends/libvirt/note_disk.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

bool text_equal(const char *left, const char *right)
{
    return left && right && strcmp(left, right) == 0;
}

const char *json_text(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

xmlNodePtr note_first_disk(xmlDocPtr doc)
{
    return xml_find(xmlDocGetRootElement(doc), "/domstatus/domain/devices/disk");
}

xmlNodePtr note_next_disk(xmlNodePtr disk)
{
    do
        disk = xmlNextElementSibling(disk);
    while (disk && strcmp((const char *)disk->name, "disk") != 0);
    return disk;
}

json_t *note_drive(json_t *blocks, xmlNodePtr disk)
{
    CLEANUP(freep) char *qom = xml_get_at(disk, "privateData/qom/@name");
    json_t *drive;
    size_t i;

    json_array_foreach(blocks, i, drive)
    {
        if (text_equal(json_text(drive, "qdev"), qom))
            return json_object_get(drive, "inserted");
    }
    return NULL;
}

void xml_replace(xmlNodePtr old, xmlNodePtr new)
{
    xmlUnlinkNode(new);
    xmlReplaceNode(old, new);
    xmlFreeNode(old);
}

int note_nodes(xmlDocPtr doc, struct strings *out, struct err *err)
{
    static const char *const types[] = {"format", "storage"};

    for (xmlNodePtr disk = note_first_disk(doc); disk; disk = note_next_disk(disk))
        for (xmlNodePtr layer = disk; layer; layer = xml_find(layer, "backingStore"))
            for (size_t i = 0; i < 2; i++) {
                CLEANUP(freep) char *node = NULL;
                char path[80];

                snprintf(path, sizeof path, "source/privateData/nodenames/nodename[@type='%s']/@name", types[i]);
                node = xml_get_at(layer, path);
                if (node && strings_add(out, node, err) < 0)
                    return -1;
            }
    return 0;
}
