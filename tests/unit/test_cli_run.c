/* The command against a real server over a coordinator in memory: what it prints, where, and its exit codes. */
#include "coordinator/api/api.h"
#include "coordinator/cli/cli.h"
#include "coordinator/cli/command.h"
#include "fake/fake_coordinator.h"

#include "base/clock.h"
#include "base/parse.h"
#include "base/uuid.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    struct coordinator *fake;
    struct api *api;
    char folder[64], token_file[96];
    char *out, *err;    /* of the last run */
    const char *answer; /* what the person types */
    bool terminal;
};

static int make(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct api_config config = {.listen = "127.0.0.1:0",
                                .worker_kafka_brokers = "k1:9092",
                                .worker_redis_address = "r1:6379",
                                .worker_redis_user = "worker",
                                .worker_redis_password = "pa\"ss"};
    char url[64];

    strcpy(world->folder, "/tmp/test_cli_run.XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->token_file, sizeof world->token_file, "%s/admin.token", world->folder);
    FILE *file = fopen(world->token_file, "w");
    fputs("bootstrap-token-0123456789\n", file);
    fclose(file);
    chmod(world->token_file, 0600);
    config.admin_token_file = world->token_file;
    world->fake = fake_coordinator_new();
    fake_load_fleet(world->fake);
    assert_int_equal(api_start(&config, world->fake, fake_coordinator_view(world->fake), &world->api, NULL), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", api_port(world->api));
    setenv("FLEETSNAP_URL", url, 1);
    setenv("FLEETSNAP_TOKEN_FILE", world->token_file, 1);
    setenv("HOME", world->folder, 1);
    unsetenv("FLEETSNAP_TOKEN");
    unsetenv("XDG_CONFIG_HOME");
    setenv("TZ", "UTC", 1);
    *state = world;
    return 0;
}

static int destroy(void **state)
{
    struct world *world = *state;
    char command[128];

    api_stop(world->api);
    fake_coordinator_free(world->fake);
    snprintf(command, sizeof command, "rm -rf %s", world->folder);
    assert_int_equal(system(command), 0);
    free(world->out);
    free(world->err);
    free(world);
    return 0;
}

/* Runs the words of `line` (blanks between, '_' in a word that begins with '@' is a blank). */
static int run(struct world *world, const char *line)
{
    struct cli cli = {.width = 100,
                      .retry_ms = 0,
                      .in_terminal = world->terminal,
                      .err_terminal = world->terminal,
                      .out_terminal = world->terminal};
    const char *argv[40] = {"fleetsnap"};
    char words[1024], *save = NULL;
    size_t out_len, err_len;
    int argc = 1;

    free(world->out);
    free(world->err);
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (*word == '@')
            for (char *c = word++; *c; c++)
                *c = *c == '_' ? ' ' : *c;
        argv[argc++] = word;
    }
    parse_time("2026-11-20T14:00:00Z", &cli.now_ms, NULL);
    cli_catch_interrupts(); /* forgets the last run's */
    cli.out = open_memstream(&world->out, &out_len);
    cli.err = open_memstream(&world->err, &err_len);
    cli.in = fmemopen((void *)(size_t)(world->answer ? world->answer : "\n"),
                      strlen(world->answer ? world->answer : "\n"), "r");
    int code = cli_main(&cli, argc, argv);
    cli_close(&cli);
    fclose(cli.in);
    fclose(cli.out);
    fclose(cli.err);
    return code;
}

static void expect(struct world *world, const char *line, int code, const char *out, const char *err)
{
    int got = run(world, line);

    if (got != code)
        fail_msg("%s: exit %d, not %d\n%s%s", line, got, code, world->out, world->err);
    if (out)
        assert_string_equal(world->out, out);
    if (err)
        assert_string_equal(world->err, err);
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void targets_are_a_table(void **state)
{
    expect(
        *state, "targets", EXIT_DONE,
        "TARGET  HOST    STATE    LABELS             POLICY   LAST BACKUP          VERIFIED  AGE      MIGRATABLE\n"
        "shop-1  alpha   running  app=shop tier=web  nightly  incremental 1.2 MiB  boot      3h       no (1 snapshot)\n"
        "shop-2  beta !  running  app=shop tier=db   none !   –                    –         never !  yes\n"
        "db      alpha   paused   –                  none !   –                    –         never !  yes\n"
        "db      beta !  shutoff  –                  none !   –                    –         never !  yes\n",
        "! no policy backs it up, its backup is older than its policy allows, or a host that is silent: fleetsnap targets --unprotected\n");
    expect(*state, "target list -l app=shop,tier!=db", EXIT_DONE,
           "TARGET  HOST   STATE    LABELS             POLICY   LAST BACKUP          VERIFIED  AGE  MIGRATABLE\n"
           "shop-1  alpha  running  app=shop tier=web  nightly  incremental 1.2 MiB  boot      3h   no (1 snapshot)\n",
           "");
}

static void snapshots_are_a_tree(void **state)
{
    expect(*state, "snapshot list shop-1 --tree", EXIT_DONE,
           "base\n"
           "├─ before-deploy       external  disk-only  2026-11-20 14:02  filesystem\n"
           "│  └─ after-migration  external  disk-only  2026-11-21 09:11  filesystem  ← current\n"
           "└─ experiment          internal  shutoff    2026-11-18 08:00  –  (made by others)\n",
           NULL);
    has(((struct world *)*state)->err, "as alpha reported it, last changed ");
    expect(*state, "snapshots shop-1", EXIT_DONE, NULL, NULL);
    has(((struct world *)*state)->out,
        "SNAPSHOT         KIND      STATE      MADE              PARENT         CHILDREN  LEVEL");
    has(((struct world *)*state)->out, "made by others");
    expect(*state, "snapshots shop-1 --parent nosuch", EXIT_USAGE, "", "snapshot list: no snapshot \"nosuch\"\n");
    expect(*state, "snapshots shop-2", EXIT_DONE, "", NULL);
    has(((struct world *)*state)->err, "no snapshots of shop-2\n");
    expect(*state, "snapshots shop-1 --name --external --leaves", EXIT_DONE, "after-migration\n", "");
    expect(*state, "snapshot list shop-1 --name --roots", EXIT_DONE, "before-deploy\nexperiment\n", "");
    expect(*state, "snapshot list shop-1 --name --from before-deploy", EXIT_DONE, "after-migration\n", "");
    expect(*state, "snapshot list shop-1 --count --inactive --disk-only", EXIT_DONE, "3\n", "");
    expect(*state, "snapshot show shop-1 before-deply", EXIT_USAGE, "",
           "snapshot show: no snapshot \"before-deply\"\nDid you mean before-deploy?\n");
    expect(*state, "snapshot show shop-1 before-deploy", EXIT_DONE, NULL, NULL);
    has(((struct world *)*state)->out, "  machine       shop-1 on alpha\n");
    has(((struct world *)*state)->out, "  children      after-migration\n  descendants   after-migration\n");
    expect(*state, "snapshot show shop-1 before-deploy --json", EXIT_DONE, NULL, "");
    has(((struct world *)*state)->out,
        "\"children_names\":[\"after-migration\"],\"descendants\":[\"after-migration\"],\"target\":{");
}

static void json_is_alone_on_standard_output(void **state)
{
    static const char *const lists[] = {"targets --json",          "hosts --json",        "jobs --json",
                                        "backups --json",          "repositories --json", "tokens --json",
                                        "snapshots shop-1 --json", "dlq list --json"};
    static const char *const objects[] = {"target show shop-1 --json",
                                          "host show alpha --json",
                                          "backup show c000 --json",
                                          "repository show main --json",
                                          "doctor --json",
                                          "report --since 30d --json",
                                          "snapshot show shop-1 --current --json"};
    struct world *world = *state;

    fake_load(world->fake, "dead_letters", "[]");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        expect(world, lists[i], EXIT_DONE, NULL, NULL);
        json_t *json = json_loads(world->out, 0, NULL);
        if (!json_is_array(json))
            fail_msg("%s: %s", lists[i], world->out);
        json_decref(json);
    }
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        run(world, objects[i]);
        json_t *json = json_loads(world->out, 0, NULL);
        if (!json_is_object(json))
            fail_msg("%s: %s%s", objects[i], world->out, world->err);
        json_decref(json);
    }
}

