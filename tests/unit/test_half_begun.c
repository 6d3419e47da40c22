#include "worker/backends/libvirt/half_begun.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOTE(content) \
    "<domstatus state='running'><vcpus/>" content "<domain type='qemu'><name>a</name></domain></domstatus>"
#define BACKUP_JOB "<job type='none' async='backup' flags='0x0'/>"

static void a_place_without_a_backup_is_cut_out(void **state)
{
    char *cut = NULL;

    (void)state;
    assert_int_equal(half_begun_cut(NOTE(BACKUP_JOB), &cut, NULL), 0);
    assert_non_null(cut);
    assert_null(strstr(cut, "async"));
    assert_non_null(strstr(cut, "<vcpus/>"));
    assert_non_null(strstr(cut, "<name>a</name>"));
    free(cut);
}

#define COMMIT(type)                                         \
    "<blockjobs active='yes'><blockjob name='c' type='" type \
    "' state='new' jobflags='0x6'><disk dst='vda'/><base node='b'/><top node='t'/></blockjob></blockjobs>"
#define DISKS(mirror_of_vda, mirror_of_vdb)                                                              \
    "<domain type='qemu'><devices><disk>" mirror_of_vda "<target dev='vda'/></disk><disk>" mirror_of_vdb \
    "<target dev='vdb'/></disk></devices></domain>"
#define STATUS(content) "<domstatus>" content "</domstatus>"

/* Then libvirt does not understand it, cancels it and forgets it. */
static void a_commit_without_its_mirror_loses_what_it_is_of(void **state)
{
    char *cut = NULL;

    (void)state;
    assert_int_equal(half_begun_cut(STATUS(COMMIT("active-commit") DISKS("", "<mirror/>")), &cut, NULL), 0);
    assert_non_null(cut);
    assert_non_null(strstr(cut, "name=\"c\""));
    assert_non_null(strstr(cut, "<target dev=\"vda\"/>"));
    assert_null(strstr(cut, "dst="));
    assert_null(strstr(cut, "<base"));
    assert_true(half_begun_ending(cut));
    assert_false(half_begun_ending(STATUS(COMMIT("active-commit") DISKS("", ""))));
    assert_false(half_begun_ending(STATUS("<blockjobs active='no'/>")));
    assert_true(half_begun_ending(
        STATUS("<blockjobs><blockjob name='c' type='broken' brokentype='active-commit'/></blockjobs>")));
    free(cut);
}

static void all_else_stays(void **state)
{
    static const char *const notes[] = {NOTE(""),
                                        NOTE(BACKUP_JOB "<backups><domainbackup mode='push'/></backups>"),
                                        NOTE("<job type='none' async='snapshot'/>"),
                                        NOTE("<job type='modify' async='none'/>"),
                                        STATUS(COMMIT("active-commit") DISKS("<mirror/>", "")),
                                        STATUS(COMMIT("commit") DISKS("", ""))};
    char *cut = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        assert_int_equal(half_begun_cut(notes[i], &cut, NULL), 0);
        assert_null(cut);
    }
}

static void what_is_no_note_is_refused(void **state)
{
    struct err err = {0};
    char *cut = NULL;

    (void)state;
    assert_int_equal(half_begun_cut("<domstatus><job async='backup'/>", &cut, &err), -1);
    assert_non_null(strstr(err.text, "not well-formed"));
    assert_null(cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_without_a_backup_is_cut_out),
        cmocka_unit_test(a_commit_without_its_mirror_loses_what_it_is_of),
        cmocka_unit_test(all_else_stays),
        cmocka_unit_test(what_is_no_note_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
