/* A copy that is started to see whether it boots reaches nothing but its own disks. */
#include "worker/backends/libvirt/boot_copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "xml_expect.h"

#define JOB "0d9b1c1e-8c0c-4b2f-9f3f-5a3c8f3d2b11"

static const char machine[] =
    "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>web</name>"
    "<title>the shop</title><description>ours [fleetsnap " JOB "]</description>"
    "<metadata><l:labels xmlns:l='https://fleetsnap.dev/xmlns/labels/1'><l:label name='app' value='shop'/></l:labels></metadata>"
    "<memory unit='MiB'>512</memory><memoryBacking><hugepages/></memoryBacking>"
    "<seclabel type='static' model='dac' relabel='no'/>"
    "<devices>"
    "<disk type='file' device='disk'><source file='/pool/x/vda.qcow2'/><target dev='vda' bus='virtio'/></disk>"
    "<interface type='network'><source network='prod'/></interface>"
    "<interface type='user'/>"
    "<hostdev mode='subsystem' type='pci'/><redirdev bus='usb' type='spicevmc'/><vsock model='virtio'><cid auto='yes'/></vsock>"
    "<filesystem type='mount'><source dir='/srv'/><target dir='x'/></filesystem><shmem name='s'/>"
    "<memory model='nvdimm'><source><path>/srv/nv</path></source></memory><memory model='dimm'/>"
    "<tpm model='tpm-crb'><backend type='emulator'/></tpm>"
    "<graphics type='vnc' passwd='secret'/><graphics type='spice'/><audio id='1' type='spice'/>"
    "<video><model type='qxl' ram='65536' vram='65536'/></video>"
    "<input type='evdev'><source dev='/dev/input/event1'/></input><input type='tablet' bus='usb'/>"
    "<rng model='virtio'><backend model='egd' type='tcp'/></rng><rng model='virtio'><backend model='random'/></rng>"
    "<parallel type='dev'><source path='/dev/parport0'/></parallel>"
    "<serial type='tcp'><source mode='bind' host='0.0.0.0' service='4555'/><protocol type='telnet'/><target port='0'/>"
    "<log file='/var/log/web.log'/></serial>"
    "<console type='tcp'><target type='serial' port='0'/></console>"
    "<console type='pty'><target type='virtio' port='1'/></console>"
    "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>"
    "</devices>"
    "<qemu:commandline><qemu:arg value='-netdev'/><qemu:arg value='user,id=x'/></qemu:commandline></domain>";

static xmlDocPtr isolated(const char *xml)
{
    struct err err = {0};
    xmlDocPtr doc = NULL;

    assert_int_equal(xml_parse(xml, "definition", &doc, &err), 0);
    assert_int_equal(boot_copy_isolate(doc, JOB, "/pool/x", &err), 0);
    return doc;
}

static void nothing_leads_out_of_it(void **state)
{
    static const char *const gone[] = {
        "//interface",
        "//hostdev",
        "//redirdev",
        "//vsock",
        "//filesystem",
        "//shmem",
        "//tpm",
        "//graphics",
        "//audio",
        "//parallel",
        "//memoryBacking",
        "//seclabel",
        "//metadata",
        "//title",
        "//protocol",
        "//log",
        "//@passwd",
        "//memory[@model='nvdimm']",
        "//input[@type='evdev']",
        "//rng[backend/@model='egd']",
        "//channel[@type='spicevmc']",
        "//*[local-name()='commandline']",
        "//*[@host or @service or @mode='bind']",
    };
    xmlDocPtr doc = isolated(machine);

    (void)state;
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        assert_xml(doc, gone[i], NULL);
    assert_xml(doc, "//disk/source/@file", "/pool/x/vda.qcow2");
    assert_xml(doc, "//channel/target/@name", "org.qemu.guest_agent.0");
    assert_xml(doc, "//memory[@model='dimm']/@model", "dimm");
    assert_xml(doc, "//input/@type", "tablet");
    assert_xml(doc, "//rng/backend/@model", "random");
    assert_xml(doc, "//video/model/@type", "vga");
    assert_xml(doc, "//video/model/@ram", NULL);
    xmlFreeDoc(doc);
}

static void it_says_whose_it_is_and_is_heard(void **state)
{
    xmlDocPtr doc = isolated(machine);
    char job[UUID_TEXT], level[MARK_LEVEL], *description = xml_get(doc, "/domain/description");

    (void)state;
    assert_xml(doc, "/domain/name", "fs-boot-" JOB);
    assert_true(mark_read(description, job, level));
    assert_string_equal(job, JOB);
    assert_string_equal(level, "boot");
    free(description);
    assert_xml(doc, "//serial/@type", "file");
    assert_xml(doc, "//serial/source/@path", "/pool/x/serial-0.log");
    assert_xml(doc, "//serial/target/@port", "0");
    assert_xml(doc, "//console[target/@type='serial']", NULL);
    assert_xml(doc, "//console/source/@path", "/pool/x/console-1.log");
    assert_int_equal(boot_copy_memory_kib(doc), 512 * 1024);
    xmlFreeDoc(doc);
}

static void one_without_a_console_gets_one(void **state)
{
    xmlDocPtr doc = isolated("<domain><name>web</name><memory>2048</memory><devices/></domain>");

    (void)state;
    assert_xml(doc, "//serial/source/@path", "/pool/x/serial-0.log");
    assert_int_equal(boot_copy_memory_kib(doc), 2048);
    xmlFreeDoc(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leads_out_of_it),
        cmocka_unit_test(it_says_whose_it_is_and_is_heard),
        cmocka_unit_test(one_without_a_console_gets_one),
    };

    return cmocka_run_group_tests_name("boot copy", tests, NULL, NULL);
}