static void everything_has_a_view_for_people(void **state)
{
    static const char *const lines[] = {"hosts",
                                        "host show alpha",
                                        "target show shop-1",
                                        "backups",
                                        "backups shop-1 --latest --full",
                                        "backup show c1000000",
                                        "repositories",
                                        "repository show main",
                                        "help",
                                        "help topics",
                                        "help snapshot revert",
                                        "help backup",
                                        "version",
                                        "completion bash",
                                        "doctor --help"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        expect(*state, lines[i], EXIT_DONE, NULL, NULL);
        assert_true(*((struct world *)*state)->out);
    }
    expect(*state, "tokens", EXIT_DONE, "", "no tokens but the bootstrap one\n");
    expect(*state, "jobs", EXIT_DONE, "", "no jobs\n");
}

static void help_is_of_what_the_words_name(void **state)
{
    struct world *world = *state;

    expect(world, "--help", EXIT_DONE, NULL, "");
    has(world->out, "fleetsnap snapshots, backs up and reverts every machine of a fleet.");
    expect(world, "snapshot --help", EXIT_DONE, NULL, "");
    has(world->out, "snapshot create ");
    has(world->out, "fleetsnap snapshot revert shop-1");
    assert_null(strstr(world->out, "Usage: "));
    expect(world, "-h backup", EXIT_DONE, NULL, "");
    has(world->out, "backup restore ");
    expect(world, "snapshot revert -h", EXIT_DONE, NULL, "");
    has(world->out, "Usage: fleetsnap snapshot revert ");
    expect(world, "help help", EXIT_DONE, NULL, "");
    has(world->out, "Usage: fleetsnap help ");
    expect(world, "snapshto --help", EXIT_USAGE, "", NULL);
    has(world->err, "Did you mean snapshot?");
}

static void the_report_says_how_old_what_could_be_restored_is(void **state)
{
    struct world *world = *state;

    expect(world, "report", EXIT_DONE, NULL, "");
    has(world->out, "nightly        2           1  1 d 3 h  shop-1");
    has(world->out, "2 of 4 targets are backed up by no policy");
    has(world->out, "    2  backup.create FAILED: no room");
    has(world->out, "shop-1  alpha  1 d 3 h  –         late");
    has(world->out, "db      beta   –        –         unprotected");
    expect(world, "report --since 1h --json", EXIT_DONE, NULL, "");
    has(world->out, "\"since_ms\":1795179600000"); /* as the fake was asked */
    expect(world, "report --since never", EXIT_USAGE, "", NULL);
}

static void backups_are_chosen(void **state)
{
    struct world *world = *state;

    expect(world, "backups --full", EXIT_DONE, NULL, "");
    has(world->out, "\nc1000000  shop-1");
    assert_null(strstr(world->out, "c0000000"));
    expect(world, "backups --children-of c100", EXIT_DONE, NULL, "");
    has(world->out, "\nc0000000  shop-1");
    assert_null(strstr(world->out, "\nc1000000"));
    expect(world, "backups --children-of ffff", EXIT_USAGE, "", "backup list: no restore point ffff\n");
    expect(world, "backup restore shop-1 --as old --at 2020-01-01 --dry-run", EXIT_USAGE, "",
           "backup restore shop-1: no backup of \"shop-1\" is as old as that\nAll of them: fleetsnap backups\n");
    expect(world, "backups shop-1 --limit 1", EXIT_DONE, NULL, "");
    has(world->out, "\nc0000000  shop-1");
    expect(world, "backups no-such", EXIT_USAGE, "", NULL);
    has(world->err, "no target \"no-such\"");
    expect(world, "backup show c000", EXIT_DONE, NULL, "");
    has(world->out, "  repository    main\n");
    expect(world, "backup show c000 --xml", EXIT_DONE, NULL, "");
    has(world->out, "<domainbackup mode=\"push\">\n  <uuid>c0000000-");
    has(world->out, "<parent>\n    <uuid>c1000000-");
    expect(world, "backups --gone", EXIT_DONE, "", "no backups\n");
    fake_load(world->fake, "targets", "[]"); /* now its machine is gone, and its name still names its backups */
    expect(world, "backups --gone", EXIT_DONE, NULL, "");
    expect(world, "backups shop-1", EXIT_DONE, NULL, "");
    has(world->out, "\nc1000000  shop-1");
}

/* The machine that has the name now is not the one that its backups are of. */
static void a_machine_made_again_under_an_old_name(void **state)
{
    static const char anew[] =
        "[{\"host\":\"alpha\",\"state\":\"running\",\"target\":{\"kind\":\"libvirt\",\"name\":\"shop-1\","
        "\"id\":\"a9000000-0000-4000-8000-000000000009\"}}]";
    static const char points[] =
        "[{\"id\":\"c0000000-0000-4000-8000-000000000002\",\"kind\":\"backup\",\"state\":\"complete\",\"created_at\":\"2026-11-20T11:00:00Z\","
        "\"target\":{\"kind\":\"libvirt\",\"id\":\"a0000000-0000-4000-8000-000000000001\",\"name\":\"shop-1\"}},"
        "{\"id\":\"c9000000-0000-4000-8000-000000000009\",\"kind\":\"backup\",\"state\":\"complete\",\"created_at\":\"2026-11-20T12:00:00Z\","
        "\"target\":{\"kind\":\"libvirt\",\"id\":\"a9000000-0000-4000-8000-000000000009\",\"name\":\"shop-1\"}}]";
    struct world *world = *state;

    fake_load(world->fake, "targets", anew);
    expect(world, "backups shop-1", EXIT_DONE, "",
           "no backups\nA machine that is gone had this name, and has backups: shop-1@a0000000\n");
    expect(world, "backup restore shop-1 --as old --dry-run", EXIT_USAGE, "",
           "backup restore shop-1: no restore point of \"shop-1\"\nA machine that is gone had this name, and has backups: "
           "shop-1@a0000000\n");
    expect(world, "backups shop-1@a000", EXIT_DONE, NULL, "");
    has(world->out, "\nc1000000  shop-1");
    expect(world, "backups shop-1@a900", EXIT_DONE, "", NULL);
    expect(world, "target show shop-1@a900", EXIT_DONE, NULL, "");
    has(world->out, "libvirt:a9000000-");
    expect(world, "target show shop-1@a000", EXIT_USAGE, "", NULL);
    fake_load(world->fake, "points", points);
    expect(world, "backups", EXIT_DONE, NULL, "");
    has(world->out, "\nc0000000  shop-1@a0000000");
    has(world->out, "\nc9000000  shop-1@a9000000");
}

#define ON(host, state)                                                                                    \
    "{\"host\":\"" host "\",\"state\":\"" state "\",\"target\":{\"kind\":\"libvirt\",\"name\":\"shop-1\"," \
    "\"id\":\"a0000000-0000-4000-8000-000000000001\"}}"

/* As after a migration that left the definition behind. */
static void a_machine_that_two_hosts_have_is_the_one_that_runs(void **state)
{
    struct world *world = *state;

    fake_load(world->fake, "targets", "[" ON("alpha", "shutoff") "," ON("beta", "running") "]");
    expect(world, "target show shop-1", EXIT_DONE, NULL, "");
    has(world->out, "shop-1 on beta  running");
    expect(world, "target show alpha/shop-1", EXIT_DONE, NULL, "");
    has(world->out, "shop-1 on alpha  shutoff");
    fake_load(world->fake, "targets", "[" ON("alpha", "shutoff") "," ON("beta", "shutoff") "]");
    expect(world, "target show shop-1", EXIT_USAGE, "", NULL);
    has(world->err, "\"shop-1\" is ambiguous: alpha/shop-1 (libvirt:a000…), beta/shop-1 (libvirt:a000…)");
    fake_load(world->fake, "targets", "[" ON("alpha", "running") "," ON("beta", "paused") "]");
    expect(world, "target show shop-1", EXIT_USAGE, "", NULL);
    has(world->err, "is ambiguous");
}

