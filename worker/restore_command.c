/*
 * The command. Where a worker runs on this host it is asked by its socket, because an embedded libvirt has one process; else everything happens here. Either way it is the same
 * plan, the same runner and the same journal; the events come as JSON and are shown by the same lines.
 */
#include "worker/restore_command.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/backend.h"
#include "worker/local_restore.h"
#include "worker/local_service.h"
#include "worker/options.h"
#include "worker/restore_screen.h"
#include "worker/restore_words.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 4 << 20 };

static const char default_pool[] = "/var/lib/libvirt/images";
static atomic_int interrupts;

static void help(void)
{
    fputs(
        "fleetsnap-worker restore: brings a backup back with nothing but its repository: no coordinator, no Kafka, no Redis\n\n"
        "  fleetsnap-worker restore --repository DIR                              what is there\n"
        "  fleetsnap-worker restore --repository DIR BACKUP --to NAME|DIRECTORY   restore it\n\n"
        "BACKUP is the beginning of an id, or the name of a machine: its newest backup.\n"
        "NAME makes a new machine of that name; a DIRECTORY (with a '/') gets the disks alone, and needs no libvirt.\n\n"
        "Examples\n"
        "  fleetsnap-worker restore --repository /backup/main\n"
        "  fleetsnap-worker restore --repository /backup/main 5f1e --to shop-1 --start\n"
        "  fleetsnap-worker restore --repository /backup/main shop-1 --to shop-1 --dry-run\n"
        "  fleetsnap-worker restore --repository /backup/main 5f1e --to /srv/restored --disks vda\n\n"
        "Options\n"
        "  --repository DIR         the directory with fleetsnap-repository.json\n"
        "  --to NAME|DIRECTORY      a new machine, or a new directory for the disks\n"
        "  --directory DIR          a machine: where its disks go; default: the first pool of the configuration,\n"
        "                           else /var/lib/libvirt/images\n"
        "  --start[=running|paused] start the machine\n"
        "  --disks vda,vdb          only these disks\n"
        "  --map-network OLD=NEW    attach to another network; may be repeated\n"
        "  --keep-identity          keep MAC addresses; only when the source is gone\n"
        "  --dry-run                show each step, and change nothing\n"
        "  --json                   one JSON document on standard output\n"
        "  --config FILE            the worker's options; default /etc/fleetsnap/worker.yaml where it exists\n"
        "  --name=value             one of the worker's options, e.g. --libvirt.uri=qemu:///system, --state_directory=DIR\n\n"
        "Exit codes: 0 done, 1 failed, 2 usage or no such backup, 3 not over (say it again: it goes on), 4 cancelled\n",
        stdout);
}

static int list(const struct restore_words *words)
{
    json_t *points = NULL;
    struct err err = {0};

    if (local_restore_list(words->asked.repository, &points, &err) < 0)
        return screen_complain(&err, EXIT_BAD);
    screen_points(points, words->json);
    json_decref(points);
    return EXIT_OK;
}

/* ---- by a worker that runs ---- */

static int handle_line(struct screen *screen, const char *line, int *code)
{
    json_t *json = json_loads(line, 0, NULL);
    const json_t *refused = json_object_get(json, "refused"), *outcome = json_object_get(json, "end");
    int over = refused || outcome;

    if (refused)
        *code = screen_refused(screen, refused);
    else if (outcome)
        *code = screen_outcome(screen, outcome);
    else
        screen_event(screen, json);
    json_decref(json);
    return over;
}

