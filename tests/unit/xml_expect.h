#pragma once
/* What a document says in one place. After cmocka.h. */
#include "worker/backends/libvirt/libvirt.h"

#include <stdlib.h>

/* expected NULL: the place is not there. */
static inline void assert_xml(xmlDocPtr doc, const char *xpath, const char *expected)
{
    char *found = xml_get(doc, xpath);

    if (!expected && found)
        fail_msg("%s is \"%s\"", xpath, found);
    if (expected) {
        if (!found)
            fail_msg("%s is not there", xpath);
        assert_string_equal(found, expected);
    }
    free(found);
}