static void a_backup_is_waited_for(void **state)
{
    struct world *world = *state;

    fake_script(
        world->fake, "backup.create",
        "[{\"state\":\"ACCEPTED\",\"at\":\"2026-11-20T14:00:00Z\"},{\"state\":\"RUNNING\",\"phase\":\"freeze\",\"at\":\"2026-11-20T14:00:00Z\"},{\"state\":\"RUNNING\",\"phase\":\"push\"},"
        "{\"state\":\"RUNNING\",\"phase\":\"push\",\"done\":524288,\"total\":1048576},"
        "{\"state\":\"SUCCEEDED\",\"at\":\"2026-11-20T14:00:03.400Z\",\"result\":{\"point\":\"5f1e0000-0000-4000-8000-000000000000\","
        "\"facts\":{\"frozen_ms\":\"38\",\"level\":\"filesystem\",\"size_bytes\":\"1395864371\",\"kind\":\"incremental\",\"chain_length\":\"4\"}}}]");
    expect(world, "backup create shop-1 --kind full", EXIT_DONE,
           "shop-1 on alpha  freeze · push   done in 3.4 s, frozen 38 ms, filesystem-consistent\n"
           "backup 5f1e0000-0000-4000-8000-000000000000, incremental, 1.3 GiB, chain of 4\n",
           NULL);
    has(world->err, "shop-1 on alpha: freeze\n");
    has(world->err, "shop-1 on alpha: push\n");
    const json_t *job = json_array_get(fake_submitted(world->fake), 0);
    assert_string_equal(member_text(json_object_get(job, "params"), "kind"), "full");
    expect(world, "backup create shop-1 --json", EXIT_DONE, NULL, NULL);
    json_t *json = json_loads(world->out, 0, NULL);
    assert_string_equal(member_text(json, "state"), "SUCCEEDED");
    json_decref(json);
}

static void no_wait_prints_the_id(void **state)
{
    struct world *world = *state;
    char id[64];

    expect(world, "snapshot create shop-1 --no-wait --request-id r1", EXIT_DONE, NULL, "");
    snprintf(id, sizeof id, "%s", world->out);
    id[strcspn(id, "\n")] = '\0';
    assert_true(uuid_valid(id));
    expect(world, "snapshot create shop-1 --no-wait --request-id r1", EXIT_DONE, NULL, "");
    assert_int_equal(strncmp(world->out, id, 36), 0); /* the same request */
    expect(world, "jobs --open", EXIT_DONE, NULL, "");
    has(world->out, "snapshot.create");
}

static void outcomes_become_exit_codes(void **state)
{
    static const struct {
        const char *event, *err;
        int code;
    } cases[] = {
        {"[{\"state\":\"FAILED\",\"error\":{\"kind\":\"permanent\",\"text\":\"no such disk vdz\",\"hint\":\"disks: vda\"}}]",
         "shop-1 on alpha: failed: no such disk vdz\ndisks: vda\n", EXIT_FAILED},
        {"[{\"state\":\"REJECTED\",\"error\":{\"kind\":\"conflict\",\"text\":\"moved\"}}]",
         "shop-1 on alpha: refused: moved\nNothing was changed. \n", EXIT_FAILED},
        {"[{\"state\":\"CANCELLED\"}]", "shop-1 on alpha: cancelled\n", EXIT_DECLINED},
        {"[{\"state\":\"EXPIRED\"}]", "shop-1 on alpha: expired\n", EXIT_DECLINED},
        {"[{\"state\":\"PARKED\"}]", "shop-1 on alpha: the outcome is not known\nThe target stays closed.", EXIT_UNKNOWN},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_script(world->fake, "snapshot.create", cases[i].event);
        expect(world, "snapshot create shop-1", cases[i].code, "", NULL);
        has(world->err, cases[i].err);
    }
}

static const char plan[] =
    "[{\"state\":\"SUCCEEDED\",\"result\":{\"plan_digest\":\"d1g357\",\"steps\":[{\"name\":\"check\",\"class\":\"A\",\"command\":\"the snapshot holds the definition\"},"
    "{\"name\":\"stop\",\"class\":\"C\",\"command\":\"virsh destroy 'shop-1'\",\"lost\":\"the running state\"}],\"lost\":[\"2 h of disk changes\",\"3 checkpoints end\"]}}]";

static void a_dry_run_shows_the_plan(void **state)
{
    struct world *world = *state;

    fake_script(world->fake, "snapshot.revert?dry", plan);
    expect(world, "snapshot revert shop-1 before-deploy --dry-run", EXIT_DONE,
           "shop-1: would be done on alpha, in this order; nothing has been changed.\n"
           "  1 check     the snapshot holds the definition\n"
           "  2 stop      virsh destroy 'shop-1'   takes the running state\n"
           "Lost by it: 2 h of disk changes; 3 checkpoints end.\n",
           NULL);
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 1);
}

static void what_destroys_is_planned_asked_and_bound(void **state)
{
    struct world *world = *state;

    fake_script(world->fake, "snapshot.revert?dry", plan);
    fake_script(world->fake, "snapshot.revert", "[{\"state\":\"SUCCEEDED\"}]");
    expect(world, "snapshot revert shop-1 before-deploy", EXIT_USAGE, "", NULL); /* nobody can be asked */
    has(world->err, "--yes");
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 0);
    world->terminal = true;
    world->answer = "n\n";
    expect(world, "snapshot revert shop-1 before-deploy", EXIT_DECLINED, "", NULL);
    has(world->err, "Lost by it: 2 h of disk changes; 3 checkpoints end.\nDo it? [y/N] ");
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 1);
    world->answer = "y\n";
    expect(world, "snapshot revert shop-1 before-deploy --running", EXIT_DONE, NULL, NULL);
    const json_t *job = json_array_get(fake_submitted(world->fake), 2);
    assert_string_equal(member_text(job, "plan_digest"), "d1g357");
    assert_string_equal(member_text(json_object_get(job, "params"), "after"), "running");
    world->terminal = false;
    fake_script(world->fake, "snapshot.list", /* the view still says after-migration */
                "[{\"state\":\"SUCCEEDED\",\"result\":{\"snapshots\":[{\"name\":\"before-deploy\"},"
                "{\"name\":\"made-just-now\",\"current\":true}]}}]");
    expect(world, "snapshot revert shop-1 --current --yes", EXIT_DONE, NULL, NULL);
    job = json_array_get(fake_submitted(world->fake), 5);
    assert_string_equal(member_text(json_object_get(job, "params"), "name"), "made-just-now");
}

static void a_plan_that_fails_ends_it(void **state)
{
    struct world *world = *state;

    fake_script(
        world->fake, "snapshot.revert?dry",
        "[{\"state\":\"FAILED\",\"error\":{\"kind\":\"permanent\",\"text\":\"revert needs --force if-needed: hardware differs\"}}]");
    expect(world, "snapshot revert shop-1 before-deploy --yes", EXIT_FAILED, "", NULL);
    has(world->err, "hardware differs");
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 1);
}

static void selectors_make_many(void **state)
{
    struct world *world = *state;

    fake_script(world->fake, "snapshot.create", "[{\"state\":\"SUCCEEDED\"}]");
    expect(world, "snapshot create -l app=shop --name x", EXIT_DONE, NULL, NULL);
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 2);
    expect(world, "snapshot create -l app=none", EXIT_USAGE, "", NULL);
    fake_script(world->fake, "backup.create", "[{\"state\":\"SUCCEEDED\"}]");
    expect(world, "backup create -l app=shop", EXIT_SOME, NULL, NULL); /* beta has no repository; alpha's ends */
}

static void errors_say_what_and_the_way_out(void **state)
{
    expect(*state, "backup create shpo-1", EXIT_USAGE, "", NULL);
    expect(*state, "backup create shop-11", EXIT_USAGE, "",
           "backup create shop-11: no target \"shop-11\"\nDid you mean shop-1 (alpha), shop-2 (beta)?\n");
    expect(*state, "snapshot create db", EXIT_USAGE, "",
           "snapshot create db: \"db\" is ambiguous: alpha/db (libvirt:a000…), beta/db (libvirt:a000…)\nSay which\n");
    expect(*state, "backup show c0", EXIT_USAGE, "", NULL);
    expect(
        *state, "snapshot create shop-1 --running", EXIT_USAGE, "",
        "fleetsnap snapshot create: unknown option --running (it belongs to snapshot revert)\nSee: fleetsnap snapshot create --help\n");
    fake_fail_next(((struct world *)*state)->fake, ERR_RETRY, "not leading", NULL);
    expect(*state, "snapshot create shop-1", EXIT_UNREACHABLE, "", NULL);
    fake_fail_next(((struct world *)*state)->fake, ERR_UNKNOWN, "no answer within 10 s", NULL);
    expect(*state, "snapshot create shop-1 --request-id abc", EXIT_UNSEEN, "", NULL);
    has(((struct world *)*state)->err, "--request-id abc");
    setenv("FLEETSNAP_URL", "http://127.0.0.1:1", 1);
    expect(*state, "targets", EXIT_UNREACHABLE, "", NULL);
    setenv("FLEETSNAP_URL", "file:///etc/passwd", 1);
    expect(*state, "targets", EXIT_UNREACHABLE, "", NULL);
}

