#include "worker/backends/libvirt/half_ended.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A note as libvirt 9.0 writes it and answers as QEMU 7.2 gives them, without what nobody reads: a raw block device, two layers on it. */
#define NODES(n)                                                        \
    "<privateData><nodenames><nodename type='storage' name='libvirt-" n \
    "-storage'/><nodename type='format' name='libvirt-" n "-format'/></nodenames></privateData>"
#define BACKING                                                                                         \
    "<backingStore type='file' index='4'><format type='qcow2'/><source file='/d/one'>" NODES(           \
        "4") "</source>"                                                                                \
             "<backingStore type='block' index='2'><format type='raw'/><source dev='/dev/vg/a'>" NODES( \
                 "2") "</source>"                                                                       \
                      "<backingStore/></backingStore></backingStore>"
#define JOB(type, state, top, base)                                                                                 \
    "<blockjob name='commit-vda-libvirt-" top "-format' type='" type "' " state " jobflags='0x4'><disk dst='vda'/>" \
    "<base node='libvirt-" base "-format'/><top node='libvirt-" top "-format'/></blockjob>"
#define MIRROR(job, n)                                                                      \
    "<mirror type='file' job='" job "' ready='yes'><format type='qcow2'/><source index='" n \
    "'>" NODES(n) "</source></mirror>"
#define NOTE(job, mirror)                                                                                               \
    "<domstatus state='running'><monitor path='/m/monitor.sock' type='unix'/><blockjobs active='yes'>" job              \
    "</blockjobs><domain type='qemu'><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"       \
    "<source file='/d/two' index='8'>" NODES(                                                                           \
        "8") "</source>" BACKING mirror "<target dev='vda'/><privateData>"                                              \
             "<qom name='/machine/peripheral/virtio-disk0/virtio-backend'/></privateData></disk><disk type='file'>"     \
             "<driver name='qemu' type='raw'/><source file='/d/b' index='1'/><backingStore/><target dev='vdb'/></disk>" \
             "</devices></domain></domstatus>"
#define ACTIVE NOTE(JOB("active-commit", "state='ready' newstate='ready'", "8", "4"), MIRROR("active-commit", "4"))
#define BELOW  NOTE(JOB("commit", "state='running'", "4", "2"), "")

#define QEMU_JOB(id, status)                              \
    "[{\"current-progress\":1048576,\"status\":\"" status \
    "\",\"total-progress\":1048576,\"type\":\"commit\",\"id\":\"" id "\"}]"
#define DRIVE(node, image)                                                                                               \
    "[{\"io-status\":\"ok\",\"device\":\"\",\"qdev\":\"sata0-0-0\",\"type\":\"unknown\"},{\"device\":\"\",\"inserted\":" \
    "{\"node-name\":\"libvirt-" node "-format\",\"image\":" image "},\"qdev\":"                                          \
    "\"/machine/peripheral/virtio-disk0/virtio-backend\"}]"
#define FILES1  "{\"filename\":\"/dev/vg/a\"}"
#define FILES2  "{\"filename\":\"/d/one\",\"backing-image\":" FILES1 "}"
#define FILES3  "{\"filename\":\"/d/two\",\"backing-image\":" FILES2 "}"
#define ON_TOP  DRIVE("8", FILES3)
#define ON_BASE DRIVE("4", FILES2)

static char *mended;

static enum half_ended mend(const char *note, const char *jobs, const char *blocks)
{
    enum half_ended result;
    struct err err = {0};

    free(mended);
    if (half_ended_mend(note, &(struct half_ended_answers){jobs, blocks}, &result, &mended, &err) < 0)
        fail_msg("%s", err.text);
    return result;
}

static int forget(void **state)
{
    (void)state;
    free(mended);
    mended = NULL;
    return 0;
}

static void only_a_commit_whose_end_qemu_may_know_is_asked_about(void **state)
{
    CLEANUP(freep) char *socket = NULL;
    char *none = NULL;

    (void)state;
    assert_true(half_ended_doubtful(ACTIVE, &socket));
    assert_string_equal(socket, "/m/monitor.sock");
    freep(&socket);
    socket = NULL;
    assert_true(half_ended_doubtful(BELOW, &socket));
    freep(&socket);
    socket = NULL;
    assert_true(half_ended_doubtful(NOTE("", MIRROR("active-commit", "4")), &socket));
    assert_false(half_ended_doubtful(NOTE("", ""), &none));
    assert_false(half_ended_doubtful(NOTE("", MIRROR("copy", "4")), &none));
    assert_false(half_ended_doubtful(NOTE(JOB("active-commit", "state='new'", "8", "4"), ""), &none));
    assert_false(half_ended_doubtful(NOTE(JOB("copy", "state='ready'", "8", "4"), MIRROR("copy", "4")), &none));
    assert_false(half_ended_doubtful("<commit", &none));
    assert_null(none);
}

