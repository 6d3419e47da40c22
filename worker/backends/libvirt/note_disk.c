#include "worker/backends/libvirt/note_disk.h"

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
