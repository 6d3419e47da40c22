#pragma once
/* The guest agent without waiting for it to connect: for the inventory. */
#include "worker/backends/libvirt/libvirt.h"

enum agent_answer libvirt_agent_now(struct libvirt_backend *backend, virDomainPtr domain);
