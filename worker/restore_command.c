/*
 * The command. Where a worker runs on this host it is asked by its socket, because an embedded libvirt has one process; else everything happens here. Either way it is the same
 * plan, the same runner and the same journal; the events come as JSON and are shown by the same lines.
 */
#include "worker/restore_command.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/text.h"
#include "worker/backend.h"
#include "worker/local_restore.h"
#include "worker/local_service.h"
#include "worker/options.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_BAD = 1, EXIT_MISUSE = 2, EXIT_OPEN = 3, EXIT_UNDONE = 4 };
enum { LINE_MS = 10000, REDRAW_MS = 200, OVERRIDES_MAX = 64, ANSWER_MAX = 4 << 20 };

static const char default_config[] = "/etc/fleetsnap/worker.yaml", default_pool[] = "/var/lib/libvirt/images";
static atomic_int interrupts;

struct command {
    struct local_restore asked;
    const char *config;
    const char *overrides[OVERRIDES_MAX];
    size_t override_count;
    bool json, help;
};

struct screen { /* what is shown of one that runs */
    bool terminal, json;
    char phase[64];
    int64_t shown_ms, begun_ms, begun_bytes;
    bool line_open;
};

static int complain(const struct err *err, int code)
{
    fprintf(stderr, "fleetsnap-worker restore: %s\n", err->text);
    if (err->hint[0])
        fprintf(stderr, "  %s\n", err->hint);
    return code;
}

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

/* ---- what was typed ---- */

/* The value of --name VALUE or --name=VALUE; NULL: it is another option. */
static const char *value_of(char *const argv[], int *at, const char *name, struct err *err)
{
    size_t len = strlen(name);

    if (strncmp(argv[*at], name, len) != 0)
        return NULL;
    if (argv[*at][len] == '=')
        return argv[*at] + len + 1;
    if (argv[*at][len] != '\0')
        return NULL;
    if (argv[*at + 1])
        return argv[++*at];
    err_set(err, ERR_PERMANENT, "%s needs a value; see --help", name);
    return NULL;
}

static int add_map(struct facts *out, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    CLEANUP(freep) char *key = equals ? strndup(text, (size_t)(equals - text)) : NULL;

    if (!key || !*key || !equals[1])
        return err_set(err, ERR_PERMANENT, "--map-network: \"%s\" is not OLD=NEW", text);
    return facts_set(out, key, equals + 1, err);
}

/* An option with a value. 0: taken, 1: none of them. */
static int read_valued(struct command *command, char *const argv[], int *at, struct err *err)
{
    struct local_restore *asked = &command->asked;
    const struct {
        const char *name;
        char **field;
    } texts[] = {{"--repository", &asked->repository}, {"--to", &asked->to}, {"--directory", &asked->directory}};
    const char *value;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if ((value = value_of(argv, at, texts[i].name, err)))
            return string_set(texts[i].field, value, err);
    if ((value = value_of(argv, at, "--disks", err)))
        return strings_add_words(&asked->disks, value, ",", err);
    if ((value = value_of(argv, at, "--map-network", err)))
        return add_map(&asked->map_network, value, err);
    if ((value = value_of(argv, at, "--config", err)))
        return command->config = value, 0;
    return err->kind != ERR_NONE ? -1 : 1;
}

static int read_flag(struct command *command, const char *word, struct err *err)
{
    struct local_restore *asked = &command->asked;

    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return command->help = true, 0;
    if (strcmp(word, "--json") == 0)
        return command->json = true, 0;
    if (strcmp(word, "--dry-run") == 0)
        return asked->dry_run = true, 0;
    if (strcmp(word, "--keep-identity") == 0)
        return asked->keep_identity = true, 0;
    if (strcmp(word, "--start") == 0 || strncmp(word, "--start=", 8) == 0)
        return string_set(&asked->start, word[7] ? word + 8 : "running", err);
    if (strncmp(word, "--", 2) == 0 && strchr(word, '=')) {
        if (command->override_count + 3 >= OVERRIDES_MAX)
            return err_set(err, ERR_PERMANENT, "%s: too many options", word);
        return command->overrides[command->override_count++] = word + 2, 0;
    }
    if (word[0] == '-')
        return err_set(err, ERR_PERMANENT, "%s: not understood; see fleetsnap-worker restore --help", word);
    if (asked->backup)
        return err_set(err, ERR_PERMANENT, "%s: one backup at a time", word);
    return string_set(&asked->backup, word, err);
}

