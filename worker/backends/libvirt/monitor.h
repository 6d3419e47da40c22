#pragma once
/* Questions to a QEMU on its own monitor, past libvirt: only while no libvirt is connected to it (a monitor takes one connection at a time). Not thread-safe. */
#include "base/cleanup.h"

#include <stdint.h>

struct err;
struct monitor;

/* Connects and greets. `limit_ms` is for this and all that is asked: after it QEMU counts as one that does not answer (RETRY). */
int monitor_open(const char *socket, int64_t limit_ms, struct monitor **out, struct err *err);
void monitor_close(struct monitor *monitor); /* takes NULL */
DEFINE_FREEP(struct monitor, monitor_close)
/*
 * One command. `arguments`: a JSON object, or NULL. *answer: what it returns, as JSON; caller frees; NULL: not wanted. QEMU's "no" is PERMANENT; an answer of more than 4 MiB, no
 * answer, and one that is no JSON are RETRY.
 */
int monitor_ask(struct monitor *monitor, const char *command, const char *arguments, char **answer, struct err *err);
