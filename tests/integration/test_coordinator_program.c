/* The program itself, as systemd sees it: ready, alive, stopping, and the codes that it ends with. */
#include "integration/support/coordinator_rig.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;

struct scene {
    struct rig *rig; /* makes the topics */
    char directory[64];
    int socket;
    pid_t pid;
};

static int set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    scene->rig = rig_open("alpha");
    snprintf(scene->directory, sizeof scene->directory, "/tmp/fleetsnap-program-XXXXXX");
    assert_non_null(mkdtemp(scene->directory));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", scene->directory);
    scene->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(scene->socket, (struct sockaddr *)&address, sizeof address), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    char command[128];

    if (scene->pid > 0) {
        kill(scene->pid, SIGKILL);
        waitpid(scene->pid, NULL, 0);
    }
    close(scene->socket);
    rig_close(scene->rig);
    snprintf(command, sizeof command, "rm -rf '%s'", scene->directory);
    if (system(command) != 0)
        print_message("%s is left\n", scene->directory);
    free(scene);
    return 0;
}

static void start(struct scene *scene, const char *broken)
{
    char options[9][300];
    char *argv[12] = {(char *)BINARY_DIR "/coordinator/fleetsnap-coordinator"};
    const char *server[] = {getenv("FLEETSNAP_KAFKA"), getenv("FLEETSNAP_REDIS"), getenv("FLEETSNAP_REDIS_USER"),
                            getenv("FLEETSNAP_REDIS_PASSWORD_FILE")};
    size_t count = 0;

    for (size_t i = 0; i < 4; i++)
        assert_non_null(server[i]);
    snprintf(options[count++], 300, "--kafka.brokers=%s", server[0]);
    snprintf(options[count++], 300, "--redis.address=%s", server[1]);
    snprintf(options[count++], 300, "--redis.user=%s", server[2]);
    snprintf(options[count++], 300, "--redis.password_file=%s", server[3]);
    snprintf(options[count++], 300, "--state_directory=%s/state", scene->directory);
    snprintf(options[count++], 300, "--master_key_file=%s/master.key", scene->directory);
    snprintf(options[count++], 300, "--admin_token_file=%s/admin.token", scene->directory);
    snprintf(options[count++], 300, "--http.listen=127.0.0.1:0");
    snprintf(options[count++], 300, "%s", broken ? broken : "--dev=true");
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = options[i];
    assert_int_equal(posix_spawn(&scene->pid, argv[0], NULL, NULL, argv, environ), 0);
}

static void wait_for_word(struct scene *scene, const char *word, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    struct pollfd fd = {.fd = scene->socket, .events = POLLIN};

    while (clock_monotonic_ms() < until_ms) {
        char text[512] = "";
        if (poll(&fd, 1, 100) == 1 && recv(scene->socket, text, sizeof text - 1, 0) > 0 && strstr(text, word))
            return;
    }
    fail_msg("systemd does not hear %s", word);
}

/* -1: by a signal. */
static int ending(struct scene *scene, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    int status;

    while (waitpid(scene->pid, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() > until_ms)
            fail_msg("the coordinator does not end");
        poll(NULL, 0, 20);
    }
    scene->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void it_says_that_it_is_ready_alive_and_stopping(void **state)
{
    start(*state, NULL);
    wait_for_word(*state, "READY=1", 30000);
    wait_for_word(*state, "WATCHDOG=1", 10000);
    wait_for_word(*state, "WATCHDOG=1", 10000);
    kill(((struct scene *)*state)->pid, SIGTERM);
    wait_for_word(*state, "STOPPING=1", 10000);
    assert_int_equal(ending(*state, 30000), 0);
}

static void a_wrong_configuration_is_2_and_a_start_that_fails_1(void **state)
{
    start(*state, "--http.threads=many");
    assert_int_equal(ending(*state, 10000), 2);
    start(*state, "--name=No Name");
    assert_int_equal(ending(*state, 10000), 2);
    start(*state, "--admin_token_file=/proc/none/token"); /* well said, and cannot be */
    assert_int_equal(ending(*state, 60000), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_that_it_is_ready_alive_and_stopping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_configuration_is_2_and_a_start_that_fails_1, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