static int read_words(struct command *command, int argc, char *const argv[], struct err *err)
{
    for (int i = 1; i < argc; i++) {
        int taken = read_valued(command, argv, &i, err);

        if (taken < 0 || (taken > 0 && read_flag(command, argv[i], err) < 0))
            return -1;
    }
    if (command->help)
        return 0;
    if (!command->asked.repository)
        return err_set(err, ERR_PERMANENT, "say where the backups are: --repository DIR");
    if (command->asked.backup && !command->asked.to)
        return err_set(err, ERR_PERMANENT, "say where to: --to NAME, or --to DIRECTORY");
    if (command->asked.to && !command->asked.backup) {
        err_set(err, ERR_PERMANENT, "say which backup");
        return err_hint(err, "what is there: fleetsnap-worker restore --repository %s", command->asked.repository);
    }
    return 0;
}

/* The shell's directory is not the worker's. */
static int make_absolute(char **path, struct err *err)
{
    CLEANUP(freep) char *here = NULL;
    char *whole = NULL;

    if (!*path || **path == '/')
        return 0;
    here = getcwd(NULL, 0);
    if (!here || asprintf(&whole, "%s/%s", here, *path) < 0)
        return err_memory(err, *path);
    free(*path);
    *path = whole;
    return 0;
}

/* A host that has lost its configuration restores all the same: only libvirt, the pool and the state directory matter, and have defaults. */
static int load_options(struct command *command, struct worker_options *options, struct err *err)
{
    struct command_line line = {.config = command->config};
    size_t count = 0;

    if (!line.config && access(default_config, R_OK) == 0)
        line.config = default_config;
    if (!line.config) {
        line.overrides[count++] = "host=local";
        line.overrides[count++] = "kafka.brokers=none";
    }
    for (size_t i = 0; i < command->override_count; i++)
        line.overrides[count++] = command->overrides[i];
    return worker_options_load(&line, options, err);
}

/* ---- what is shown ---- */

static void close_line(struct screen *screen)
{
    if (screen->line_open)
        fputc('\n', stderr);
    screen->line_open = false;
}

static void show_bytes(struct screen *screen, int64_t done, int64_t total)
{
    int64_t now = clock_monotonic_ms(), took = now - screen->begun_ms;
    char a[32], b[32], rate[32], left[32];

    if (screen->json || total <= 0 || now - screen->shown_ms < (screen->terminal ? REDRAW_MS : LINE_MS))
        return;
    int64_t per_second = took > 500 ? (done - screen->begun_bytes) * 1000 / took : 0;
    screen->shown_ms = now;
    fprintf(stderr, "%s%-16s %3d %%   %s of %s", screen->terminal ? "\r" : "", screen->phase, (int)(done * 100 / total),
            format_size(done, a, sizeof a), format_size(total, b, sizeof b));
    if (per_second > 0)
        fprintf(stderr, "   %s/s   %s left", format_size(per_second, rate, sizeof rate),
                format_duration((total - done) * 1000 / per_second / 1000 * 1000, left, sizeof left));
    fputs(screen->terminal ? "\033[K" : "\n", stderr);
    screen->line_open = screen->terminal;
}