static void holds_and_pins_say_what_and_why(void **state)
{
    expect(*state, "hold shop-1", EXIT_USAGE, "", NULL);
    expect(*state, "hold --reason x", EXIT_USAGE, "", NULL);
    expect(*state, "hold shop-1 --all --reason x", EXIT_USAGE, "", NULL);
    expect(*state, "hold shop-1 --reason @new_disk --dry-run", EXIT_DONE,
           "target shop-1 would be held; nothing has been changed.\n", "");
    expect(*state, "holds", EXIT_DONE, NULL, "nothing is held\n");
    expect(*state, "hold shop-1 --reason @new_disk", EXIT_DONE,
           "target:libvirt:a0000000-0000-4000-8000-000000000001 is held: new disk\n", "");
    expect(*state, "hold -l app=shop --for 2h --reason audit", EXIT_DONE, NULL, "");
    expect(*state, "holds", EXIT_DONE, NULL, "");
    has(((struct world *)*state)->out, "selector:app=shop");
    has(((struct world *)*state)->out, "new disk");
    expect(*state, "release shop-1", EXIT_DONE, "target:libvirt:a0000000-0000-4000-8000-000000000001 is released\n", "");
    expect(*state, "release -l app=shop", EXIT_DONE, "selector:app=shop is released\n", "");
    expect(*state, "release --host alpha", EXIT_USAGE, "", NULL);
    expect(*state, "snapshot pin shop-1 before-deploy", EXIT_USAGE, "", NULL);
    expect(*state, "snapshot pin shop-1 before-deploy --reason release", EXIT_DONE,
           "snapshot d0000000 is pinned: nobody takes it away\n", "");
    expect(*state, "backup unpin d0000000", EXIT_DONE, "backup d0000000 is not pinned any more\n", "");
    expect(*state, "snapshot pin shop-1 nothing --reason release", EXIT_USAGE, "", NULL);
}

static void words_that_cannot_be_are_refused(void **state)
{
    struct world *world = *state;

    expect(world, "jobs --state fialed", EXIT_USAGE, "", NULL);
    has(world->err, "jobs: state: \"fialed\" is none of LOST, PLANNED, PUBLISHED");
    expect(world, "jobs --state failed", EXIT_DONE, "", "no jobs\n");
    expect(world, "jobs --state LOST --op backup.create", EXIT_DONE, "", "no jobs\n");
    expect(world, "jobs --op backup", EXIT_USAGE, "", NULL);
    has(world->err, "snapshot.create, ");
    expect(world, "hosts --state silent --json", EXIT_DONE, NULL, "");
    has(world->out, "\"host\":\"beta\"");
    assert_null(strstr(world->out, "\"host\":\"alpha\""));
    expect(world, "hosts --state dead", EXIT_USAGE, "",
           "hosts: state: \"dead\" is none of running, draining, full, silent, unseen\n");
    expect(world, "host show alhpa", EXIT_USAGE, "", "host show: no host \"alhpa\"\nDid you mean alpha?\n");
    expect(world, "host show omega", EXIT_USAGE, "", "host show: no host \"omega\"\nAll of them: fleetsnap hosts\n");
    expect(world, "backup verify c000 --children", EXIT_USAGE, "", NULL);
    has(world->err, "unknown option --children (it belongs to backup delete)");
}

static const char policies_json[] =
    "[{\"name\":\"nightly\",\"version\":3,\"operation\":\"backup.create\",\"owner\":\"platform\",\"paused\":false,\"time_zone\":\"Europe/Berlin\",\"source\":\"name: nightly\\npriority: 3\\n\","
    "\"schedules\":[{\"name\":\"daily\",\"cron\":\"0 1 * * *\",\"next_at\":\"2026-11-21T00:00:00Z\"},{\"name\":\"weekly\",\"cron\":\"0 1 * * 0\",\"next_at\":\"2026-11-22T00:00:00Z\"}],"
    "\"versions\":[{\"version\":3,\"at\":\"2026-11-19T10:00:00Z\",\"by\":\"anna\",\"reason\":\"more days\"}],"
    "\"last_run\":{\"run_id\":\"5f1e0000-0000-5000-8000-000000000000\",\"outcome\":\"some_failed\",\"planned_at\":\"2026-11-20T01:00:00Z\"}},"
    "{\"name\":\"resting\",\"version\":1,\"operation\":\"backup.verify\",\"paused\":true,\"time_zone\":\"UTC\",\"schedules\":[],\"last_run\":null}]";
static const char runs_json[] =
    "[{\"run_id\":\"5f1e0000-0000-5000-8000-000000000000\",\"policy\":\"nightly\",\"schedule\":\"daily\",\"slot\":\"2026-11-20T00:00:00Z\",\"operation\":\"backup.create\",\"members\":3,"
    "\"outcome\":\"some_failed\",\"done\":1,\"failed\":1,\"skipped\":1,\"ended_at\":\"2026-11-20T00:10:00Z\",\"jobs\":["
    "{\"target\":\"libvirt:1\",\"name\":\"shop-1\",\"host\":\"alpha\",\"state\":\"SUCCEEDED\",\"job_id\":\"0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11\"},"
    "{\"target\":\"libvirt:2\",\"name\":\"shop-2\",\"host\":\"beta\",\"state\":\"REFUSED\",\"job_id\":null,\"skipped\":\"refused: host beta has no repository main\"},"
    "{\"target\":\"libvirt:3\",\"name\":\"db\",\"host\":\"alpha\",\"state\":\"SKIPPED\",\"job_id\":null,\"skipped\":\"an earlier job of this policy is still open on it\"}]}]";

#define DEPLOY(state, ended, more)                                       \
    "{\"deploy_id\": \"7\", \"state\": \"" state "\", \"ended\": " ended \
    ", \"pending\": false, \"selector\": \"app=shop\", " more "}"
#define DEPLOY_TARGETS(snapshot, revert)                                                                                              \
    "\"targets\": [{\"name\": \"shop-1\", \"target\": \"libvirt:1\", \"host\": \"alpha\", \"snapshot\": {\"state\": \"SUCCEEDED\"}, " \
    "\"revert\": {\"state\": \"SUCCEEDED\"}}, {\"name\": \"shop-2\", \"target\": \"libvirt:2\", \"host\": \"beta\", "                 \
    "\"snapshot\": {\"state\": \"" snapshot "\", \"why\": \"no room\"}, \"revert\": {\"state\": \"" revert                            \
    "\", \"why\": null}}]"

static void a_deploy_is_a_gate(void **state)
{
    struct world *world = *state;

    fake_load(world->fake, "deploys",
              "[" DEPLOY("planning", "false",
                         "\"next\": [{\"state\": \"snapshotting\"}, {\"state\": \"ready\"}], " DEPLOY_TARGETS(
                             "SUCCEEDED", "")) "]");
    expect(world, "deploy begin --id 7 -l app=shop --wait", EXIT_DONE,
           "deploy 7: ready: every target has its snapshot\n", "deploy 7: snapshotting: 2 of 2 done\n");
    fake_load(world->fake, "deploys",
              "[" DEPLOY("undone", "true",
                         "\"why\": \"not every target got its snapshot\", " DEPLOY_TARGETS("FAILED", "")) "]");
    expect(world, "deploy begin --id 7 -l app=shop", EXIT_FAILED, "",
           "deploy 7: undone: not every target got its snapshot; the snapshots that were made are deleted\n"
           "  shop-2 on beta: snapshot FAILED: no room\nTarget by target: fleetsnap deploy status 7\n");
    expect(world, "deploy begin --id 7 -l app=shop --no-wait", EXIT_DONE, "7\n", "");
    expect(world, "deploy begin --id 7", EXIT_USAGE, "", NULL);
    expect(world, "deploy begin --id 7 -l app=shop --wait --no-wait", EXIT_USAGE, "", NULL);
    expect(world, "deploy begin --id 7 -l app=nothing", EXIT_FAILED, "", NULL);
    expect(world, "deploy begin --id 8 -l app=nothing", EXIT_USAGE, "", NULL);
    expect(world, "deploys", EXIT_DONE, NULL, "");
    expect(world, "deploy status 7", EXIT_DONE, NULL, "");
    expect(world, "deploy status 9", EXIT_USAGE, "", NULL);
}

