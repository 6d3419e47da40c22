#include "worker/backends/libvirt/half_taken.h"
#include "worker/backends/libvirt/snapshots.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A note as libvirt 9.0 writes it and answers as QEMU 7.2 gives them, without what nobody reads: two disks, one of them on a raw block device. */
#define JOB "<job type='none' async='snapshot' phase='none' flags='0x0' asyncStarted='1'/>"
#define NODES(n)                                                        \
    "<privateData><nodenames><nodename type='storage' name='libvirt-" n \
    "-storage'/><nodename type='format' name='libvirt-" n "-format'/></nodenames></privateData>"
#define QOM(n) "<privateData><qom name='/machine/peripheral/virtio-disk" n "/virtio-backend'/></privateData>"
#define NOTE(job)                                                                                                \
    "<domstatus state='running'><monitor path='/m/monitor.sock' type='unix'/>" job                               \
    "<nodename index='5'/><domain type='qemu'><devices><disk type='file' device='disk'>"                         \
    "<driver name='qemu' type='qcow2'/><source file='/d/a' index='2'>" NODES(                                    \
        "2") "</source><backingStore/><target dev='vda'/>" QOM("0") "</disk><disk type='block' device='disk'>"   \
                                                                    "<driver name='qemu' type='raw'/><source "   \
                                                                    "dev='/dev/vg/b' index='1'>" NODES(          \
                                                                        "1") "</source><backingStore/><target "  \
                                                                             "dev='vdb'/>" QOM("1") "</disk></"  \
                                                                                                    "devices></" \
                                                                                                    "domain></"  \
                                                                                                    "domstatus>"

#define DRIVE(n, node, image)                                                                         \
    "{\"device\":\"\",\"qdev\":\"/machine/peripheral/virtio-disk" n "/virtio-backend\",\"inserted\":" \
    "{\"node-name\":\"" node "\",\"image\":" image "}}"
#define IMAGE(file, below) \
    "{\"filename\":\"" file "\",\"format\":\"qcow2\",\"backing-image\":{\"filename\":\"" below "\"}}"
#define A_BEFORE DRIVE("0", "libvirt-2-format", "{\"filename\":\"/d/a\",\"format\":\"qcow2\"}")
#define B_BEFORE DRIVE("1", "libvirt-1-format", "{\"filename\":\"/dev/vg/b\",\"format\":\"raw\"}")
#define A_AFTER  DRIVE("0", "libvirt-103-format", IMAGE("/d/a.fs", "/d/a"))
#define B_AFTER  DRIVE("1", "libvirt-104-format", IMAGE("/d/b.fs", "/dev/vg/b"))

static char *mended;

static bool mend(const char *blocks)
{
    struct err err = {0};

    free(mended);
    assert_int_equal(half_taken_mend(NOTE(JOB), blocks, &mended, &err), 0);
    return mended;
}

static void expect(const char *path, const char *value)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    assert_int_equal(xml_parse(mended, "status", &doc, NULL), 0);
    CLEANUP(freep) char *found = xml_get(doc, path);
    assert_non_null(found);
    assert_string_equal(found, value);
}

static void test_only_a_note_of_a_snapshot_is_in_doubt(void **state)
{
    char *socket = NULL;

    (void)state;
    assert_false(half_taken_doubtful(NOTE(""), &socket));
    assert_false(half_taken_doubtful(NOTE("<job type='none' async='backup'/>"), &socket));
    assert_false(half_taken_doubtful("no note, async='snapshot'", &socket));
    assert_true(half_taken_doubtful(NOTE(JOB), &socket));
    assert_string_equal(socket, "/m/monitor.sock");
    free(socket);
}

