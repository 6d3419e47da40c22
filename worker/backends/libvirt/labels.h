#pragma once
/* Labels in a domain's metadata: <fleetsnap:labels xmlns:fleetsnap="https://fleetsnap.dev/xmlns/labels/1"><fleetsnap:label name="app" value="shop"/></fleetsnap:labels>. Pure. */
#include "worker/backends/libvirt/libvirt.h"

int labels_read(xmlDocPtr domain, struct facts *out,
                struct err *err); /* those beyond the limits of a label (63 bytes each) are left out */