static void a_revert_says_what_is_not_back(void **state)
{
    struct world *world = *state;

    fake_load(world->fake, "deploys", "[" DEPLOY("revert_failed", "true", DEPLOY_TARGETS("SUCCEEDED", "FAILED")) "]");
    expect(world, "deploy failed 7 --revert", EXIT_SOME, "",
           "deploy 7: revert_failed: not every target is back; its snapshots are kept\n"
           "  shop-2 on beta: revert FAILED\nTarget by target: fleetsnap deploy status 7\n");
    fake_load(world->fake, "deploys", "[" DEPLOY("revert_failed", "true", DEPLOY_TARGETS("SUCCEEDED", "PARKED")) "]");
    expect(world, "deploy failed 7 --revert", EXIT_UNKNOWN, "", NULL);
    fake_load(world->fake, "deploys", "[" DEPLOY("reverted", "true", DEPLOY_TARGETS("SUCCEEDED", "SUCCEEDED")) "]");
    expect(world, "deploy failed 7 --revert --order shop-2,shop-1 --keep-going", EXIT_DONE,
           "deploy 7: reverted: every target is back\n", "");
    expect(world, "deploy failed 7 --order shop-2", EXIT_USAGE, "", NULL);
    expect(world, "deploy failed 7 --revert --keep-going --stop-on-failure", EXIT_USAGE, "", NULL);
    expect(world, "deploy failed 7 --revert --no-wait", EXIT_DONE, NULL, "");
    expect(world, "deploy failed 7", EXIT_DONE, "deploy 7 has failed; its snapshots are kept for a while\n", "");
    expect(world, "deploy succeeded 7", EXIT_DONE, NULL, "");
    world->terminal = true;
    world->answer = "n\n";
    expect(world, "deploy failed 7 --revert", EXIT_DECLINED, NULL, NULL);
}

static void a_group_is_made_and_gone_back_to(void **state)
{
    struct world *world = *state;

    fake_load(world->fake, "deploys", "[" DEPLOY("succeeded", "true", DEPLOY_TARGETS("SUCCEEDED", "")) "]");
    expect(world, "snapshot create -l app=shop --group --name 7 --group-limit 5s", EXIT_DONE,
           "group 7: succeeded: every machine has its snapshot, all of one point in time\n", "");
    expect(world, "snapshot create -l app=shop --group --name 7 --no-wait", EXIT_DONE, "7\n", "");
    expect(world, "snapshot create -l app=shop --group --name 8 --dry-run", EXIT_DONE, NULL, "");
    has(world->out, "group 8 would be the snapshot 8 of");
    expect(world, "snapshot create shop-1 --group --name 7", EXIT_USAGE, "", NULL);
    expect(world, "snapshot create -l app=shop --group", EXIT_USAGE, "", NULL);
    expect(world, "snapshot create -l app=shop --group --name 7 --halt", EXIT_USAGE, "",
           "snapshot create: --halt cannot be said of a group\n");
    expect(world, "snapshot create -l app=shop --name 7 --group-ttl 1h", EXIT_USAGE, "", NULL);
    expect(world, "deploy begin --id 7 -l app=shop --group-limit 5s", EXIT_USAGE, "", NULL);
    fake_load(world->fake, "deploys", "[" DEPLOY("undone", "true", DEPLOY_TARGETS("FAILED", "")) "]");
    expect(world, "snapshot create -l app=shop --group --name 7", EXIT_FAILED, "",
           "group 7: undone: there is no point in time; the snapshots that were made are deleted\n"
           "  shop-2 on beta: snapshot FAILED: no room\nTarget by target: fleetsnap deploy status 7\n");
    fake_load(world->fake, "deploys",
              "[" DEPLOY("reverted", "true", "\"standing\": true, " DEPLOY_TARGETS("SUCCEEDED", "SUCCEEDED")) "]");
    expect(world, "snapshot revert --group 7", EXIT_USAGE, "", NULL); /* nobody can be asked */
    expect(world, "snapshot revert --group 7 --yes", EXIT_DONE, "group 7: reverted: every target is back\n", "");
    expect(world, "snapshot revert --group 7 --dry-run", EXIT_DONE, NULL, "");
    expect(world, "snapshot revert --group 9 --yes", EXIT_USAGE, "", NULL);
    expect(world, "snapshot revert --group 7 --yes --running", EXIT_USAGE, "", NULL);
    expect(world, "snapshot revert shop-1 --group 7 --yes", EXIT_USAGE, "", NULL);
    fake_load(world->fake, "deploys", "[" DEPLOY("ready", "false", DEPLOY_TARGETS("SUCCEEDED", "")) "]");
    expect(world, "snapshot revert --group 7 --yes", EXIT_USAGE, "", NULL); /* a deploy is ended by who began it */
    fake_load(world->fake, "deploys",
              "[" DEPLOY("reverted", "true", "\"standing\": true, " DEPLOY_TARGETS("SUCCEEDED", "SUCCEEDED")) "]");
    world->terminal = true;
    world->answer = "n\n";
    expect(world, "snapshot revert --group 7", EXIT_DECLINED, NULL, NULL);
}

static void a_group_of_backups_is_made(void **state)
{
    struct world *world = *state;

#define BACKUPS(second)                                                                                                \
    "\"operation\": \"backup.create\", \"targets\": [{\"name\": \"shop-1\", \"host\": \"alpha\", \"backup\": "         \
    "{\"state\": \"SUCCEEDED\"}}, {\"name\": \"shop-2\", \"host\": \"beta\", \"backup\": {\"state\": \"" second "\", " \
    "\"why\": \"no room\"}}]"
    fake_load(world->fake, "deploys", "[" DEPLOY("succeeded", "true", BACKUPS("SUCCEEDED")) "]");
    expect(world, "backup create -l app=shop --group --name 7 --repository main --kind full --rate-limit 1MiB",
           EXIT_DONE, "group 7: succeeded: every machine has its backup, all of one point in time\n", "");
    expect(world, "backup create -l app=shop --group --name 8 --dry-run", EXIT_DONE, NULL, "");
    has(world->out, "group 8 would be the backups of");
    expect(world, "deploy status 7", EXIT_DONE, NULL, "");
    has(world->out, "BACKUP");
    fake_load(world->fake, "deploys", "[" DEPLOY("undone", "true", BACKUPS("FAILED")) "]");
    expect(world, "backup create -l app=shop --group --name 7", EXIT_FAILED, "",
           "group 7: undone: there is no point in time; the backups that were made are deleted\n"
           "  shop-2 on beta: backup FAILED: no room\nTarget by target: fleetsnap deploy status 7\n");
    static const char *const wrong[] = {"backup create shop-1 --group --name 7",
                                        "backup create -l app=shop --group",
                                        "backup create -l app=shop --name 7",
                                        "backup create -l app=shop --group-limit 3s",
                                        "backup create -l app=shop --group --name 7 --isolated",
                                        "backup create -l app=shop --group --name 7 --xml disks.xml",
                                        "backup create -l app=shop --group --name 7 --rate-limit fast"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect(world, wrong[i], EXIT_USAGE, "", NULL);
}

#define GROUP_POINT(id, target, name, more)                                                                               \
    "{\"id\":\"c2000000-0000-4000-8000-00000000000" id "\",\"kind\":\"backup\",\"state\":\"complete\","                   \
    "\"target\":{\"kind\":\"libvirt\",\"id\":\"a0000000-0000-4000-8000-00000000000" target "\",\"name\":\"" name "\"},"   \
    "\"host\":\"alpha\",\"created_at\":\"2026-11-20T11:00:00Z\",\"repository\":\"b0000000-0000-4000-8000-000000000001\"," \
    "\"group\":\"9d\",\"group_name\":\"sunday\",\"group_members\":2,\"group_skew_ms\":12" more "}"

static void a_group_of_backups_is_restored_as_a_whole(void **state)
{
    struct world *world = *state;

    fake_load(world->fake, "points", "[" GROUP_POINT("1", "1", "shop-1", "") "]");
    expect(world, "backup show c2000000", EXIT_DONE, NULL, "");
    has(world->out, "  group         sunday, of 2 machines; it had stood still for 12 ms when the last one did\n");
    expect(world, "backup restore --group sunday --as %-copy", EXIT_FAILED, "", NULL);
    has(world->err, "group sunday has 2 machines, and there is a backup of shop-1 only; nothing was done");
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 0);

    /* A copy of one that is there counts once, and where the original is gone it will do. */
    fake_load(world->fake, "points",
              "[" GROUP_POINT("3", "1", "shop-1", ",\"copied_point\":\"c2\"") "," GROUP_POINT(
                  "1", "1", "shop-1", "") "," GROUP_POINT("4", "3", "db", ",\"copied_point\":\"c2\"") "]");
    fake_script(world->fake, "backup.restore?dry", "[{\"state\":\"SUCCEEDED\",\"result\":{\"plan_digest\":\"d1\"}}]");
    fake_script(world->fake, "backup.restore", "[{\"state\":\"SUCCEEDED\"}]");
    expect(world, "backup restore --group sunday --as old-%-x --start", EXIT_DONE, NULL, NULL);
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 4); /* all are planned before the first is begun */
    for (size_t i = 2; i < 4; i++) {
        const json_t *job = json_array_get(fake_submitted(world->fake), i), *params = json_object_get(job, "params");
        assert_string_equal(member_text(job, "plan_digest"), "d1");
        assert_string_equal(member_text(params, "new_name"), i == 2 ? "old-shop-1-x" : "old-db-x");
        assert_int_equal(member_text(params, "point")[35], i == 2 ? '1' : '4');
    }
    expect(world, "backup restore --group sunday --in-place", EXIT_USAGE, "", NULL); /* nobody can be asked */
    expect(world, "backup restore --group sunday --as copy", EXIT_USAGE, "", NULL);
    expect(world, "backup restore --group sunday --as %-copy --at latest", EXIT_USAGE, "", NULL);
    expect(world, "backup restore c2000000 --group sunday --as %-copy", EXIT_USAGE, "", NULL);
    expect(world, "backup restore --group monday --as %-copy", EXIT_USAGE, "", NULL);
    has(world->err, "there are no backups of a group \"monday\"");
    fake_script(world->fake, "backup.restore?dry",
                "[{\"state\":\"FAILED\",\"error\":{\"kind\":\"permanent\",\"text\":\"no room\"}}]");
    expect(world, "backup restore --group sunday --as %-copy", EXIT_FAILED, NULL, NULL);
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 5); /* and then nothing is begun */
}

