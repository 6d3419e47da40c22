/* A <domainbackup> as parameters of backup.create: what is taken, and what each mistake says. */
#include "base/err.h"
#include "coordinator/cli/backup_xml.h"
#include "coordinator/cli/backup_xml_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PARENT "d0000000-0000-4000-8000-000000000001"

static void takes(const char *xml, const char *given, const char *expected)
{
    json_t *params = json_loads(given, 0, NULL), *wanted = json_loads(expected, 0, NULL);
    struct err err = {0};

    if (backup_xml_read(xml, "b.xml", params, &err) < 0)
        fail_msg("%s", err.text);
    assert_non_null(wanted);
    assert_true(json_equal(params, wanted));
    json_decref(params);
    json_decref(wanted);
}

static void what_is_said_is_taken(void **state)
{
    (void)state;
    takes("<domainbackup/>", "{\"rate_limit\":7}", "{\"rate_limit\":7}");
    takes("<?xml version='1.0'?>\n<domainbackup mode='push'><!-- of tonight -->\n"
          "  <description> before &amp; after\n </description>\n  <parent>\n<uuid>" PARENT "</uuid></parent>\n"
          "  <disks><disk name='vda' type='file' backupmode='incremental'><driver type='qcow2'/></disk>\n"
          "  <disk name='vdb' backup='no'/><disk name='vdc' backup='yes'/></disks>\n</domainbackup>",
          "{\"repository\":\"main\"}",
          "{\"repository\":\"main\",\"description\":\"before & after\",\"parent\":\"" PARENT
          "\",\"kind\":\"incremental\",\"include\":[\"vda\",\"vdc\"]}");
}

static const struct {
    const char *xml, *says;
} refused[] = {
    {"", "b.xml:1: not XML: "},
    {"<domainbackup>\n<description>x</domainbackup>", "b.xml:2: not XML: "},
    {"<!DOCTYPE domainbackup [<!ENTITY a 'b'>]>\n<domainbackup/>", "b.xml: a document type definition is not taken"},
    {"<domainsnapshot/>", "b.xml:1: <domainsnapshot>: <domainbackup> was expected"},
    {"<domainbackup mode='pull'/>", "b.xml:1: <domainbackup>: mode=\"pull\" cannot be: only push; "},
    {"<domainbackup id='3'/>", "b.xml:1: <domainbackup>: attribute id is not known"},
    {"<domainbackup>\nfull</domainbackup>", "b.xml:1: <domainbackup>: there is text in it"},
    {"<domainbackup>\n\n<server/></domainbackup>", "b.xml:3: <server>: is not known in <domainbackup>"},
    {"<domainbackup>\n<uuid>" PARENT "</uuid></domainbackup>", "b.xml:2: <uuid>: a new backup gets its own"},
    {"<domainbackup>\n<creationTime>1</creationTime></domainbackup>",
     "b.xml:2: <creationTime>: a new backup gets its own"},
    {"<domainbackup>\n<incremental>c1</incremental></domainbackup>",
     "b.xml:2: <incremental>: a backup stands on a backup"},
    {"<domainbackup>\n<description/></domainbackup>", "b.xml:2: <description>: text is missing"},
    {"<domainbackup><description a='b'>x</description></domainbackup>", "<description>: attribute a is not known"},
    {"<domainbackup><description>x</description>\n<description>y</description></domainbackup>",
     "b.xml:2: <description>: is there twice"},
    {"<domainbackup><parent/></domainbackup>", "<parent>: in <parent> there is one <uuid>"},
    {"<domainbackup><parent><uuid>" PARENT "</uuid>\n<uuid>" PARENT "</uuid></parent></domainbackup>",
     "<uuid>: in <parent> there is one <uuid>"},
    {"<domainbackup><parent>\n<uuid>yesterday</uuid></parent></domainbackup>",
     "b.xml:2: <uuid>: \"yesterday\" is no UUID"},
    {"<domainbackup><disks/></domainbackup>", "<disks>: no disk is left to back up"},
    {"<domainbackup><disks><disk name='vda' backup='no'/></disks></domainbackup>", "<disks>: no disk is left to back up"},
    {"<domainbackup><disks>\n<floppy/></disks></domainbackup>", "b.xml:2: <floppy>: is not known in <disks>"},
    {"<domainbackup><disks>\n<disk/></disks></domainbackup>", "b.xml:2: <disk>: its name is missing"},
    {"<domainbackup><disks>\n<disk name='vda' bus='x'/></disks></domainbackup>",
     "b.xml:2: <disk>: attribute bus is not known"},
    {"<domainbackup><disks><disk name='vda' type='block'/></disks></domainbackup>",
     "<disk>: type=\"block\" cannot be: only file"},
    {"<domainbackup><disks><disk name='vda' backup='maybe'/></disks></domainbackup>",
     "<disk>: backup=\"maybe\" is none of yes, no"},
    {"<domainbackup><disks><disk name='vda' backupmode='half'/></disks></domainbackup>",
     "<disk>: backupmode=\"half\" is none of full, incremental"},
    {"<domainbackup><disks><disk name='vda' backupmode='full'/>\n<disk name='vdb' backupmode='incremental'/></disks></domainbackup>",
     "b.xml:2: <disk>: backupmode differs"},
    {"<domainbackup><disks><disk name='vda'>\n<target file='/x'/></disk></disks></domainbackup>",
     "b.xml:2: <target>: a disk's file is put into the repository"},
    {"<domainbackup><disks><disk name='vda'>\n<driver type='raw'/></disk></disks></domainbackup>",
     "b.xml:2: <driver>: type=\"raw\" cannot be: only qcow2"},
    {"<domainbackup><disks><disk name='vda'>\n<scratch/></disk></disks></domainbackup>",
     "b.xml:2: <scratch>: is not known in <disk>"},
};

