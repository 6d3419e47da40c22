#pragma once
/* `fleetsnap-worker restore`: the way back when everything is gone but the repository. argv[0] is "restore". Returns the exit code. */
int restore_command(int argc, char *const argv[]);
