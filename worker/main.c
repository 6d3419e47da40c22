/* fleetsnap-worker: what the command line asks for, and what must be done before any library starts a thread. */
#include "base/err.h"
#include "base/log.h"
#include "wire/wire.h"
#include "worker/inspect.h"
#include "worker/mount_command.h"
#include "worker/options.h"
#include "worker/restore_command.h"
#include "worker/worker.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static int complain(const struct err *err, int code)
{
    fprintf(stderr, "fleetsnap-worker: %s\n", err->text);
    if (err->hint[0])
        fprintf(stderr, "  %s\n", err->hint);
    return code;
}

/* Every thread inherits the mask; signals are read by the loop, from a descriptor. */
static void block_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void notify(const char *state)
{
    sd_notify(0, state);
}

static void set_log_level(const char *name)
{
    static const char *const names[] = {"error", "warning", "info", "debug", NULL};

    log_set_level((enum log_level)name_index(names, name));
}

static int run(const struct worker_options *options)
{
    struct worker *worker;
    struct err err = {0};

    block_signals();
    set_log_level(options->log_level);
    wire_init();
    if (worker_open(options, notify, &worker, &err) < 0)
        return err.kind == ERR_CANCELLED ? 0 : complain(&err, 1);
    int code = worker_run(worker);
    if (!worker_close(worker)) {
        log_warning("worker", "a call has not returned: it is settled by the next start");
        _exit(code ? code : 1);
    }
    log_info("worker", "stopped");
    return code;
}

static int check(const struct worker_options *options)
{
    struct key_ring keys;
    struct err err = {0};

    if (key_ring_load(options->key_file, &keys, &err) < 0)
        return complain(&err, 1);
    explicit_bzero(&keys, sizeof keys);
    printf("configuration of host %s is good\n", options->host);
    return 0;
}

static int look(const struct worker_options *options, bool json)
{
    struct err err = {0};

    return inspect(options->state_directory, json, &err) < 0 ? complain(&err, 1) : 0;
}

static int with_options(const struct command_line *line)
{
    struct worker_options options = {0};
    struct err err = {0};
    int code = 0;

    if (worker_options_load(line, &options, &err) < 0)
        return complain(&err, EXIT_USAGE);
    if (line->mode == MODE_RUN)
        code = run(&options);
    else if (line->mode == MODE_CHECK)
        code = check(&options);
    else
        code = look(&options, line->json);
    worker_options_free(&options);
    return code;
}

int main(int argc, char **argv)
{
    struct command_line line;
    struct err err = {0};

    if (argc > 1 && strcmp(argv[1], "restore") == 0)
        return restore_command(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "mount") == 0)
        return mount_command(argc - 1, argv + 1);
    if (command_line_parse(argc, argv, &line, &err) < 0)
        return complain(&err, EXIT_USAGE);
    if (line.mode == MODE_HELP) {
        worker_help(stdout);
        return 0;
    }
    if (line.mode == MODE_VERSION) {
        puts("fleetsnap-worker " FLEETSNAP_VERSION);
        return 0;
    }
    return with_options(&line);
}
