/*
 * Exports on real QEMU, with a guest that writes all the time: read through TLS by tools of others, held by clients that hang, and out of room for what the guest overwrites. However one
 * ends, the guest goes on, what it wrote is on its disk, and the next backup is right.
 */
#include "support/backup_rig.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "worker/backends/libvirt/export.h"

#include <arpa/inet.h>
#include <endian.h>
#include <libvirt/libvirt-qemu.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { TOOL_MS = 120000, PATIENCE_MS = 300000 };

static struct rig rig;
static char socket_path[64], address[32];

/* ---- tools ---- */

/* Runs a line of shell in the folder of the rig; its exit code. Any thread. */
static int sh(const char *format, ...)
{
    const struct process_options options = {.inherit_fd = -1, .timeout_ms = TOOL_MS};
    char command[4096];
    struct err err = {0};
    va_list arguments;
    int status = -1, len = snprintf(command, sizeof command, "cd %s && exec >>sh.log 2>&1; set -x; ", rig.root);

    va_start(arguments, format);
    vsnprintf(command + len, sizeof command - (size_t)len, format, arguments);
    va_end(arguments);
    if (process_run((const char *[]){"/bin/sh", "-c", command, NULL}, &options, NULL, &status, &err) < 0)
        status = -1;
    return status;
}

static void must(int status)
{
    CLEANUP(freep) char *log = NULL;
    char path[64];
    size_t len;

    if (status == 0)
        return;
    snprintf(path, sizeof path, "%s/sh.log", rig.root);
    file_read(path, 1 << 20, &log, &len, NULL);
    fail_msg("exit code %d: %s", status, log ? log : "");
}

/* server/, and for clients: client/, foreign/ (of another CA) and nobody/ (no certificate). */
static const char certificates[] =
    "set -e; mkdir -p tls/server tls/client tls/foreign tls/nobody; cd tls;"
    "new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';"
    "ca() { openssl req -x509 $new -keyout $1-key.pem -out $1-cert.pem -subj /CN=$1 -days 9; };"
    "sign() { openssl req $new -keyout $3-key.pem -out request -subj /CN=fleetsnap; echo \"$4\" >extensions;"
    "    openssl x509 -req -in request -CA $1-cert.pem -CAkey $1-key.pem -set_serial $2 -days 9 -extfile extensions -out $3-cert.pem; };"
    "ca ours; ca theirs;"
    "sign ours 1 server/server 'subjectAltName = IP:127.0.0.1';"
    "sign ours 2 client/client 'extendedKeyUsage = clientAuth';"
    "sign theirs 1 foreign/client 'extendedKeyUsage = clientAuth';"
    "for folder in server client foreign nobody; do cp ours-cert.pem $folder/ca-cert.pem; done;"
    "chmod -R a+rX .";

/* ---- an export, and who reads it ---- */

static void (*reader)(void); /* as soon as the job says where it is; until it returns the job does not look at its clients */
static bool begun;

static void begin_reading(struct rig *host, const struct facts *facts)
{
    (void)host;
    if (begun || !facts_get(facts, "uri.vda"))
        return;
    begun = true;
    reader();
}

static struct params_target_export *params_of(struct job *job)
{
    return job->params;
}

enum where { AT_SOCKET, AT_PORT, WITH_TLS };

static struct job *export_job(int kind, enum where where)
{
    struct job *job = rig_job(&rig, OP_TARGET_EXPORT);
    struct params_target_export *params = job->params;

    params->kind = kind;
    params->quiesce = QUIESCE_NEVER;
    params->tls = where == WITH_TLS;
    if (where == AT_SOCKET)
        params->socket = strdup(socket_path);
    else
        params->address = strdup(address);
    job->deadline_ms = clock_real_ms() + PATIENCE_MS;
    return job;
}

static void export_while(struct job *job, void (*who)(void), struct outcome *out)
{
    reader = who;
    begun = false;
    rig.on_tell = begin_reading;
    rig_run(&rig, job, out);
    rig.on_tell = NULL;
}

static void succeeds(struct job *job, void (*who)(void))
{
    struct outcome out;

    export_while(job, who, &out);
    if (out.kind != OUTCOME_ENDED || out.state != STATE_SUCCEEDED)
        fail_msg("outcome %d, state %d: %s", (int)out.kind, (int)out.state, out.err.text);
    outcome_clear(&out);
}

static void fails(struct job *job, void (*who)(void), const char *text)
{
    struct outcome out;

    export_while(job, who, &out);
    if (out.kind != OUTCOME_ENDED || out.state != STATE_FAILED || !strstr(out.err.text, text))
        fail_msg("outcome %d, state %d: %s", (int)out.kind, (int)out.state, out.err.text);
    outcome_clear(&out);
}

