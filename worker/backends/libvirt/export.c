#include "worker/backends/libvirt/export.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup_left.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static_assert(EXPORT_SOCKET_MAX + sizeof EXPORT_INNER <= sizeof((struct sockaddr_un *)0)->sun_path,
              "its name is longer");

enum { TABLE_MAX = 64 << 20, MAKE_TRIES = 5, CUT_WAIT_MS = 15000, CUT_LOOK_MS = 20 };

/* ---- where ---- */

struct export_server export_server_of(const struct step *step)
{
    return (struct export_server){.socket = facts_get(&step->args, "socket"),
                                  .inner = facts_get(&step->args, "inner"),
                                  .address = facts_get(&step->args, "address"),
                                  .tls = facts_get(&step->args, "tls") != NULL};
}

static void add_escaped(struct text *out, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";

    for (; *path; path++)
        text_addf(out, strchr(plain, *path) ? "%c" : "%%%02X", (unsigned char)*path);
}

char *export_uri(const struct export_server *server, const char *disk)
{
    struct text uri = {0};

    text_add(&uri, server->tls ? "nbds" : "nbd");
    if (server->socket) {
        text_addf(&uri, "+unix:///%s?socket=", disk);
        add_escaped(&uri, server->socket);
    } else {
        text_addf(&uri, "://%s/%s", server->address, disk);
    }
    return text_take(&uri);
}

static char *read_table(const char *path)
{
    char *text = NULL;
    size_t len;

    return file_read(path, TABLE_MAX, &text, &len, NULL) == 0 ? text : NULL;
}

static int tcp_clients(const char *text, struct connections *out)
{
    CLEANUP(freep) char *tcp = read_table("/proc/net/tcp");
    CLEANUP(freep) char *tcp6 = read_table("/proc/net/tcp6"); /* absent where there is no IPv6 */
    struct listen_address address;

    if ((!tcp && !tcp6) || listen_address_parse(text, &address, NULL) < 0)
        return -1;
    if (tcp)
        connections_tcp(tcp, &address, false, out);
    if (tcp6)
        connections_tcp(tcp6, &address, true, out);
    return out->count;
}

static const char *inner_of(const struct export_server *server)
{
    return server->inner ? server->inner : server->socket;
}

int export_clients(const struct export_server *server, struct connections *out)
{
    CLEANUP(freep) char *table = server->socket ? read_table("/proc/net/unix") : NULL;

    *out = (struct connections){0};
    if (!server->socket)
        return tcp_clients(server->address, out);
    out->count = table ? connections_unix(table, inner_of(server)) : -1;
    return out->count;
}

static int path_free(const char *path, struct err *err)
{
    struct stat status;

    if (!path || (lstat(path, &status) < 0 && errno == ENOENT))
        return 0;
    err_set(err, ERR_CONFLICT, "socket %s: there is something of that name, which the hypervisor would remove", path);
    return err_hint(err, "remove it, or give another path");
}

int export_socket_free(const struct export_server *server, struct err *err)
{
    return path_free(server->socket, err) < 0 ? -1 : path_free(server->inner, err);
}

/* ---- scratch ---- */

/* Another export on this host may just have removed the folders above as empty. */
int export_room_make(const char *folder, struct err *err)
{
    int made = -1;

    for (int try = 0; made < 0 && try < MAKE_TRIES; try++)
        made = file_make_directories(folder, 0711, err);
    if (made == 0 && err)
        *err = (struct err){0};
    return made;
}