static void told(void *context, const json_t *event)
{
    struct screen *screen = context;
    const char *phase = json_string_value(json_object_get(event, "phase"));
    const char *resumed = json_string_value(json_object_get(event, "resumed"));

    if (resumed && !screen->json)
        fprintf(stderr, "first the restore to %s, which was interrupted\n", resumed);
    if (phase && strcmp(phase, "plan") != 0) {
        close_line(screen);
        snprintf(screen->phase, sizeof screen->phase, "%s", phase);
        screen->begun_ms = clock_monotonic_ms();
        screen->begun_bytes = 0;
        screen->shown_ms = screen->terminal ? 0 : screen->begun_ms;
        if (!screen->json)
            fprintf(stderr, "%s\n", phase);
    }
    if (json_object_get(event, "total"))
        show_bytes(screen, json_integer_value(json_object_get(event, "done")),
                   json_integer_value(json_object_get(event, "total")));
}

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text ? text : "";
}

static void print_plan(const json_t *result)
{
    const json_t *step;
    size_t index;

    printf("Would be done on this host, in this order; nothing has been changed.\n");
    json_array_foreach(json_object_get(result, "steps"), index, step)
        printf(" %2zu %-16s  %.*s\n", index + 1, text_of(step, "name"), (int)strcspn(text_of(step, "command"), "\n"),
               text_of(step, "command"));
}

static int exit_of(const char *state)
{
    static const struct {
        const char *state;
        int code;
    } codes[] = {{"SUCCEEDED", EXIT_OK}, {"PARKED", EXIT_OPEN}, {"LEFT", EXIT_OPEN}, {"CANCELLED", EXIT_UNDONE}};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].state, state) == 0)
            return codes[i].code;
    return EXIT_BAD;
}

static void print_success(const json_t *outcome)
{
    const json_t *facts = json_object_get(json_object_get(outcome, "result"), "facts");

    if (strchr(text_of(outcome, "to"), '/'))
        printf("restored the disks to %s\n", text_of(outcome, "to"));
    else
        printf("restored machine %s, disks in %s%s\n", text_of(outcome, "to"), text_of(facts, "directory"),
               *text_of(facts, "started") ? ", and started it" : "");
    if (strcmp(text_of(facts, "checksums"), "compared") != 0)
        printf("its files had no checksum yet to be compared with\n");
}