static void policies_and_runs_are_shown(void **state)
{
    struct world *world = *state;

    fake_load(world->fake, "policies", policies_json);
    fake_load(world->fake, "runs", runs_json);
    expect(world, "policies", EXIT_DONE, NULL, "");
    has(world->out, "nightly  backup.create  2026-11-21 00:00  daily  some_failed, ");
    has(world->out, "resting  backup.verify  paused");
    expect(world, "policy show nightly", EXIT_DONE, NULL, "");
    has(world->out, "anna: more days");
    has(world->out, "priority: 3\n");
    expect(world, "policy show nightly --source", EXIT_DONE, "name: nightly\npriority: 3\n", "");
    expect(world, "policy show weekly", EXIT_USAGE, "", NULL);
    has(world->err, "no policy \"weekly\"");
    expect(world, "runs", EXIT_DONE,
           "RUN       POLICY   SCHEDULE  SLOT              OUTCOME      TARGETS                           BY\n"
           "5f1e0000  nightly  daily     2026-11-20 00:00  some_failed  1 done, 1 failed, 1 skipped of 3  –\n",
           "");
    expect(world, "run show 5f1e", EXIT_DONE, NULL, "");
    has(world->out, "refused: host beta has no repository main");
    expect(world, "run watch 5f1e", EXIT_SOME, "", NULL);
    has(world->err, "Which and why: fleetsnap run show 5f1e0000");
    expect(world, "policy run-now nightly", EXIT_SOME, "", NULL);
    expect(world, "policy run-now nightly --no-wait", EXIT_DONE, "5f1e0000-0000-5000-8000-000000000000\n", "");
    expect(world, "run cancel 5f1e --reason no", EXIT_DONE, NULL, "");
    expect(world, "run show ffff", EXIT_USAGE, "", NULL);
}

static void policies_are_changed(void **state)
{
    struct world *world = *state;
    char file[128], line[256];

    snprintf(file, sizeof file, "%s/nightly.yaml", world->folder);
    FILE *out = fopen(file, "w");
    fputs("name: nightly\npriority: 4\n", out);
    fclose(out);
    fake_load(world->fake, "policies", policies_json);
    snprintf(line, sizeof line, "policy diff %s", file);
    expect(world, line, EXIT_FAILED, "policy nightly changes\n  name: nightly\n- priority: 3\n+ priority: 4\n", "");
    snprintf(line, sizeof line, "policy apply %s --dry-run", file);
    expect(world, line, EXIT_DONE, "policy nightly would be changed, version 2\n", "Nothing has been changed.\n");
    snprintf(line, sizeof line, "policy apply %s", file);
    expect(world, line, EXIT_DONE, "policy nightly changed, version 2\n", "");
    snprintf(line, sizeof line, "policy diff %s", file);
    expect(world, line, EXIT_DONE, "", "");
    expect(world, "policy apply /nowhere.yaml", EXIT_USAGE, "", NULL);
    expect(world, "policy pause nightly --dry-run", EXIT_DONE,
           "policy nightly would start nothing by itself; nothing has been changed.\n", "");
    expect(world, "policy pause nightly", EXIT_DONE, "policy nightly starts nothing by itself; what runs goes on\n", "");
    expect(world, "policy resume nightly", EXIT_DONE, NULL, "");
    expect(world, "policy preview", EXIT_USAGE, "", NULL);
    expect(world, "policy delete nightly", EXIT_USAGE, "", NULL);
    has(world->err, "--yes");
    expect(world, "policy delete nightly --yes", EXIT_DONE, "policy nightly is deleted; what it made stays\n", "");
    expect(world, "policy pause nightly", EXIT_USAGE, "", NULL);
}

static void a_preview_says_what_delays_and_who(void **state)
{
    struct world *world = *state;

    fake_load(
        world->fake, "previews",
        "[{\"name\":\"nightly\",\"paused\":false,\"retention\":[],\"firings\":[{\"schedule\":\"daily\",\"slot\":"
        "\"2026-11-22T01:00:00Z\",\"timed\":true,\"reach_ms\":3600000,\"targets\":["
        "{\"name\":\"shop-1\",\"host\":\"alpha\",\"due_at\":\"2026-11-22T01:00:00Z\",\"expected_start_at\":"
        "\"2026-11-22T03:00:00Z\",\"limit\":\"limits.per_host 1 on alpha\",\"behind\":[\"early\",\"weekly\"],"
        "\"cut\":true,\"busy_now\":true},"
        "{\"name\":\"shop-2\",\"host\":\"alpha\",\"due_at\":\"2026-11-22T01:00:00Z\",\"expected_start_at\":null}]}]}]");
    expect(world, "policy preview nightly --utc", EXIT_DONE, NULL, "");
    has(world->out, "of other runs only those within 60 min of it are counted");
    has(world->out,
        "its turn comes, but limits.per_host 1 on alpha lets it start about 2026-11-22 03:00Z, behind early, weekly\n");
    has(world->out, "it would be cancelled at the end of its window\n");
    has(world->out, "if it still is at the slot, it is left out\n");
    has(world->out, "it would not start before its window is over\n");
}

static void tokens_decide(void **state)
{
    setenv("FLEETSNAP_TOKEN", "fst_nobody.0123456789abcdef", 1);
    expect(*state, "targets", EXIT_FORBIDDEN, "", NULL);
    setenv("FLEETSNAP_TOKEN", "blank in it", 1);
    expect(*state, "targets", EXIT_USAGE, "", NULL);
    unsetenv("FLEETSNAP_TOKEN");
    expect(*state, "token create ci --role viewer", EXIT_DONE, NULL, NULL);
    has(((struct world *)*state)->out, "fst_ci.");
    expect(*state, "token revoke ci", EXIT_DONE, "token ci has ended\n", "");
}