static void test_what_was_taken_is_noted(void **state)
{
    (void)state;
    assert_true(mend("[" A_AFTER "," B_AFTER "]"));
#define DISK "/domstatus/domain/devices/disk"
    expect(DISK "[1]/source/@file", "/d/a.fs");
    expect(DISK "[1]/source/@index", "103");
    expect(DISK "[1]/source/privateData/nodenames/nodename[@type='storage']/@name", "libvirt-103-storage");
    expect(DISK "[1]/backingStore/@type", "file");
    expect(DISK "[1]/backingStore/@index", "2");
    expect(DISK "[1]/backingStore/format/@type", "qcow2");
    expect(DISK "[1]/backingStore/source/@file", "/d/a");
    expect(DISK "[1]/backingStore/source/privateData/nodenames/nodename[@type='format']/@name", "libvirt-2-format");
    expect(DISK "[1]/backingStore/backingStore", "");
    assert_null(strstr(mended, "index=\"2\"><privateData"));
    expect(DISK "[2]/@type", "file");
    expect(DISK "[2]/driver/@type", "qcow2");
    expect(DISK "[2]/source/@file", "/d/b.fs");
    expect(DISK "[2]/backingStore/@type", "block");
    expect(DISK "[2]/backingStore/format/@type", "raw");
    expect(DISK "[2]/backingStore/source/@dev", "/dev/vg/b");
    expect("/domstatus/nodename/@index", "104");
}

static void test_what_was_not_taken_stays(void **state)
{
    (void)state;
    assert_false(mend("[" A_BEFORE "," B_BEFORE "]"));
    assert_false(mend("[]"));
    assert_false(mend("[" DRIVE("0", "libvirt-103-format", IMAGE("/d/a.fs", "/d/another")) "]"));
    assert_false(mend("[" DRIVE("0", "somebodys", IMAGE("/d/a.fs", "/d/a")) "]"));
    assert_false(mend("[" DRIVE("0", "libvirt-103-format-2", IMAGE("/d/a.fs", "/d/a")) "]"));
    assert_false(mend("[" DRIVE("0", "libvirt-103-format", "{\"filename\":\"/d/a.fs\"}") "]"));
}

static void test_one_disk_may_have_been_taken_and_another_left_out(void **state)
{
    (void)state;
    assert_true(mend("[" A_BEFORE "," B_AFTER "]"));
    expect(DISK "[1]/source/@file", "/d/a");
    expect(DISK "[2]/source/@file", "/d/b.fs");
}

#define NODE(n) "{\"node-name\":\"libvirt-" n "-storage\"},{\"node-name\":\"libvirt-" n "-format\"}"

static void test_what_is_open_for_nothing_is_named(void **state)
{
    struct strings left = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(half_taken_left(NOTE(JOB),
                                     "[" NODE("1") "," NODE("2") "," NODE("8") ",{\"node-name\":\"#block1\"},{},"
                                                                               "{\"node-name\":\"libvirt-9-other\"}]",
                                     &left, &err),
                     0);
    assert_int_equal(left.count, 2);
    assert_string_equal(left.items[0], "libvirt-8-format");
    assert_string_equal(left.items[1], "libvirt-8-storage");
    strings_endp(&left);
    assert_int_equal(half_taken_left(NOTE(JOB), "{}", &left, &err), -1);
}

static void test_rubbish_is_an_error(void **state)
{
    struct err err = {0};
    char *out = NULL;

    (void)state;
    assert_int_equal(half_taken_mend(NOTE(JOB), "{", &out, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    err = (struct err){0};
    assert_int_equal(half_taken_mend("<domstatus>", "[]", &out, &err), -1);
    assert_null(out);
}

static int end(void **state)
{
    (void)state;
    free(mended);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_a_note_of_a_snapshot_is_in_doubt),
        cmocka_unit_test(test_what_was_taken_is_noted),
        cmocka_unit_test(test_what_was_not_taken_stays),
        cmocka_unit_test(test_one_disk_may_have_been_taken_and_another_left_out),
        cmocka_unit_test(test_what_is_open_for_nothing_is_named),
        cmocka_unit_test(test_rubbish_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