static void refuses(const char *xml, const char *given, const char *says)
{
    json_t *params = json_loads(given, 0, NULL), *before = json_deep_copy(params);
    struct err err = {0};

    assert_int_equal(backup_xml_read(xml, "b.xml", params, &err), -1);
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_true(json_equal(params, before));
    json_decref(before);
    json_decref(params);
}

static void each_mistake_has_its_line_and_element(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        refuses(refused[i].xml, "{}", refused[i].says);
}

static void what_an_option_says_is_not_said_again(void **state)
{
    (void)state;
    refuses("<domainbackup>\n<description>x</description></domainbackup>", "{\"description\":\"y\"}",
            "b.xml:2: <description>: --description says it, too");
    refuses("<domainbackup><parent><uuid>" PARENT "</uuid></parent></domainbackup>", "{\"parent\":\"5f1e\"}",
            "<uuid>: --parent says it, too");
    refuses("<domainbackup><disks><disk name='vda'/></disks></domainbackup>", "{\"exclude\":[\"vdb\"]}",
            "<disks>: --include and --exclude say it, too");
    refuses("<domainbackup><disks><disk name='vda' backupmode='full'/></disks></domainbackup>", "{\"kind\":\"auto\"}",
            "<disk>: --kind says it, too");
}

/* What is shown of a backup is read as far as the first thing that only a backup that exists has. */
static void what_is_printed_is_the_same_language(void **state)
{
    json_t *point = json_loads(
        "{\"description\":\"nightly\",\"disks\":[{\"name\":\"vda\",\"mode\":\"full\",\"file\":\"\",\"format\":\"qcow2\"}]}",
        0, NULL);
    char *xml = backup_xml_of(point);

    (void)state;
    assert_non_null(xml);
    refuses(xml, "{}", "<uuid>: ");
    free(xml);
    json_decref(point);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_is_taken),
        cmocka_unit_test(each_mistake_has_its_line_and_element),
        cmocka_unit_test(what_an_option_says_is_not_said_again),
        cmocka_unit_test(what_is_printed_is_the_same_language),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
