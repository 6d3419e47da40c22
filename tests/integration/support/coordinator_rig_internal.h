#pragma once
/* What the files of the coordinator's rig share. */
#include "integration/support/coordinator_rig.h"

struct err;

const char *rig_server(const char *name); /* a variable that tests/stack/with sets; fails the test if it did not */
void rig_must(int result, const struct err *err); /* fails the test, with its text */
