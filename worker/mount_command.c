#include "worker/mount_command.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "model/record.h"
#include "worker/mount.h"

#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_BAD = 1, EXIT_MISUSE = 2, IDLE_MS = 15 * 60 * 1000, HOST_MAX = 256 };

static atomic_int interrupts;

struct command {
    char *repository, *directory; /* absolute */
    const char *backup;
    struct strings disks;
    int64_t idle_ms;
    bool json, help;
};

static void help(void)
{
    fputs(
        "fleetsnap-worker mount: the disks of a backup as read-only files, for single files out of it\n\n"
        "  fleetsnap-worker mount --repository DIR BACKUP --directory DIR\n\n"
        "BACKUP is the beginning of an id, or the name of a machine: its newest backup. Nothing is copied: each file of\n"
        "--directory is read through the backup's chain, which nobody deletes meanwhile. It is there until ^C, or until\n"
        "nobody has read it for a while.\n\n"
        "Examples\n"
        "  fleetsnap-worker mount --repository /backup/main shop-1 --directory /mnt/shop-1\n"
        "  mount -o ro,loop,noload /mnt/shop-1/vda.raw /mnt/files            a disk that is one ext4 file system\n"
        "  losetup -rPf --show /mnt/shop-1/vda.raw                           one with partitions: /dev/loop0p1 …\n\n"
        "Options\n"
        "  --repository DIR         the directory with fleetsnap-repository.json\n"
        "  --directory DIR          where the files appear: <disk>.raw; it is made where it is not there\n"
        "  --disks vda,vdb          only these disks\n"
        "  --idle-timeout DURATION  end after so long without a read, default 15m; 0 for never. An open file keeps it\n"
        "  --json                   one JSON line on standard output when it is there\n\n"
        "Needs qemu-storage-daemon, and root or fusermount3. Exit codes: 0 it was there, 1 failed, 2 usage\n",
        stdout);
}

static int complain(const struct err *err, int code)
{
    fprintf(stderr, "fleetsnap-worker mount: %s\n", err->text);
    if (err->hint[0])
        fprintf(stderr, "  %s\n", err->hint);
    return code;
}

/* ---- what was typed ---- */

/* The shell's directory is not everybody's. */
static int set_path(char **out, const char *path, struct err *err)
{
    CLEANUP(freep) char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);

    free(*out);
    if (path[0] == '/')
        *out = strdup(path);
    else if (!here || asprintf(out, "%s/%s", here, path) < 0)
        *out = NULL;
    return *out ? 0 : err_memory(err, path);
}

static int set_option(struct command *command, const char *name, const char *value, struct err *err)
{
    if (strcmp(name, "--repository") == 0)
        return set_path(&command->repository, value, err);
    if (strcmp(name, "--directory") == 0)
        return set_path(&command->directory, value, err);
    if (strcmp(name, "--disks") == 0)
        return strings_add_words(&command->disks, value, ",", err);
    if (strcmp(value, "0") == 0)
        return command->idle_ms = 0, 0;
    return parse_duration(value, &command->idle_ms, err) < 0 ? err_wrap(err, "%s", name) : 0;
}

/* --name VALUE or --name=VALUE. 0: taken, 1: none of them. */
static int read_valued(struct command *command, char *const argv[], int *at, struct err *err)
{
    static const char *const names[] = {"--repository", "--directory", "--disks", "--idle-timeout"};
    const char *word = argv[*at];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t len = strlen(names[i]);

        if (strncmp(word, names[i], len) != 0 || (word[len] && word[len] != '='))
            continue;
        if (word[len] == '=')
            return set_option(command, names[i], word + len + 1, err);
        if (!argv[*at + 1])
            return err_set(err, ERR_PERMANENT, "%s needs a value; see --help", word);
        return set_option(command, names[i], argv[++*at], err);
    }
    return 1;
}

static int read_word(struct command *command, const char *word, struct err *err)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return command->help = true, 0;
    if (strcmp(word, "--json") == 0)
        return command->json = true, 0;
    if (word[0] == '-')
        return err_set(err, ERR_PERMANENT, "%s: not understood; see fleetsnap-worker mount --help", word);
    if (command->backup)
        return err_set(err, ERR_PERMANENT, "%s: one backup at a time", word);
    return command->backup = word, 0;
}

static int read_words(struct command *command, int argc, char *const argv[], struct err *err)
{
    for (int i = 1; i < argc; i++) {
        int taken = read_valued(command, argv, &i, err);

        if (taken < 0 || (taken > 0 && read_word(command, argv[i], err) < 0))
            return -1;
    }
    if (command->help)
        return 0;
    if (!command->repository)
        return err_set(err, ERR_PERMANENT, "say where the backups are: --repository DIR");
    if (!command->backup) {
        err_set(err, ERR_PERMANENT, "say which backup");
        return err_hint(err, "what is there: fleetsnap-worker restore --repository %s", command->repository);
    }
    return command->directory ? 0 : err_set(err, ERR_PERMANENT, "say where to: --directory DIR");
}

/* ---- while it is there ---- */

static bool ending(void *context)
{
    (void)context;
    return interrupts > 0;
}

static void interrupted(int signal_number)
{
    (void)signal_number;
    interrupts++;
}

static void print_json(const char *point, const struct mounted_image *images, size_t count)
{
    json_t *list = json_array();
    json_t *all;

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "disk", images[i].disk, "path", images[i].path,
                                              "size_bytes", (json_int_t)images[i].size_bytes));
    all = json_pack("{s:s, s:o}", "backup", point, "images", list);
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

static void ready(void *context, const char *point, const struct mounted_image *images, size_t count)
{
    const struct command *command = context;
    char text[32];

    if (command->json) {
        print_json(point, images, count);
    } else {
        printf("backup %s is there, read-only:\n", point);
        for (size_t i = 0; i < count; i++)
            printf("  %s   %s\n", images[i].path, format_size(images[i].size_bytes, text, sizeof text));
        if (command->idle_ms)
            printf("^C ends it, and so does %s without a read\n", format_duration(command->idle_ms, text, sizeof text));
        else
            printf("^C ends it\n");
    }
    fflush(stdout);
}

static void busy(void *context)
{
    (void)context;
    fprintf(stderr, "nobody reads it, but a file is open: it stays\n");
}

static void command_endp(struct command *command)
{
    free(command->repository);
    free(command->directory);
    strings_clear(&command->disks);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = interrupted};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int mount_command(int argc, char *const argv[])
{
    CLEANUP(command_endp) struct command command = {.idle_ms = IDLE_MS};
    char host[HOST_MAX] = "";
    struct err err = {0};

    if (read_words(&command, argc, argv, &err) < 0)
        return complain(&err, EXIT_MISUSE);
    if (command.help)
        return help(), EXIT_OK;
    gethostname(host, sizeof host - 1);
    catch_signals();
    log_set_level(LOG_LEVEL_ERROR);
    const struct mount_request request = {
        .repository = command.repository,
        .backup = command.backup,
        .directory = command.directory,
        .disks = &command.disks,
        .idle_ms = command.idle_ms,
        .host = host,
        .context = &command,
        .ending = ending,
        .ready = ready,
        .busy = busy,
    };
    return mount_run(&request, &err) < 0 ? complain(&err, EXIT_BAD) : EXIT_OK;
}
