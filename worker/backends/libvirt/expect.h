#pragma once
/* What a job expects its target to look like, compared before anything is taken away. */
#include "worker/backends/libvirt/libvirt.h"

int expect_check(virDomainPtr domain, const struct job *job, struct err *err); /* ERR_CONFLICT */