static void jobs_are_watched_cancelled_resolved(void **state)
{
    struct world *world = *state;
    char id[64], line[128];

    fake_script(world->fake, "snapshot.create",
                "[{\"state\":\"PARKED\",\"error\":{\"kind\":\"unknown\",\"text\":\"it may have happened\"}}]");
    expect(world, "snapshot create shop-1 --no-wait", EXIT_DONE, NULL, "");
    snprintf(id, sizeof id, "%.36s", world->out);
    snprintf(line, sizeof line, "job watch %.8s", id);
    expect(world, line, EXIT_UNKNOWN, "", NULL);
    snprintf(line, sizeof line, "job watch %.8s --json", id);
    expect(world, line, EXIT_UNKNOWN, NULL, NULL);
    assert_int_equal(*world->out, '{');
    snprintf(line, sizeof line, "job show %.8s -v", id);
    expect(world, line, EXIT_DONE, NULL, NULL);
    has(world->out, "PARKED     it may have happened");
    snprintf(line, sizeof line, "job resolve %.8s --as done --dry-run --reason looked", id);
    expect(world, line, EXIT_DONE, NULL, "");
    snprintf(line, sizeof line, "job resolve %.8s --as done --reason looked", id);
    expect(world, line, EXIT_DONE, NULL, "");
    snprintf(line, sizeof line, "job cancel %.8s", id);
    expect(world, line, EXIT_FAILED, "", NULL);
    snprintf(line, sizeof line, "job retry %.8s", id);
    expect(world, line, EXIT_DONE, NULL, NULL);
}

static void a_waiting_job_says_for_what(void **state)
{
    struct world *world = *state;
    char holder[64], script[512];

    expect(world, "backup create shop-1 --no-wait", EXIT_DONE, NULL, "");
    snprintf(holder, sizeof holder, "%.36s", world->out);
    snprintf(script, sizeof script, "[{\"state\":\"WAITING\",\"waiting\":\"lock: alpha/%s\"}]", holder);
    fake_script(world->fake, "snapshot.create", script);
    expect(world, "snapshot create shop-1 --no-wait", EXIT_DONE, NULL, "");
    char id[64];
    snprintf(id, sizeof id, "%.36s", world->out);
    fake_event(world->fake, id, "{\"state\":\"WAITING\",\"waiting\":\"lock: alpha/x\",\"lost\":true}");
    char line[128];
    snprintf(line, sizeof line, "job watch %.8s", id);
    expect(world, line, EXIT_UNKNOWN, "", NULL);
    has(world->err, "the job waits: shop-1 is locked by job");

    snprintf(script, sizeof script,
             "[{\"state\":\"WAITING\",\"waiting\":\"parked: target is closed by a parked job: %s\"}]", holder);
    fake_script(world->fake, "snapshot.create", script);
    expect(world, "snapshot create shop-1 --no-wait", EXIT_DONE, NULL, "");
    snprintf(id, sizeof id, "%.36s", world->out);
    fake_event(world->fake, id, "{\"state\":\"WAITING\",\"waiting\":\"redis: x\",\"lost\":true}");
    snprintf(line, sizeof line, "job watch %.8s", id);
    expect(world, line, EXIT_UNKNOWN, "", NULL);
    snprintf(line, sizeof line, "the job waits: shop-1 is closed by job %.8s, whose outcome is not known", holder);
    has(world->err, line);
}

static void a_parked_job_shows_what_is_known_of_it(void **state)
{
    struct world *world = *state;
    char id[64], line[128];

    fake_script(world->fake, "snapshot.revert?dry", plan);
    fake_script(world->fake, "snapshot.revert",
                "[{\"state\":\"PARKED\",\"error\":{\"kind\":\"unknown\",\"text\":\"it may have happened\"},"
                "\"result\":{\"facts\":{\"step\":\"revert\",\"step_state\":\"intent\",\"owed\":\"start\","
                "\"before_id\":\"7\",\"definition\":\"<domain>\\n<name/></domain>\"}}}]");
    expect(world, "snapshot revert shop-1 one --yes --no-wait", EXIT_DONE, NULL, NULL);
    snprintf(id, sizeof id, "%.36s", world->out);
    snprintf(line, sizeof line, "job show %.8s", id);
    expect(world, line, EXIT_DONE, NULL, NULL);
    has(world->out, "step revert, intent");
    has(world->out, "start: it is paid when the job is resolved");
    has(world->out, "before_id = 7");
    has(world->out, "definition = <domain> …");
    has(world->err, "The target stays closed. Look at it, then: fleetsnap job resolve");
    snprintf(line, sizeof line, "job show %.8s -v", id);
    expect(world, line, EXIT_DONE, NULL, NULL);
    has(world->out, "<name/></domain>");
    fake_event(world->fake, id, "{\"state\":\"PARKED\",\"resolved\":\"done: looked\"}");
    snprintf(line, sizeof line, "job show %.8s", id);
    expect(world, line, EXIT_DONE, NULL, NULL);
    has(world->out, "done: looked");
    assert_null(strstr(world->err, "The target stays closed"));
}