/* Nothing of it is left, and the guest has not lost a write. */
static void nothing_is_left(int checkpoints)
{
    struct stat status;
    char path[PATH_MAX];

    assert_int_equal(rig_checkpoints(&rig), checkpoints);
    assert_int_equal(lstat(socket_path, &status), -1);
    snprintf(path, sizeof path, "%s/pool/fleetsnap-export", rig.root);
    assert_int_equal(lstat(path, &status), -1);
    assert_null(virDomainBackupGetXMLDesc(rig.domain, 0));
    rig_wait_for_writes(&rig, 5);
    assert_int_equal(virDomainSuspend(rig.domain), 0);
    rig_check_writes(&rig);
}

static void resume(void)
{
    assert_int_equal(virDomainResume(rig.domain), 0);
    rig_wait_for_writes(&rig, 2);
}

static void next_backup_is_right(void)
{
    struct job *job = rig_job(&rig, OP_BACKUP_CREATE);
    struct restore_point point;
    char id[37], file[PATH_MAX], live[PATH_MAX];

    ((struct params_backup_create *)job->params)->kind = BACKUP_FULL;
    rig_succeed(&rig, job, id);
    rig_manifest(&rig, id, &point);
    snprintf(file, sizeof file, "%s/%s/%s/%s/vda.qcow2", rig.repository, rig.uuid, point.chain, id);
    assert_true(rig_same(rig_disk(&rig, "vda.img", live), "qcow2", file, "qcow2"));
    restore_point_clear(&point);
    rig_forget_checkpoints(&rig);
    resume();
}

/* ---- through TLS ---- */

static struct seen {
    int plain, nobody, foreign, copy, compare;
} seen;

static void read_all(void)
{
    seen.plain = sh("nbdinfo nbd://%s/vda", address);
    seen.nobody = sh("nbdinfo 'nbds://%s/vda?tls-certificates=%s/tls/nobody'", address, rig.root);
    seen.foreign = sh("nbdinfo 'nbds://%s/vda?tls-certificates=%s/tls/foreign'", address, rig.root);
    seen.copy = sh("nbdcopy 'nbds://%s/vda?tls-certificates=%s/tls/client' copy.raw", address, rig.root);
    seen.compare = sh("qemu-img compare -f raw -F raw copy.raw frozen.raw");
    rig.told_to_end = true;
}

static void resume_and_read(struct rig *host, const struct facts *facts)
{
    if (begun)
        return;
    assert_string_equal(facts_get(facts, "clients"), "0");
    resume();
    rig_write(host, "vda", 0x5a, "0", "4M"); /* over what is exported */
    begin_reading(host, facts);
}

static void with_a_certificate_it_is_read(void **state)
{
    struct outcome out;

    (void)state;
    assert_int_equal(virDomainSuspend(rig.domain), 0);
    must(sh("qemu-img convert -U -O raw disks/vda.img frozen.raw"));
    reader = read_all;
    begun = false;
    rig.on_tell = resume_and_read;
    rig_run(&rig, export_job(EXPORT_FULL, WITH_TLS), &out);
    rig.on_tell = NULL;
    if (out.state != STATE_SUCCEEDED)
        fail_msg("state %d: %s", (int)out.state, out.err.text);
    outcome_clear(&out);
    must(seen.copy);
    must(seen.compare);
    assert_int_not_equal(seen.plain, 0);
    assert_int_not_equal(seen.nobody, 0);
    assert_int_not_equal(seen.foreign, 0);
    nothing_is_left(1);
    resume();
}

static void read_bitmap(void)
{
    seen.copy = sh("nbdinfo --json --map=qemu:dirty-bitmap:dirty 'nbds://%s/vdb?tls-certificates=%s/tls/client' >map",
                   address, rig.root);
    seen.compare = sh(
        "qemu-img compare -U --object tls-creds-x509,id=tls,dir=tls/client,endpoint=client --image-opts "
        "driver=nbd,host=127.0.0.1,port=%s,export=vdb,tls-creds=tls driver=qcow2,file.filename=disks/vdb.img",
        strchr(address, ':') + 1);
    rig.told_to_end = true;
}

static void its_bitmap_says_what_was_written(void **state)
{
    (void)state;
    rig_write(&rig, "vdb", 0x66, "32M", "192k");
    assert_int_equal(virDomainSuspend(rig.domain),
                     0); /* what QEMU has in memory is on the disk, and it can be compared */
    resume();
    succeeds(export_job(EXPORT_INCREMENTAL, WITH_TLS), read_bitmap);
    must(seen.copy);
    must(seen.compare);
    must(sh("[ \"$(jq -c '[.[] | select(.type == 1) | [.offset, .length]]' map)\" = '[[33554432,196608]]' ]"));
    nothing_is_left(2);
    next_backup_is_right();
}