static int print_outcome(struct screen *screen, const json_t *outcome)
{
    const json_t *error = json_object_get(outcome, "error");
    const char *state = text_of(outcome, "state");
    int code = exit_of(state);

    close_line(screen);
    if (screen->json) {
        json_dumpf(outcome, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (code != EXIT_OK) {
        fprintf(stderr, "fleetsnap-worker restore: %s\n", *text_of(error, "text") ? text_of(error, "text") : state);
        if (*text_of(error, "hint"))
            fprintf(stderr, "  %s\n", text_of(error, "hint"));
        if (code == EXIT_OPEN)
            fputs("  it is not over: the same command goes on with it\n", stderr);
        else
            fputs("  what was made is taken back\n", stderr);
    } else if (json_is_true(json_object_get(outcome, "dry_run")))
        print_plan(json_object_get(outcome, "result"));
    else
        print_success(outcome);
    return code;
}

/* ---- the list ---- */

static void print_point(const json_t *point)
{
    const json_t *target = json_object_get(point, "target");
    char size[32], made[64];
    int64_t at = 0;

    if (strcmp(text_of(point, "state"), "damaged") == 0) {
        printf("damaged   %s\n", text_of(point, "folder"));
        return;
    }
    parse_time(text_of(point, "created_at"), &at, NULL);
    printf("%.8s  %-20s  %-16s  %-12s %10s  %s\n", text_of(point, "id"),
           *text_of(target, "name") ? text_of(target, "name") : text_of(target, "id"),
           format_time(at, false, made, sizeof made), text_of(point, "backup_kind"),
           format_size(json_integer_value(json_object_get(point, "size_bytes")), size, sizeof size),
           text_of(point, "level"));
}

static int list(const struct command *command)
{
    json_t *points = NULL, *point;
    struct err err = {0};
    size_t index;

    if (local_restore_list(command->asked.repository, &points, &err) < 0)
        return complain(&err, EXIT_BAD);
    if (command->json) {
        json_dumpf(points, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        printf("%-8s  %-20s  %-16s  %-12s %10s  %s\n", "BACKUP", "MACHINE", "MADE", "KIND", "SIZE", "LEVEL");
        json_array_foreach(points, index, point) print_point(point);
    }
    json_decref(points);
    return EXIT_OK;
}

/* ---- by a worker that runs ---- */

static int handle_line(struct screen *screen, const char *line, int *code)
{
    json_t *json = json_loads(line, 0, NULL);
    const json_t *refused = json_object_get(json, "refused"), *outcome = json_object_get(json, "end");
    int over = refused || outcome;

    if (refused) {
        struct err err = {0};
        close_line(screen);
        err_set(&err, ERR_PERMANENT, "%s", text_of(refused, "text"));
        err_hint(&err, "%s", text_of(refused, "hint"));
        *code = complain(&err, EXIT_MISUSE);
    } else if (outcome)
        *code = print_outcome(screen, outcome);
    else
        told(screen, json);
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
    close_line(screen);
    fputs(interrupts ? "fleetsnap-worker restore: cancelled; the worker takes back what was made\n"
                     : "fleetsnap-worker restore: the worker has gone; say it again, and it goes on\n",
          stderr);
    return interrupts ? EXIT_UNDONE : EXIT_OPEN;
}

static int ask_worker(int fd, const struct command *command, struct screen *screen)
{
    CLEANUP(freep) char *question = NULL;
    struct err err = {0};

    if (record_to_json(&local_restore_record, &command->asked, false, &question, &err) < 0)
        return complain(&err, EXIT_BAD);
    size_t len = strlen(question);
    question[len] = '\n'; /* the place of the NUL */
    if (send(fd, question, len + 1, MSG_NOSIGNAL) != (ssize_t)len + 1) {
        err_errno(&err, errno, "the worker's socket");
        return complain(&err, EXIT_BAD);
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

static int run_alone(const struct command *command, const struct worker_options *options, struct screen *screen)
{
    const struct local_watch watch = {screen, told, cancelled, stopping};
    char *repository = command->asked.repository;
    char *pool = command->asked.directory         ? command->asked.directory
                 : strchr(command->asked.to, '/') ? command->asked.to
                 : options->pools.count           ? options->pools.items[0]
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

    if (local_restore_run(&command->asked, &config, &watch, &outcome, &err) < 0) {
        close_line(screen);
        return complain(&err, EXIT_MISUSE);
    }
    int code = print_outcome(screen, outcome);
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

static int run(struct command *command, const struct worker_options *options)
{
    struct screen screen = {.terminal = isatty(STDERR_FILENO), .json = command->json};
    struct err err = {0};
    int fd = local_service_connect(options->state_directory, &err);

    if (fd == -1)
        return complain(&err, EXIT_BAD);
    catch_signals();
    log_set_level(LOG_LEVEL_ERROR);
    if (fd < 0)
        return run_alone(command, options, &screen);
    int code = ask_worker(fd, command, &screen);
    close(fd);
    return code;
}

static void command_endp(struct command *command)
{
    local_restore_clear(&command->asked);
}

int restore_command(int argc, char *const argv[])
{
    CLEANUP(command_endp) struct command command = {0};
    struct worker_options options = {0};
    struct err err = {0};

    if (read_words(&command, argc, argv, &err) < 0)
        return complain(&err, EXIT_MISUSE);
    if (command.help)
        return help(), EXIT_OK;
    if (make_absolute(&command.asked.repository, &err) < 0 || make_absolute(&command.asked.directory, &err) < 0 ||
        (command.asked.to && strchr(command.asked.to, '/') && make_absolute(&command.asked.to, &err) < 0))
        return complain(&err, EXIT_BAD);
    if (!command.asked.backup)
        return list(&command);
    if (load_options(&command, &options, &err) < 0)
        return complain(&err, EXIT_MISUSE);
    int code = run(&command, &options);
    worker_options_free(&options);
    return code;
}