static char *read_file(const struct world *world, const char *name)
{
    static char text[4096];
    char path[256];

    snprintf(path, sizeof path, "%s/%s", world->folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void bundles_of_many_hosts(void **state)
{
    struct world *world = *state;
    char line[512], path[256], expected[1024];
    struct stat about;

    snprintf(path, sizeof path, "%s/hosts.txt", world->folder);
    FILE *file = fopen(path, "w");
    fputs("# the fleet\ngamma libvirt_uri=qemu:///embed?root=/x state_directory=/var/lib/g pools=/vm,/vm2\n\ndelta\n",
          file);
    fclose(file);
    snprintf(line, sizeof line, "host enroll --from %s --out %s/bundles", path, world->folder);
    expect(world, line, EXIT_DONE, NULL, NULL);
    assert_string_equal(read_file(world, "bundles/delta/host.key"), "1 key-of-delta\n");
    assert_string_equal(read_file(world, "bundles/delta/redis.password"), "pa\"ss");
    snprintf(
        expected, sizeof expected,
        "# Made by fleetsnap host enroll for gamma. Options: fleetsnap-worker --help\nhost: \"gamma\"\nkafka:\n  brokers: \"k1:9092\"\nkey_file: \"host.key\"\n"
        "libvirt:\n  uri: \"qemu:///embed?root=/x\"\npools: [\"/vm\", \"/vm2\"]\nredis:\n  address: \"r1:6379\"\n  password_file: \"redis.password\"\n  user: \"worker\"\n"
        "state_directory: \"/var/lib/g\"\n");
    assert_string_equal(read_file(world, "bundles/gamma/worker.yaml"), expected);
    snprintf(path, sizeof path, "%s/bundles/gamma/worker.yaml", world->folder);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    expect(world, "host enroll epsilon", EXIT_USAGE, "", NULL);
    expect(world, "host enroll Not_A_Host --out /tmp", EXIT_USAGE, "", NULL);
}

static void names_are_completed(void **state)
{
    expect(*state, "__complete -- target show @", EXIT_DONE, "shop-1\nshop-2\ndb\ndb\n", "");
    expect(*state, "__complete -- snapshot revert shop-1 @", EXIT_DONE, "before-deploy\nafter-migration\nexperiment\n",
           "");
    expect(*state, "__complete -- backup create shop-1 --kind @", EXIT_DONE, "auto\nfull\nincremental\ndifferential\n",
           "");
    expect(*state, "__complete -- repository init x --host @", EXIT_DONE, "alpha\nbeta\n", "");
    expect(*state, "__complete -- host @", EXIT_DONE, "list\nshow\nenroll\ndrain\nresume\nreplace\nremove\n", "");
}

static void what_is_lost_with_a_host_is_said_first(void **state)
{
    struct world *world = *state;
    char command[300];

    expect(world, "host remove beta --dry-run", EXIT_DONE, NULL, "");
    has(world->out, "host beta leaves the fleet: its keys end, 2 open jobs end as EXPIRED");
    expect(world, "host replace beta", EXIT_USAGE, "", NULL);
    snprintf(command, sizeof command, "host replace beta --out %s", world->folder);
    expect(world, command, EXIT_USAGE, "", NULL); /* nobody can be asked */
    strcat(command, " --yes");
    expect(world, command, EXIT_DONE, NULL, NULL);
    has(world->err, "are those of the machine before");
    has(read_file(world, "beta/worker.yaml"), "pools: [\"/vm\", \"/big\"]\n");
    has(read_file(world, "beta/worker.yaml"), "libvirt:\n  uri: \"qemu:///session\"\n");
    snprintf(command, sizeof command, "grep -qx '3 key-of-beta' %s/beta/host.key && rm -r %s/beta", world->folder,
             world->folder);
    assert_int_equal(system(command), 0);
}

static void a_recovery_is_shown_before_it_is_begun(void **state)
{
    struct world *world = *state;

    expect(world, "recover --host beta", EXIT_USAGE, "", NULL);
    expect(world, "recover --host beta --onto gamma,delta --dry-run", EXIT_SOME, NULL, "");
    has(world->out, "TARGET  RESTORE POINT");
    has(world->out, "shop-2  5f1e2a33  full");
    has(world->out, "gamma");
    has(world->out, "no good backup: it cannot be recovered");
    has(world->out, "1 of 2 can be recovered, 1 GiB. The order is by priority. Without --dry-run: do it.");
    expect(world, "recover --host beta --onto gamma --no-wait", EXIT_DONE, "5f1e0000-0000-4000-8000-000000000001\n", "");
    expect(world, "recover --host beta --onto gamma --start never", EXIT_USAGE, "", NULL);
}

static void an_export_is_a_private_file_that_is_imported_in_portions(void **state)
{
    struct world *world = *state;
    char command[300], path[200];
    struct stat about;

    snprintf(path, sizeof path, "%s/export.json", world->folder);
    snprintf(command, sizeof command, "admin export %s", path);
    expect(world, command, EXIT_DONE, NULL, "");
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    snprintf(command, sizeof command, "admin import %s --dry-run", path);
    expect(world, command, EXIT_DONE, "host         1 would be added, 0 there already\nepoch        1027\n", "");
    FILE *file = fopen(path, "w");
    fprintf(file, "{\"fleetsnap_export\":1,\"records\":[{}");
    for (int i = 1; i < 450; i++)
        fprintf(file, ",{}");
    fprintf(file, "]}");
    fclose(file);
    snprintf(command, sizeof command, "admin import %s", path);
    expect(world, command, EXIT_DONE, "host         450 added, 0 there already\n", NULL);
    file = fopen(path, "w");
    fprintf(file, "{}");
    fclose(file);
    expect(world, command, EXIT_USAGE, "", NULL);
    unlink(path);
}

static void an_interrupt_detaches(void **state)
{
    struct world *world = *state;

    expect(world, "backup create shop-1 --no-wait", EXIT_DONE, NULL, "");
    char line[128];
    snprintf(line, sizeof line, "job watch %.8s", world->out);
    /* the handler is installed when the wait begins: a real ^C comes later */
    if (fork() == 0) {
        usleep(500000);
        kill(getppid(), SIGINT);
        _exit(0);
    }
    expect(world, line, EXIT_UNSEEN, "", NULL);
    has(world->err, "detached; the job goes on.   fleetsnap job watch");
}

struct interrupt {
    struct world *world;
    size_t jobs;
    pthread_t thread;
};

static void *press_when_submitted(void *argument)
{
    struct interrupt *interrupt = argument;

    while (json_array_size(fake_submitted(interrupt->world->fake)) < interrupt->jobs)
        usleep(10000);
    sleep(3); /* events have arrived by then; nothing in the test ends these jobs */
    kill(getpid(), SIGINT);
    return NULL;
}

/* ^C in the run of `line`, a while after the so-many-th job was submitted. */
static void expect_interrupted(struct world *world, size_t jobs, const char *line, int code)
{
    struct interrupt interrupt = {.world = world, .jobs = jobs};

    assert_int_equal(pthread_create(&interrupt.thread, NULL, press_when_submitted, &interrupt), 0);
    expect(world, line, code, "", NULL);
    pthread_join(interrupt.thread, NULL);
}

static void an_interrupted_look_ahead_changes_nothing(void **state)
{
    struct world *world = *state;

    fake_script(world->fake, "snapshot.revert?dry",
                "[{\"state\":\"WAITING\",\"waiting\":\"retry: foreign job: another backup runs on shop-1\"}]");
    expect_interrupted(world, 1, "snapshot revert shop-1 before-deploy --yes", EXIT_DECLINED);
    assert_string_equal(world->err,
                        "the job waits: foreign job: another backup runs on shop-1. It starts by itself; ^C detaches.\n"
                        "stopped; nothing was changed.\n");
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 1);
}

static void an_interrupt_cancels_what_has_not_begun_to_destroy(void **state)
{
    struct world *world = *state;

    fake_script(world->fake, "snapshot.revert?dry", plan);
    fake_script(world->fake, "snapshot.revert", "[{\"state\":\"RUNNING\",\"phase\":\"check\"}]");
    expect_interrupted(world, 2, "snapshot revert shop-1 before-deploy --yes", EXIT_UNSEEN);
    has(world->err, "detached, and the job was asked to cancel");
    fake_script(world->fake, "snapshot.revert", "[{\"state\":\"RUNNING\",\"phase\":\"stop\"}]");
    expect_interrupted(world, 4, "snapshot revert shop-1 before-deploy --yes", EXIT_UNSEEN);
    has(world->err, "detached; the job goes on.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(targets_are_a_table, make, destroy),
        cmocka_unit_test_setup_teardown(snapshots_are_a_tree, make, destroy),
        cmocka_unit_test_setup_teardown(json_is_alone_on_standard_output, make, destroy),
        cmocka_unit_test_setup_teardown(everything_has_a_view_for_people, make, destroy),
        cmocka_unit_test_setup_teardown(help_is_of_what_the_words_name, make, destroy),
        cmocka_unit_test_setup_teardown(the_report_says_how_old_what_could_be_restored_is, make, destroy),
        cmocka_unit_test_setup_teardown(backups_are_chosen, make, destroy),
        cmocka_unit_test_setup_teardown(a_machine_made_again_under_an_old_name, make, destroy),
        cmocka_unit_test_setup_teardown(a_machine_that_two_hosts_have_is_the_one_that_runs, make, destroy),
        cmocka_unit_test_setup_teardown(a_backup_is_waited_for, make, destroy),
        cmocka_unit_test_setup_teardown(no_wait_prints_the_id, make, destroy),
        cmocka_unit_test_setup_teardown(outcomes_become_exit_codes, make, destroy),
        cmocka_unit_test_setup_teardown(a_dry_run_shows_the_plan, make, destroy),
        cmocka_unit_test_setup_teardown(what_destroys_is_planned_asked_and_bound, make, destroy),
        cmocka_unit_test_setup_teardown(a_plan_that_fails_ends_it, make, destroy),
        cmocka_unit_test_setup_teardown(selectors_make_many, make, destroy),
        cmocka_unit_test_setup_teardown(errors_say_what_and_the_way_out, make, destroy),
        cmocka_unit_test_setup_teardown(holds_and_pins_say_what_and_why, make, destroy),
        cmocka_unit_test_setup_teardown(words_that_cannot_be_are_refused, make, destroy),
        cmocka_unit_test_setup_teardown(policies_and_runs_are_shown, make, destroy),
        cmocka_unit_test_setup_teardown(a_deploy_is_a_gate, make, destroy),
        cmocka_unit_test_setup_teardown(a_revert_says_what_is_not_back, make, destroy),
        cmocka_unit_test_setup_teardown(a_group_is_made_and_gone_back_to, make, destroy),
        cmocka_unit_test_setup_teardown(a_group_of_backups_is_made, make, destroy),
        cmocka_unit_test_setup_teardown(a_group_of_backups_is_restored_as_a_whole, make, destroy),
        cmocka_unit_test_setup_teardown(policies_are_changed, make, destroy),
        cmocka_unit_test_setup_teardown(a_preview_says_what_delays_and_who, make, destroy),
        cmocka_unit_test_setup_teardown(tokens_decide, make, destroy),
        cmocka_unit_test_setup_teardown(jobs_are_watched_cancelled_resolved, make, destroy),
        cmocka_unit_test_setup_teardown(a_waiting_job_says_for_what, make, destroy),
        cmocka_unit_test_setup_teardown(a_parked_job_shows_what_is_known_of_it, make, destroy),
        cmocka_unit_test_setup_teardown(bundles_of_many_hosts, make, destroy),
        cmocka_unit_test_setup_teardown(names_are_completed, make, destroy),
        cmocka_unit_test_setup_teardown(what_is_lost_with_a_host_is_said_first, make, destroy),
        cmocka_unit_test_setup_teardown(a_recovery_is_shown_before_it_is_begun, make, destroy),
        cmocka_unit_test_setup_teardown(an_export_is_a_private_file_that_is_imported_in_portions, make, destroy),
        cmocka_unit_test_setup_teardown(an_interrupt_detaches, make, destroy),
        cmocka_unit_test_setup_teardown(an_interrupted_look_ahead_changes_nothing, make, destroy),
        cmocka_unit_test_setup_teardown(an_interrupt_cancels_what_has_not_begun_to_destroy, make, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