/* ---- clients that hang ---- */

static int hung[2] = {-1, -1};

static int client_of(const struct sockaddr *where, socklen_t size)
{
    int fd = socket(where->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, where, size) == 0)
        return fd;
    close(fd);
    return -1;
}

static int client_at(enum where where)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    snprintf(local.sun_path, sizeof local.sun_path, "%s", socket_path);
    port.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
    return where == AT_SOCKET ? client_of((struct sockaddr *)&local, sizeof local)
                              : client_of((struct sockaddr *)&port, sizeof port);
}

/* Asks for 32 MiB, of which it reads nothing. */
static bool ask(int fd)
{
    struct __attribute__((packed)) {
        uint32_t flags;
        char magic[8];
        uint32_t option, len;
        char name[3];
        uint32_t request;
        uint16_t request_flags, type;
        uint64_t handle, from;
        uint32_t bytes;
    } words = {htonl(3), "", htonl(1), htonl(3), {'v', 'd', 'a'}, htonl(0x25609513), 0, 0, 1, 0, htonl(32 << 20)};
    char greeting[18];

    memcpy(words.magic, "IHAVEOPT", 8);
    return recv(fd, greeting, sizeof greeting, MSG_WAITALL) == sizeof greeting &&
           send(fd, &words, sizeof words, MSG_NOSIGNAL) == sizeof words;
}

static enum where hung_at;

/* One never says a word, the other stops reading. */
static void hang(void)
{
    char byte;

    hung[0] = hung_at == AT_SOCKET ? client_at(hung_at) : -1; /* once is enough: QEMU takes 10 s */
    hung[1] = client_at(hung_at);
    seen.copy = hung[1] >= 0 && ask(hung[1]) && recv(hung[1], &byte, 1, MSG_WAITALL) == 1 ? 0 : 1;
}

static void hang_and_be_done(void)
{
    hang();
    rig.told_to_end = true;
}

static void let_go(void)
{
    for (int i = 0; i < 2; i++)
        if (hung[i] >= 0)
            close(hung[i]);
    hung[0] = hung[1] = -1;
}

static void they_do_not_hold_it(enum where where)
{
    struct job *job = export_job(EXPORT_FULL, hung_at = where);

    params_of(job)->idle_timeout_ms = 3000;
    fails(job, hang, "read nothing for 3 s");
    assert_int_equal(seen.copy, 0);
    nothing_is_left(0);
    let_go();
    next_backup_is_right();
}

static void clients_that_hang_do_not_hold_a_socket(void **state)
{
    (void)state;
    they_do_not_hold_it(AT_SOCKET);
}

static void clients_that_hang_do_not_hold_a_port(void **state)
{
    (void)state;
    they_do_not_hold_it(AT_PORT);
}

static void they_are_cut_when_it_is_done(void **state)
{
    (void)state;
    succeeds(export_job(EXPORT_FULL, hung_at = AT_SOCKET), hang_and_be_done);
    assert_int_equal(seen.copy, 0);
    nothing_is_left(1);
    let_go();
    next_backup_is_right();
}

/* ---- what a libvirt leaves that died while it took in the end of an export ---- */

static char *tell_qemu(const char *format, ...)
{
    char command[PATH_MAX + 256], *answer = NULL;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    assert_int_equal(virDomainQemuMonitorCommand(rig.domain, command, &answer, 0), 0);
    if (strstr(answer, "\"error\""))
        fail_msg("%s: %s", command, answer);
    return answer;
}

/* QEMU has one, and takes no other. */
static void leave_a_server(void)
{
    free(tell_qemu(
        "{\"execute\": \"nbd-server-start\", \"arguments\": {\"addr\": {\"type\": \"unix\", \"data\": {\"path\": \"%s.left\"}}}}",
        socket_path));
}

/* It stands on the disk, which so takes no snapshot. */
static void leave_scratch(const char *folder)
{
    must(sh("mkdir -p %s && chmod 777 %s && qemu-img create -q -f qcow2 %s/vda.qcow2 16M && chmod 666 %s/vda.qcow2",
            folder, folder, folder, folder));
    free(tell_qemu(
        "{\"execute\": \"blockdev-add\", \"arguments\": {\"driver\": \"file\", \"node-name\": \"left-storage\", \"filename\": \"%s/vda.qcow2\"}}",
        folder));
    free(tell_qemu(
        "{\"execute\": \"blockdev-add\", \"arguments\": {\"driver\": \"qcow2\", \"node-name\": \"left-format\", \"file\": \"left-storage\"}}"));
}

