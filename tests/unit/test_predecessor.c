#include "worker/backends/libvirt/predecessor.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define ROW(state, path) "0000000027acb2c3: 00000002 00000000 00010000 0001 " state " 3246651 " path "\n"

static void only_a_connected_monitor_below_the_root_counts(void **state)
{
    (void)state;
    assert_true(predecessor_connected(ROW("03", "/srv/vm/lib/qemu/domain-1-shop-1/monitor.sock"), "/srv/vm"));
    assert_false(predecessor_connected(ROW("01", "/srv/vm/lib/qemu/domain-1-shop-1/monitor.sock"), "/srv/vm"));
    assert_false(predecessor_connected(ROW("03", "/srv/vm2/lib/qemu/domain-1-shop-1/monitor.sock"), "/srv/vm"));
    assert_false(predecessor_connected(ROW("03", "/srv/vm/lib/qemu/channel/org.qemu.guest_agent.0"), "/srv/vm"));
    assert_false(predecessor_connected(ROW("03", "/srv/vm/lib/qemu/domain-1-monitor.sock/other"), "/srv/vm"));
    assert_false(predecessor_connected(ROW("03", "@abstract"), "/srv/vm"));
    assert_false(predecessor_connected("0000000027acb2c3: 00000002 00000000 00010000 0001 03 3246651\n", "/srv/vm"));
    assert_false(predecessor_connected("Num       RefCount Protocol Flags    Type St Inode Path\n", "/srv/vm"));
    assert_false(predecessor_connected("", "/srv/vm"));
}

/* A real listener, as QEMU's monitor is one, in a folder of its own. */
struct monitor {
    char root[64], path[100], uri[160];
    int listener, accepted, client;
};

static void monitor_open(struct monitor *monitor)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(monitor->root, sizeof monitor->root, "/tmp/test_predecessor.XXXXXX");
    assert_non_null(mkdtemp(monitor->root));
    snprintf(monitor->path, sizeof monitor->path, "%s/monitor.sock", monitor->root);
    snprintf(monitor->uri, sizeof monitor->uri, "qemu:///embed?root=%s", monitor->root);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", monitor->path);
    monitor->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    monitor->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(monitor->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(monitor->listener, 1), 0);
    assert_int_equal(connect(monitor->client, (struct sockaddr *)&address, sizeof address), 0);
    monitor->accepted = accept(monitor->listener, NULL, NULL);
    assert_true(monitor->accepted >= 0);
}

static void monitor_close(struct monitor *monitor)
{
    close(monitor->listener);
    unlink(monitor->path);
    rmdir(monitor->root);
}

static void it_waits_for_the_end_that_qemu_has_not_seen(void **state)
{
    struct monitor monitor;
    struct err err = {0};

    (void)state;
    monitor_open(&monitor);
    assert_int_equal(predecessor_wait("qemu:///system", 0, &err), 0); /* not embedded: nothing to wait for */
    assert_int_equal(predecessor_wait(monitor.uri, 30, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    close(monitor.client); /* the daemon is dead, and QEMU has not noticed */
    assert_int_equal(predecessor_wait(monitor.uri, 30, &err), -1);
    close(monitor.accepted);
    assert_int_equal(predecessor_wait(monitor.uri, 0, &err), 0);
    monitor_close(&monitor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_connected_monitor_below_the_root_counts),
        cmocka_unit_test(it_waits_for_the_end_that_qemu_has_not_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
