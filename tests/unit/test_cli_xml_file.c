/* A <domain> that is given to backup restore: what must not leave this machine is found here. */
#include "base/err.h"
#include "coordinator/cli/xml_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void what_has_no_secret_is_sent(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(domain_xml_check("<domain><devices><graphics type='vnc'/></devices><!-- passwd='x' --></domain>",
                                      "d.xml", &err),
                     0);
}

static void refused(const char *text, const char *why)
{
    struct err err = {0};

    assert_int_equal(domain_xml_check(text, "d.xml", &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    if (strncmp(err.text, why, strlen(why)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", err.text, why);
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
    (void)state;
    refused("<domain>\n<devices>\n</domain>", "d.xml:3: not XML: ");
    refused("<!DOCTYPE domain []><domain/>", "d.xml: a document type definition is not taken");
    refused("\n<domainbackup/>", "d.xml:2: <domainbackup>: <domain> was expected");
    refused("<domain><devices>\n<a/><graphics\ntype='vnc' passwd='x'/></devices></domain>",
            "d.xml:3: <graphics>: passwd is a secret");
    refused("<domain>\n<a>\n<b password='x'/></a></domain>", "d.xml:3: <b>: password is a secret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_no_secret_is_sent),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