static void be_done(void)
{
    rig.told_to_end = true;
}

static void what_a_dead_libvirt_left_hinders_nobody(void **state)
{
    const struct export_server server = {.socket = socket_path};
    CLEANUP(freep) char *nodes = NULL;
    char folder[PATH_MAX];
    struct err err = {0};

    (void)state;
    snprintf(folder, sizeof folder, "%s/left", rig.root);
    leave_a_server();
    leave_scratch(folder);
    assert_int_equal(export_abort(rig.domain, folder, &server, &err), 0); /* the step that ends one, once more */
    nodes = tell_qemu("{\"execute\": \"query-named-block-nodes\", \"arguments\": {\"flat\": true}}");
    assert_null(strstr(nodes, "left-"));
    leave_a_server();
    succeeds(export_job(EXPORT_FULL, AT_SOCKET), be_done);
    nothing_is_left(1);
    next_backup_is_right();
}

/* ---- scratch ---- */

/* The guest overwrites 8 MiB of what is exported. */
static void overwrite(struct rig *host, const struct facts *facts)
{
    (void)facts;
    if (!begun)
        rig_write(host, "vda", 0x5b, "0", "8M");
    begun = true;
}

static void ends_for_want_of_room(struct job *job, void (*on_tell)(struct rig *host, const struct facts *facts))
{
    struct outcome out;

    begun = false;
    rig.on_tell = on_tell;
    rig_run(&rig, job, &out);
    rig.on_tell = NULL;
    if (out.kind != OUTCOME_ENDED || out.state != STATE_FAILED || !strstr(out.err.text, "nearly full"))
        fail_msg("outcome %d, state %d: %s", (int)out.kind, (int)out.state, out.err.text);
    outcome_clear(&out);
    nothing_is_left(0);
    next_backup_is_right();
}

static void scratch_reaches_its_limit(void **state)
{
    struct job *job = export_job(EXPORT_FULL, AT_SOCKET);

    (void)state;
    params_of(job)->scratch_limit = 4 << 20;
    ends_for_want_of_room(job, overwrite);
}

/* Somebody else takes all the room, and the guest is stopped by its next write, before anybody has looked. */
static void fill_and_overwrite(struct rig *host, const struct facts *facts)
{
    int state = VIR_DOMAIN_RUNNING;

    if (begun)
        return;
    rig_fill_repository(host);
    for (int64_t until = clock_monotonic_ms() + PATIENCE_MS; state != VIR_DOMAIN_PAUSED;) {
        assert_true(clock_monotonic_ms() < until);
        assert_int_equal(virDomainGetState(host->domain, &state, NULL, 0), 0);
    }
    begun = true;
    (void)facts;
}

static void scratch_is_full(void **state)
{
    struct job *job = export_job(EXPORT_FULL, AT_SOCKET);

    (void)state;
    rig_small_repository(&rig, 40);
    strings_add(&rig.pools, rig.small, NULL);
    params_of(job)->scratch = strdup(rig.small);
    ends_for_want_of_room(job, fill_and_overwrite);
    rig_drop_small_repository(&rig);
}

static int set_up(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof any;
    char lines[128];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    rig_prepare(&rig, "web-1");
    rig_boot_writer(&rig);
    /* What it overwrites is data, which has to be saved before. */
    must(sh("qemu-io -f qcow2 -c 'write -P 0 448M 64M' disks/vda.img"));
    must(sh("%s", certificates));
    snprintf(lines, sizeof lines, "backup_tls_x509_cert_dir = \"%s/tls/server\"\nbackup_tls_x509_verify = 1\n",
             rig.root);
    rig_configure(&rig, lines);
    must(sh("mkdir nbd && chmod 1777 nbd"));
    snprintf(socket_path, sizeof socket_path, "%s/nbd/export.sock", rig.root);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &size), 0);
    close(fd);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(any.sin_port));
    rig_connect(&rig);
    rig_power(&rig, true);
    rig_wait_for_writes(&rig, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_certificate_it_is_read),
        cmocka_unit_test(its_bitmap_says_what_was_written),
        cmocka_unit_test(clients_that_hang_do_not_hold_a_socket),
        cmocka_unit_test(clients_that_hang_do_not_hold_a_port),
        cmocka_unit_test(they_are_cut_when_it_is_done),
        cmocka_unit_test(scratch_reaches_its_limit),
        cmocka_unit_test(scratch_is_full),
        cmocka_unit_test(what_a_dead_libvirt_left_hinders_nobody),
    };

    if (!rig_possible()) {
        fprintf(stderr, "skipped: needs root and qemu-system-x86_64\n");
        return 0;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("libvirt export", tests, set_up, tear_down);
}
