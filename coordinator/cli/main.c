/* fleetsnap: the command. */
#include "base/log.h"
#include "coordinator/cli/cli.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { RETRY_MS = 20000 };

static int width(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
        return size.ws_col;
    return 80;
}

int main(int argc, char *argv[])
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    struct cli cli = {.in = stdin, .out = stdout, .err = stderr, .retry_ms = RETRY_MS};

    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_WARNING);
    cli.in_terminal = isatty(STDIN_FILENO);
    cli.out_terminal = isatty(STDOUT_FILENO);
    cli.err_terminal = isatty(STDERR_FILENO);
    cli.colour = cli.out_terminal && !(no_colour && *no_colour) && terminal && strcmp(terminal, "dumb") != 0;
    cli.width = width();
    int code = cli_main(&cli, argc, (const char *const *)argv);
    cli_close(&cli);
    if (fflush(stdout) != 0 || ferror(stdout)) /* a full disk, a closed pipe: what was asked for did not arrive */
        code = code ? code : EXIT_FAILED;
    return code;
}
