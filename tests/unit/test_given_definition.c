/* A definition that a person gives for a restored domain: taken, or refused with line and element. */
#include "worker/backends/libvirt/given_definition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "xml_expect.h"

#define HEAD                                                   \
    "<domain type='kvm'>\n"                                    \
    "  <name>web</name>\n"                                     \
    "  <memory>65536</memory>\n"                               \
    "  <os><type arch='x86_64' machine='pc'>hvm</type></os>\n" \
    "  <devices>\n"
#define DISK(name)         "    <disk type='file' device='disk'>\n      <target dev='" name "'/>\n    </disk>\n"
#define TAIL               "  </devices>\n</domain>\n"
#define HOSTDEV(id)        "<hostdev mode='subsystem' type='usb'><source><vendor id='" id "'/></source></hostdev>"
#define SERIAL(path)       "<serial type='file'><source path='" path "'/></serial>"
#define CARD(type, source) "<interface type='" type "'><source " source "/></interface>"
#define QEMU               "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/>"

static const char saved[] = "<domain><os><type>hvm</type><kernel>/boot/k</kernel></os><memory>1</memory><devices>"
                            "<emulator>/usr/bin/qemu</emulator>" HOSTDEV("1") SERIAL("/var/log/web")
                                CARD("bridge", "bridge='br0'") "</devices></domain>";

static int take(const char *text, xmlDocPtr *out, struct err *err)
{
    CLEANUP(strings_clear) struct strings disks = {0};
    CLEANUP(xml_freep) xmlDocPtr known = NULL;

    assert_int_equal(strings_add(&disks, "vda", err), 0);
    assert_int_equal(xml_parse(saved, "saved", &known, err), 0);
    return given_definition(text, &disks, known, out, err);
}

static void what_fits_is_taken(void **state)
{
    static const char text[] = HEAD DISK(
        "vda") "<disk device='cdrom'><source file='/any.iso'/><target dev='sda'/></disk>"
               "<emulator>/usr/bin/qemu</emulator>" HOSTDEV("1")
                   SERIAL("/var/log/web") "<console type='pty'/>" CARD("network", "network='any'")
                       CARD("bridge", "bridge='br0'") "<interface type='user'/>" TAIL;
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    struct err err = {0};

    (void)state;
    if (take(text, &doc, &err) < 0)
        fail_msg("%s", err.text);
    assert_xml(doc, "/domain/name", "web");
    assert_xml(doc, "//disk/source/@file", NULL);
}

static void refused(const char *text, const char *why)
{
    struct err err = {0};
    xmlDocPtr doc = NULL;

    assert_int_equal(take(text, &doc, &err), -1);
    assert_null(doc);
    assert_int_equal(err.kind, ERR_PERMANENT);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void what_does_not_is_refused_with_its_line(void **state)
{
    (void)state;
    refused("<domain>\n<name>\n</domain>", "the given definition: not well-formed XML, line 3:");
    refused("<!DOCTYPE domain []>\n<domain/>", "the given definition: XML with a document type is refused");
    refused("\n<domainsnapshot/>", "line 2: <domainsnapshot>: <domain> was expected");
    refused("<domain><memory>1</memory></domain>", "line 1: <domain>: os/type: is missing in it");
    refused(HEAD DISK("vda") "    <graphics type='vnc' passwd='x'/>\n" TAIL,
            "line 9: <graphics>: passwd: secrets do not travel with a job");
    refused(HEAD DISK("vda") DISK("vdb") TAIL, "line 9: <disk>: vdb: is none of the disks that are restored");
    refused(HEAD DISK("vda") DISK("vda") TAIL, "line 9: <disk>: vda: is there twice");
    refused(HEAD "    <disk type='file'/>\n" TAIL, "line 6: <disk>: it has no <target dev");
    refused(HEAD TAIL, "line 5: <devices>: vda: is restored, and no <disk> has it");
}

/* Who may restore a guest gets no file and no device of the host by it that the guest had not. */
static void what_reaches_the_host_is_refused(void **state)
{
    (void)state;
    refused(HEAD DISK("vda") "<emulator>/tmp/mine</emulator>" TAIL, "line 9: <emulator>: reaches what the saved");
    refused(HEAD DISK("vda") "<emulator>mine</emulator>" TAIL, "line 9: <emulator>: reaches what the saved");
    refused(HEAD DISK("vda") SERIAL("/var/log/other") TAIL, "line 9: <source>: path: reaches what the saved");
    refused(HEAD DISK("vda") SERIAL("etc/x") TAIL, "line 9: <source>: path: reaches what the saved");
    refused(HEAD DISK("vda") HOSTDEV("2") TAIL, "line 9: <hostdev>: reaches what the saved");
    refused(HEAD DISK("vda") "<filesystem><source dir='/'/><target dir='x'/></filesystem>" TAIL,
            "line 9: <filesystem>: reaches what the saved");
    refused(HEAD DISK("vda") "</devices><seclabel type='none'/><devices>" TAIL, "line 9: <seclabel>: reaches what");
    refused(HEAD DISK("vda") "</devices>" QEMU "<devices>" TAIL, "line 9: <commandline>: reaches what the saved");
    refused(HEAD DISK("vda") "<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>" TAIL,
            "line 9: <device>: path: reaches what the saved");
    refused(HEAD DISK("vda") "<rng model='virtio'><backend model='random'>/dev/mem</backend></rng>" TAIL,
            "line 9: <backend>: reaches what the saved");
    refused(HEAD DISK("vda") CARD("bridge", "bridge='br1'") TAIL, "line 9: <interface>: reaches what the saved");
    refused(HEAD DISK("vda") CARD("direct", "dev='eth0'") TAIL, "line 9: <interface>: reaches what the saved");
    refused(HEAD DISK("vda") "<interface><source bridge='br0'/></interface>" TAIL,
            "line 9: <interface>: reaches what the saved");
    refused(HEAD DISK("vda") "<interface type='ethernet'><target dev='tap0'/></interface>" TAIL,
            "line 9: <interface>: reaches what the saved");
    refused(HEAD DISK("vda") "<shmem name='theirs'/>" TAIL, "line 9: <shmem>: reaches what the saved");
    refused(HEAD DISK("vda") "<smartcard mode='host'/>" TAIL, "line 9: <smartcard>: reaches what the saved");
    refused(HEAD DISK("vda") "<serial type='tcp'><source mode='bind' host='0.0.0.0' service='22'/></serial>" TAIL,
            "line 9: <source>: service: reaches what the saved");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_taken),
        cmocka_unit_test(what_does_not_is_refused_with_its_line),
        cmocka_unit_test(what_reaches_the_host_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