static void a_disk_that_stands_on_the_base_is_noted_so(void **state)
{
    (void)state;
    assert_int_equal(mend(ACTIVE, "[]", ON_BASE), HALF_ENDED_MENDED);
    assert_null(strstr(mended, "/d/two"));
    assert_null(strstr(mended, "<mirror"));
    assert_null(strstr(mended, "<blockjob "));
    assert_non_null(strstr(mended, "<source file=\"/d/one\" index=\"4\">"));
    assert_null(strstr(strstr(mended, "/d/one") + 1, "/d/one"));
    assert_non_null(strstr(mended, "<backingStore type=\"block\" index=\"2\">"));
    assert_non_null(strstr(mended, "<source dev=\"/dev/vg/a\">"));
    assert_non_null(strstr(mended, "libvirt-4-storage"));
}

/* The same two layers at once, down to a block device. */
static void the_disk_gets_the_kind_of_the_base(void **state)
{
    (void)state;
    assert_int_equal(mend(NOTE(JOB("active-commit", "state='pivoting'", "8", "2"), MIRROR("active-commit", "2")), "[]",
                          DRIVE("2", FILES1)),
                     HALF_ENDED_MENDED);
    assert_non_null(strstr(mended, "<disk type=\"block\" device=\"disk\">"));
    assert_non_null(strstr(mended, "<driver name=\"qemu\" type=\"raw\"/>"));
    assert_non_null(strstr(mended, "<source dev=\"/dev/vg/a\" index=\"2\">"));
    assert_null(strstr(mended, "/d/one"));
}

/* libvirt has dropped the job from its note in an earlier start, and the mirror is left. */
static void a_mirror_that_is_left_is_noted_to_its_end(void **state)
{
    (void)state;
    assert_int_equal(mend(NOTE("", MIRROR("active-commit", "4")), "[]", ON_BASE), HALF_ENDED_MENDED);
    assert_null(strstr(mended, "/d/two"));
    assert_int_equal(
        mend(NOTE("", MIRROR("active-commit", "4")), QEMU_JOB("commit-vda-libvirt-8-format", "ready"), ON_TOP),
        HALF_ENDED_NOTHING);
}

static void a_commit_that_was_given_up_loses_its_mirror(void **state)
{
    (void)state;
    assert_int_equal(mend(ACTIVE, "[]", ON_TOP), HALF_ENDED_MENDED);
    assert_null(strstr(mended, "<mirror"));
    assert_null(strstr(mended, "<blockjob "));
    assert_non_null(strstr(mended, "<source file=\"/d/two\" index=\"8\">"));
}

static void layers_that_were_merged_below_the_top_go(void **state)
{
    (void)state;
    assert_int_equal(mend(BELOW, "[]", DRIVE("8", "{\"filename\":\"/d/two\",\"backing-image\":" FILES1 "}")),
                     HALF_ENDED_MENDED);
    assert_null(strstr(mended, "/d/one"));
    assert_null(strstr(mended, "<blockjob "));
    assert_non_null(strstr(mended, "<source file=\"/d/two\" index=\"8\">"));
    assert_non_null(strstr(mended, "<backingStore type=\"block\" index=\"2\">"));
    assert_int_equal(mend(BELOW, "[]", ON_TOP), HALF_ENDED_NOTHING); /* given up */
    assert_null(mended);
    assert_int_equal(mend(BELOW, "[]", ON_BASE), HALF_ENDED_UNCLEAR);
    assert_null(mended);
    assert_int_equal(mend(BELOW, NULL, NULL), HALF_ENDED_NOTHING);
}

static void libvirt_follows_a_job_that_it_finds(void **state)
{
    (void)state;
    assert_int_equal(mend(ACTIVE, QEMU_JOB("commit-vda-libvirt-8-format", "concluded"), ON_BASE), HALF_ENDED_NOTHING);
    assert_null(mended);
    assert_int_equal(mend(BELOW, QEMU_JOB("commit-vda-libvirt-4-format", "running"), ON_TOP), HALF_ENDED_NOTHING);
    assert_null(mended);
    assert_int_equal(mend(ACTIVE, QEMU_JOB("commit-vdb-libvirt-9-format", "running"), ON_BASE), HALF_ENDED_MENDED);
}

static void what_is_not_understood_stays(void **state)
{
    (void)state;
    assert_int_equal(mend(ACTIVE, "[]", DRIVE("77", FILES2)), HALF_ENDED_UNCLEAR);
    assert_null(mended);
    assert_int_equal(mend(ACTIVE, "[]", "[]"), HALF_ENDED_UNCLEAR); /* no such drive */
    assert_null(mended);
    assert_int_equal(mend(ACTIVE, NULL, NULL), HALF_ENDED_NOTHING);
    assert_null(mended);
    assert_int_equal(mend(NOTE(JOB("active-commit", "state='ready'", "8", "7"), MIRROR("active-commit", "7")), "[]",
                          DRIVE("7", FILES1)),
                     HALF_ENDED_UNCLEAR); /* a base that is not in the chain */
    assert_null(mended);
}

