#pragma once
/*
 * A guest is thawed when the frozen limit has passed, whatever the call that holds it up is doing: a thread of its own waits for the end of the freeze, and thaws if it does not
 * come. libvirt lets the agent be spoken to while another call works on the domain. One guard per handle, from freeze to thaw.
 */
#include "worker/backends/libvirt/libvirt.h"

int thaw_guard_begin(struct libvirt_backend *backend, virDomainPtr domain, int64_t limit_ms, struct err *err);
bool thaw_guard_end(struct libvirt_backend *backend); /* true: it had to thaw; none: false */