/* Reads lines until the last one. An interrupt hangs up, and so takes it back. */
static int listen_to(int fd, struct screen *screen)
{
    CLEANUP(text_freep) struct text text = {0};
    char data[16384];
    int code = EXIT_OPEN;

    while (text.len < ANSWER_MAX) {
        ssize_t got = recv(fd, data, sizeof data, 0);
        char *line, *end;

        if (got < 0 && errno == EINTR && !interrupts)
            continue;
        if (got <= 0)
            break;
        text_add_len(&text, data, (size_t)got);
        for (line = text.data; line && (end = strchr(line, '\n')); line = end + 1) {
            *end = '\0';
            if (handle_line(screen, line, &code))
                return code;
        }
        if (line && line != text.data) {
            size_t rest = strlen(line);
            memmove(text.data, line, rest + 1);
            text.len = rest;
        }
    }
    screen_close_line(screen);
    fputs(interrupts ? "fleetsnap-worker restore: cancelled; the worker takes back what was made\n"
                     : "fleetsnap-worker restore: the worker has gone; say it again, and it goes on\n",
          stderr);
    return interrupts ? EXIT_UNDONE : EXIT_OPEN;
}

static int ask_worker(int fd, const struct restore_words *words, struct screen *screen)
{
    CLEANUP(freep) char *question = NULL;
    struct err err = {0};

    if (record_to_json(&local_restore_record, &words->asked, false, &question, &err) < 0)
        return screen_complain(&err, EXIT_BAD);
    size_t len = strlen(question);
    question[len] = '\n'; /* the place of the NUL */
    if (send(fd, question, len + 1, MSG_NOSIGNAL) != (ssize_t)len + 1) {
        err_errno(&err, errno, "the worker's socket");
        return screen_complain(&err, EXIT_BAD);
    }
    return listen_to(fd, screen);
}

/* ---- alone ---- */

static bool cancelled(void *context)
{
    (void)context;
    return interrupts > 0;
}

static bool stopping(void *context)
{
    (void)context;
    return false;
}

static int run_alone(const struct restore_words *words, const struct worker_options *options, struct screen *screen)
{
    const struct local_watch watch = {screen, screen_event, cancelled, stopping};
    char *repository = words->asked.repository;
    char *pool = words->asked.directory         ? words->asked.directory
                 : strchr(words->asked.to, '/') ? words->asked.to
                 : options->pools.count         ? options->pools.items[0]
                                                : (char *)default_pool;
    const struct strings repositories = {&repository, 1}, pools = {&pool, 1};
    const struct backend_config config = {
        .host = options->host,
        .libvirt_uri = options->libvirt_uri,
        .state_directory = options->state_directory,
        .pools = &pools,
        .repositories = &repositories,
        .agent_timeout_ms = options->agent_timeout_ms,
        .frozen_limit_ms = options->frozen_limit_ms,
    };
    json_t *outcome = NULL;
    struct err err = {0};

    if (local_restore_run(&words->asked, &config, &watch, &outcome, &err) < 0) {
        screen_close_line(screen);
        return screen_complain(&err, EXIT_MISUSE);
    }
    int code = screen_outcome(screen, outcome);
    json_decref(outcome);
    return code;
}

/* ---- all of it ---- */

static void interrupted(int signal_number)
{
    if (interrupts++ > 0) { /* a second one ends it at once; the next call goes on */
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = interrupted}; /* no SA_RESTART: recv returns */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int run(struct restore_words *words, const struct worker_options *options)
{
    struct screen screen = {.terminal = isatty(STDERR_FILENO), .json = words->json};
    struct err err = {0};
    int fd = local_service_connect(options->state_directory, &err);

    if (fd == -1)
        return screen_complain(&err, EXIT_BAD);
    catch_signals();
    log_set_level(LOG_LEVEL_ERROR);
    if (fd < 0)
        return run_alone(words, options, &screen);
    int code = ask_worker(fd, words, &screen);
    close(fd);
    return code;
}

int restore_command(int argc, char *const argv[])
{
    CLEANUP(restore_words_clear) struct restore_words words = {0};
    struct worker_options options = {0};
    struct err err = {0};

    if (restore_words_read(&words, argc, argv, &err) < 0)
        return screen_complain(&err, EXIT_MISUSE);
    if (words.help)
        return help(), EXIT_OK;
    if (!words.asked.backup)
        return list(&words);
    if (restore_words_options(&words, &options, &err) < 0)
        return screen_complain(&err, EXIT_MISUSE);
    int code = run(&words, &options);
    worker_options_free(&options);
    return code;
}
