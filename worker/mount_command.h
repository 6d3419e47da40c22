#pragma once
/* `fleetsnap-worker mount`: single files out of a backup. argv[0] is "mount". Returns the exit code. */
int mount_command(int argc, char *const argv[]);
