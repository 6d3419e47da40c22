#pragma once
/* Surroundings of the runner that say yes: nothing is kept, nobody cancels, the lock is ours. A test copies it and puts its own functions in the places that it is about. */
#include "worker/runner.h"

extern const struct runner_env fake_runner_env;
