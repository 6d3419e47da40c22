/* Exports: where one may listen, who is connected to it, and what the hypervisor is asked for. */
#include "base/err.h"
#include "model/job.h"
#include "model/listen_address.h"
#include "worker/backends/libvirt/backup_xml.h"
#include "worker/backends/libvirt/connections.h"
#include "worker/backends/libvirt/export.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err err;

static void address_is(const char *text, const char *host, int64_t port, bool ip6, bool loopback)
{
    struct listen_address address;

    assert_int_equal(listen_address_parse(text, &address, &err), 0);
    assert_string_equal(address.host, host);
    assert_int_equal(address.port, port);
    assert_int_equal(address.ip6, ip6);
    assert_int_equal(address.loopback, loopback);
}

static void addresses(void **state)
{
    static const char *const wrong[] = {"",           "127.0.0.1", "127.0.0.1:",      "127.0.0.1:0", "127.0.0.1:65536",
                                        "::1:10809",  "[::1]",     "localhost:10809", ":10809",      "127.1:10809",
                                        "[::1:10809", "[]:1"};
    struct listen_address address;

    (void)state;
    address_is("127.0.0.1:10809", "127.0.0.1", 10809, false, true);
    address_is("127.8.0.1:1", "127.8.0.1", 1, false, true);
    address_is("0.0.0.0:10809", "0.0.0.0", 10809, false, false);
    address_is("[::1]:65535", "::1", 65535, true, true);
    address_is("[fd00::2]:10809", "fd00::2", 10809, true, false);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (listen_address_parse(wrong[i], &address, &err) == 0)
            fail_msg("\"%s\" is taken", wrong[i]);
}

static void clients_of_a_unix_socket(void **state)
{
    static const char table[] =
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "00000000f0ac65c4: 00000002 00000000 00010000 0001 01 18469079 /run/a b.sock\n" /* listens */
        "00000000f0ac65c5: 00000003 00000000 00000000 0001 03 18469080 /run/a b.sock\n"
        "00000000f0ac65c6: 00000003 00000000 00000000 0001 03 18469081\n" /* the client's own end */
        "00000000f0ac65c7: 00000003 00000000 00000000 0001 03 18469082 /run/a b.sock\n"
        "00000000f0ac65c8: 00000003 00000000 00000000 0001 03 18469083 /run/a b.sock2\n";

    (void)state;
    assert_int_equal(connections_unix(table, "/run/a b.sock"), 2);
    assert_int_equal(connections_unix(table, "/run/a b.sock2"), 1);
    assert_int_equal(connections_unix(table, "/run/a"), 0);
    assert_int_equal(connections_unix("", "/run/a"), 0);
}

static struct connections seen;

static int tcp(const char *table, const char *text, bool ip6)
{
    struct listen_address address;

    assert_int_equal(listen_address_parse(text, &address, &err), 0);
    seen = (struct connections){0};
    connections_tcp(table, &address, ip6, &seen);
    return seen.count;
}

static void clients_of_a_port(void **state)
{
    static const char table[] =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:2A39 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
        "   1: 0100007F:2A39 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0\n"
        "   2: 0100007F:C350 0100007F:2A39 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0\n"
        "   3: 0200000A:2A39 0300000A:C351 08 00010400:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0\n"
        "  10: 0100007F:2A39 0100007F:C352 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 100 0 0 10 0\n";
    static const char table6[] =
        "   0: 00000000000000000000000001000000:2A39 00000000000000000000000001000000:C350 01 00000000:00000000 00:0 0 0 0 2\n";

    (void)state;
    assert_int_equal(tcp(table, "127.0.0.1:10809", false), 1); /* not the listener, its client's end, or what is over */
    assert_int_equal(seen.waiting, 0);
    assert_int_equal(tcp(table, "10.0.0.2:10809", false), 1); /* ended by the client, and not yet by the server */
    assert_int_equal(seen.waiting, 1);
    assert_int_equal(seen.unread, 0x10400);
    assert_int_equal(tcp(table, "0.0.0.0:10809", false), 2);
    assert_int_equal(tcp(table, "127.0.0.1:10810", false), 0);
    assert_int_equal(tcp(table6, "[::1]:10809", true), 1);
    assert_int_equal(tcp(table6, "127.0.0.1:10809", true), 0);
}

static void uri_is(struct export_server server, const char *expected)
{
    char *uri = export_uri(&server, "vda");

    assert_string_equal(uri, expected);
    free(uri);
}

static void uris(void **state)
{
    (void)state;
    uri_is((struct export_server){.socket = "/run/a b&c.sock"}, "nbd+unix:///vda?socket=/run/a%20b%26c.sock");
    uri_is((struct export_server){.socket = "/run/a", .tls = true}, "nbds+unix:///vda?socket=/run/a");
    uri_is((struct export_server){.address = "[::1]:10809"}, "nbd://[::1]:10809/vda");
    uri_is((struct export_server){.address = "10.0.0.2:1", .tls = true}, "nbds://10.0.0.2:1/vda");
}

static void the_document(void **state)
{
    struct point_disk disks[] = {
        {.name = (char *)"vda", .mode = (char *)"incremental", .file = (char *)"vda.qcow2", .format = (char *)"qcow2"},
        {.name = (char *)"vdb", .mode = (char *)"full", .file = (char *)"vdb.qcow2", .format = (char *)"qcow2"},
        {.name = (char *)"vdc", .mode = (char *)"excluded"}};
    const struct list list = {.items = disks, .count = 3};
    const struct params_target_export where = {.address = (char *)"[::1]:10809", .tls = true};
    char *xml = NULL;

    (void)state;
    assert_int_equal(backup_pull_xml(&list, "/pool/x", "fs-1", &where, &xml, &err), 0);
    assert_non_null(strstr(xml, "<domainbackup mode=\"pull\">"));
    assert_non_null(strstr(xml, "<incremental>fs-1</incremental>"));
    assert_non_null(strstr(xml, "<server transport=\"tcp\" tls=\"yes\" name=\"::1\" port=\"10809\"/>"));
    assert_non_null(strstr(xml, "exportname=\"vda\" exportbitmap=\"dirty\""));
    assert_non_null(strstr(xml, "<scratch file=\"/pool/x/vda.qcow2\"/>"));
    assert_non_null(strstr(xml, "<disk name=\"vdb\" type=\"file\" backupmode=\"full\" exportname=\"vdb\">"));
    assert_non_null(strstr(xml, "<disk name=\"vdc\" backup=\"no\"/>"));
    free(xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),         cmocka_unit_test(clients_of_a_unix_socket),
        cmocka_unit_test(clients_of_a_port), cmocka_unit_test(uris),
        cmocka_unit_test(the_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
