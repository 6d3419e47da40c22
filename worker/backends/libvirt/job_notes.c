/* Which domains have a block or backup job of ours right now: a hypervisor's job has no name that could say it. */
#include "worker/backends/libvirt/libvirt.h"

#include <pthread.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* protects notes */
static struct strings notes;                              /* uuids; one entry per job */

void libvirt_job_begin(const char *uuid)
{
    LOCK_SCOPE(&mutex);

    strings_add(&notes, uuid, NULL); /* out of memory: the inventory calls it foreign for a moment */
}

void libvirt_job_end(const char *uuid)
{
    LOCK_SCOPE(&mutex);

    for (size_t i = 0; i < notes.count; i++) {
        if (strcmp(notes.items[i], uuid) != 0)
            continue;
        free(notes.items[i]);
        notes.items[i] = notes.items[--notes.count];
        break;
    }
    if (notes.count == 0)
        strings_clear(&notes);
}

bool libvirt_job_ours(const char *uuid)
{
    LOCK_SCOPE(&mutex);

    return strings_have(&notes, uuid);
}
