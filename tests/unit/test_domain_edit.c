/* What a restored domain must not share with its original. */
#include "worker/backends/libvirt/domain_edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "xml_expect.h"

static const char saved[] =
    "<domain type='kvm' id='7'><name>web</name><uuid>11111111-2222-4333-8444-555555555555</uuid>"
    "<os><type arch='x86_64' machine='pc'>hvm</type><nvram>/var/lib/nvram/web.fd</nvram></os>"
    "<devices>"
    "<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/vg/web'/>"
    "<backingStore/><target dev='vda' bus='virtio'/></disk>"
    "<disk type='file' device='disk'><source file='/images/secret.qcow2'/><target dev='vdb' bus='virtio'/></disk>"
    "<disk type='file' device='cdrom'><source file='/images/cd.iso'/><target dev='sda' bus='sata'/></disk>"
    "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='prod' portid='x'/>"
    "<target dev='vnet3'/></interface>"
    "<serial type='file'><source path='/var/log/web-serial.log'/></serial>"
    "<channel type='unix'><source mode='bind' path='/run/web.agent'/>"
    "<target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>"
    "<graphics type='vnc' port='5901' autoport='no' passwd='secret'/>"
    "</devices></domain>";

static xmlDocPtr edited(bool new_identity, struct err *err)
{
    static const struct edit_disk disks[] = {{"vda", "/pool/copy/vda.raw", "raw"}};
    struct facts networks = {0}, machines = {0};
    struct domain_edit edit = {.name = "copy <1>",
                               .uuid = "99999999-2222-4333-8444-555555555555",
                               .folder = "/pool/copy",
                               .disks = disks,
                               .disk_count = 1,
                               .networks = &networks,
                               .machines = &machines,
                               .new_identity = new_identity,
                               .nvram = true};
    xmlDocPtr doc = NULL;

    facts_set(&networks, "prod", "lab", NULL);
    facts_set(&machines, "pc", "q35", NULL);
    assert_int_equal(xml_parse(saved, "definition", &doc, err), 0);
    assert_int_equal(domain_edit(doc, &edit, err), 0);
    facts_clear(&networks);
    facts_clear(&machines);
    return doc;
}

static void test_a_copy_shares_nothing(void **state)
{
    struct err err = {0};
    CLEANUP(xml_freep) xmlDocPtr doc = edited(true, &err);

    (void)state;
    assert_xml(doc, "/domain/name", "copy <1>");
    assert_xml(doc, "/domain/uuid", "99999999-2222-4333-8444-555555555555");
    assert_xml(doc, "/domain/@id", NULL);
    assert_xml(doc, "/domain/os/nvram", "/pool/copy/nvram.fd");
    assert_xml(doc, "/domain/os/type/@machine", "q35");
    assert_xml(doc, "//disk[target/@dev='vda']/@type", "file");
    assert_xml(doc, "//disk[target/@dev='vda']/source/@file", "/pool/copy/vda.raw");
    assert_xml(doc, "//disk[target/@dev='vda']/source/@dev", NULL);
    assert_xml(doc, "//disk[target/@dev='vdb']/target/@dev", NULL); /* not restored: not shared either */
    assert_xml(doc, "//disk[target/@dev='sda']/target/@dev", "sda");
    assert_xml(doc, "//disk[target/@dev='sda']/source/@file", NULL);
    assert_xml(doc, "//interface/mac/@address", NULL);
    assert_xml(doc, "//interface/source/@network", "lab");
    assert_xml(doc, "//interface/source/@portid", NULL);
    assert_xml(doc, "//interface/target/@dev", NULL);
    assert_xml(doc, "//serial/source/@path", "/pool/copy/web-serial.log");
    assert_xml(doc, "//channel/source/@path", NULL);
    assert_xml(doc, "//channel/target/@state", NULL);
    assert_xml(doc, "//graphics/@port", NULL);
    assert_xml(doc, "//graphics/@autoport", "yes");
}

static void test_a_name_and_a_uuid_are_added_where_there_are_none(void **state)
{
    struct facts none = {0};
    struct domain_edit edit = {.name = "n & m", .uuid = "u", .folder = "/f", .networks = &none, .machines = &none};
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(xml_parse("<domain><devices/></domain>", "definition", &doc, &err), 0);
    assert_int_equal(domain_edit(doc, &edit, &err), 0);
    assert_xml(doc, "/domain/name", "n & m");
    assert_xml(doc, "/domain/uuid", "u");
}

static void test_the_old_identity_can_be_kept(void **state)
{
    struct err err = {0};
    CLEANUP(xml_freep) xmlDocPtr doc = edited(false, &err);

    (void)state;
    assert_xml(doc, "//interface/mac/@address", "52:54:00:00:00:01");
}

static void test_a_disk_that_is_not_there(void **state)
{
    static const struct edit_disk disks[] = {{"vdz", "/x", "raw"}};
    struct facts networks = {0};
    struct domain_edit edit = {.name = "n",
                               .uuid = "u",
                               .folder = "/f",
                               .disks = disks,
                               .disk_count = 1,
                               .networks = &networks,
                               .machines = &networks};
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(xml_parse(saved, "definition", &doc, &err), 0);
    assert_int_equal(domain_edit(doc, &edit, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
}

static void refused(const struct facts *networks, const struct facts *machines, const char *why, const char *hint)
{
    struct domain_edit edit = {.name = "n", .uuid = "u", .folder = "/f", .networks = networks, .machines = machines};
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    struct err err = {0};

    assert_int_equal(xml_parse(saved, "definition", &doc, &err), 0);
    assert_int_equal(domain_edit(doc, &edit, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_string_equal(err.text, why);
    assert_string_equal(err.hint, hint);
    assert_xml(doc, "/domain/name", "web"); /* nothing was changed before */
}

static void test_a_map_that_fits_nothing(void **state)
{
    struct facts none = {0}, wrong = {0};

    (void)state;
    facts_set(&wrong, "old", "new", NULL);
    refused(&wrong, &none, "the definition has no network old to map", "it has: prod");
    refused(&none, &wrong, "the definition has no machine type old to map", "it has: pc");
    facts_clear(&wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_shares_nothing),
        cmocka_unit_test(test_a_name_and_a_uuid_are_added_where_there_are_none),
        cmocka_unit_test(test_the_old_identity_can_be_kept),
        cmocka_unit_test(test_a_disk_that_is_not_there),
        cmocka_unit_test(test_a_map_that_fits_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
