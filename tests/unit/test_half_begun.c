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

static void all_else_stays(void **state)
{
    static const char *const notes[] = {NOTE(""), NOTE(BACKUP_JOB "<backups><domainbackup mode='push'/></backups>"),
                                        NOTE("<job type='none' async='snapshot'/>"),
                                        NOTE("<job type='modify' async='none'/>")};
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
        cmocka_unit_test(all_else_stays),
        cmocka_unit_test(what_is_no_note_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
