#pragma once
#include "worker/backends/libvirt/libvirt.h"

/*
 * The files that the domain's push job writes may together grow by `room_bytes`: QEMU says when one of them has taken its share, libvirt tells it as an event, and whoever
 * listens to the domain (news.h) is woken. Each file says so once. Nothing fails: where QEMU or libvirt cannot do it, the room is only looked at now and then.
 */
void backup_threshold_set(virDomainPtr domain, int64_t room_bytes);