static bool listens(const char *path)
{
    CLEANUP(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno != ECONNREFUSED;
}

/* What a QEMU or a worker that was killed leaves. */
static void remove_dead_socket(const char *path)
{
    struct stat status;

    if (path && lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && !listens(path))
        unlink(path);
}

void export_remove_dead_sockets(const char *folder, const struct export_server *server)
{
    if (!export_noted(folder, "free"))
        return;
    remove_dead_socket(server->socket);
    remove_dead_socket(server->inner);
}

int export_room_clear(const char *folder, const struct export_server *server, struct err *err)
{
    char above[PATH_MAX];
    char *slash;

    export_remove_dead_sockets(folder, server);
    if (file_remove_folder(folder, err) < 0)
        return -1;
    snprintf(above, sizeof above, "%s", folder);
    for (int up = 0; up < 2 && (slash = strrchr(above, '/')); up++) { /* while they are empty */
        *slash = '\0';
        rmdir(above);
    }
    return 0;
}

int64_t export_room_bytes(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    struct stat status;
    int64_t bytes = 0;

    while (dir && (entry = readdir(dir)))
        if (fstatat(dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
            bytes += (int64_t)status.st_blocks * 512;
    if (dir)
        closedir(dir);
    return bytes;
}

bool export_noted(const char *folder, const char *note)
{
    char path[PATH_MAX];

    return snprintf(path, sizeof path, "%s/%s", folder, note) < (int)sizeof path && file_exists(path);
}

int export_note(const char *folder, const char *note, struct err *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", folder, note) >= (int)sizeof path)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", folder);
    return file_write_atomic(path, "", 0, 0600, err);
}

/* ---- the end ---- */

static int wait_for_nobody(const struct export_server *server, struct err *err)
{
    int64_t until = clock_monotonic_ms() + CUT_WAIT_MS;
    struct connections seen;
    int clients;

    while ((clients = export_clients(server, &seen)) > 0 && clock_monotonic_ms() < until)
        nanosleep(&(struct timespec){.tv_nsec = CUT_LOOK_MS * 1000000L}, NULL);
    if (clients <= 0)
        return 0;
    err_set(err, ERR_RETRY, "%d connections to %s stay open: QEMU would wait for them for ever, and the guest with it",
            clients, server->socket ? server->socket : server->address);
    return err_hint(err, "end these clients (ss -xp, ss -tp), then fleetsnap target export-finish TARGET --how cancel");
}

int export_abort(virDomainPtr domain, const char *folder, const struct export_server *server, struct err *err)
{
    enum running_backup running;

    if (backup_running(domain, folder, &running, err) < 0)
        return -1;
    if (running != BACKUP_OURS) {
        export_remove_left(domain, folder, server);
        return 0;
    }
    if (server->socket && export_noted(folder, "free"))
        unlink(inner_of(server));
    backup_cut_clients(domain);
    return wait_for_nobody(server, err) < 0 ? -1 : backup_abort(domain, folder, err);
}

/* ---- what runs ---- */

/* ".../fleetsnap-export/<target>/<job>/vda.qcow2" → folder and job. */
static bool of_export(char *file, char out_job[UUID_TEXT])
{
    char *slash = strrchr(file, '/');
    const char *job;

    if (!slash || !strstr(file, "/" EXPORT_PLACE "/"))
        return false;
    *slash = '\0';
    job = strrchr(file, '/');
    if (!job || !uuid_valid(job + 1))
        return false;
    snprintf(out_job, UUID_TEXT, "%s", job + 1);
    return true;
}

int export_running(virDomainPtr domain, xmlDocPtr *out_xml, char **out_folder, char out_job[UUID_TEXT], struct err *err)
{
    CLEANUP(freep) char *text = virDomainBackupGetXMLDesc(domain, 0);
    CLEANUP(freep) char *file = NULL;

    *out_folder = NULL;
    if (!text && libvirt_code() != VIR_ERR_NO_DOMAIN_BACKUP && libvirt_code() != VIR_ERR_OPERATION_INVALID)
        return libvirt_err(err, "backup job");
    if (!text)
        return 0;
    if (xml_parse(text, "domainbackup", out_xml, err) < 0)
        return -1;
    file = xml_get(*out_xml, "/domainbackup/disks/disk/scratch/@file");
    if (file && of_export(file, out_job))
        *out_folder = TAKE_PTR(file);
    return 0;
}