/* libvirt would not read this note at all, and QEMU was told to forget the job before it was written. */
static void what_is_noted_as_completed_needs_no_answer(void **state)
{
    const char *note = NOTE(JOB("active-commit", "state='pivoting' newstate='completed'", "8", "4"),
                            "<mirror type='file' job=''><source file='/d/one'/></mirror>");

    (void)state;
    assert_int_equal(mend(note, NULL, NULL), HALF_ENDED_MENDED);
    assert_null(strstr(mended, "/d/two"));
    assert_null(strstr(mended, "<mirror"));
    assert_int_equal(mend(note, "[]", ON_BASE), HALF_ENDED_MENDED);
}

static void answers_that_are_none_are_refused(void **state)
{
    static const char *const wrong[] = {"", "{", "{}", "7", "[{]"};
    enum half_ended result;
    char *none;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err err = {0};

        assert_int_equal(half_ended_mend(ACTIVE, &(struct half_ended_answers){wrong[i], "[]"}, &result, &none, &err),
                         -1);
        assert_int_equal(err.kind, ERR_RETRY);
        assert_int_equal(half_ended_mend(ACTIVE, &(struct half_ended_answers){"[]", wrong[i]}, &result, &none, &err),
                         -1);
        assert_null(none);
    }
    assert_int_equal(mend(ACTIVE, "[7, {}, null]", "[null, 7, {\"inserted\":7}]"), HALF_ENDED_UNCLEAR);
}

#define DEFINITION(source)                                                                                         \
    "<domain type='qemu'><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/>" \
    "<source file='" source "'/><backingStore/><target dev='vda'/></disk></devices></domain>"

static void a_definition_follows_its_disk(void **state)
{
    CLEANUP(freep) char *defined = NULL;

    (void)state;
    mend(NOTE(JOB("active-commit", "state='pivoting'", "8", "2"), MIRROR("active-commit", "2")), "[]",
         DRIVE("2", FILES1));
    assert_int_equal(half_ended_define(DEFINITION("/d/two"), ACTIVE, mended, &defined, NULL), 0);
    assert_non_null(defined);
    assert_non_null(strstr(defined, "<disk type=\"block\" device=\"disk\">"));
    assert_non_null(strstr(defined, "<driver name=\"qemu\" type=\"raw\" cache=\"none\"/>"));
    assert_non_null(strstr(defined, "<source dev=\"/dev/vg/a\"/>"));
    assert_null(strstr(defined, "/d/two"));
    assert_null(strstr(defined, "backingStore"));
    free(defined);
    assert_int_equal(half_ended_define(DEFINITION("/d/other"), ACTIVE, mended, &defined, NULL), 0);
    assert_null(defined); /* a person has given it another disk meanwhile */
    assert_int_equal(half_ended_define(DEFINITION("/d/two"), ACTIVE, ACTIVE, &defined, NULL), 0);
    assert_null(defined);
}

static void what_qemu_has_no_use_for_is_named(void **state)
{
    struct strings nodes = {0};

    (void)state;
    mend(ACTIVE, "[]", ON_BASE);
    assert_int_equal(half_ended_nodes(ACTIVE, mended, &nodes, NULL), 0);
    assert_int_equal(nodes.count, 2);
    assert_string_equal(nodes.items[0], "libvirt-8-format");
    assert_string_equal(nodes.items[1], "libvirt-8-storage");
    strings_clear(&nodes);
}

static void a_bitmap_may_be_left_on_the_base_of_what_does_not_just_end(void **state)
{
    static const struct {
        const char *jobs;
        size_t count;
    } cases[] = {{"[]", 1},
                 {QEMU_JOB("commit-vda-libvirt-8-format", "ready"), 1},
                 {QEMU_JOB("commit-vda-libvirt-8-format", "pending"), 0},
                 {QEMU_JOB("commit-vda-libvirt-8-format", "concluded"), 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strings bases = {0};

        assert_int_equal(half_ended_bases(ACTIVE, &(struct half_ended_answers){cases[i].jobs, "[]"}, &bases, NULL), 0);
        assert_int_equal(bases.count, cases[i].count);
        if (bases.count)
            assert_string_equal(bases.items[0], "libvirt-4-format");
        strings_clear(&bases);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_commit_whose_end_qemu_may_know_is_asked_about),
        cmocka_unit_test(a_disk_that_stands_on_the_base_is_noted_so),
        cmocka_unit_test(the_disk_gets_the_kind_of_the_base),
        cmocka_unit_test(a_mirror_that_is_left_is_noted_to_its_end),
        cmocka_unit_test(a_commit_that_was_given_up_loses_its_mirror),
        cmocka_unit_test(layers_that_were_merged_below_the_top_go),
        cmocka_unit_test(libvirt_follows_a_job_that_it_finds),
        cmocka_unit_test(what_is_not_understood_stays),
        cmocka_unit_test(what_is_noted_as_completed_needs_no_answer),
        cmocka_unit_test(answers_that_are_none_are_refused),
        cmocka_unit_test(a_definition_follows_its_disk),
        cmocka_unit_test(what_qemu_has_no_use_for_is_named),
        cmocka_unit_test(a_bitmap_may_be_left_on_the_base_of_what_does_not_just_end),
    };

    return cmocka_run_group_tests(tests, NULL, forget);
}
