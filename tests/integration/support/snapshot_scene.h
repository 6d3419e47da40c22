#pragma once
/*
 * What the tests of the snapshot verbs share: one rig for the program, a fresh domain for each test, and the table's macros. Included once by each of them.
 */
#include "snapshot_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct snap_rig rig;

static inline struct job *create(const char *name)
{
    return snap_job(&rig, OP_SNAPSHOT_CREATE, name);
}

static inline struct job *revert(const char *name)
{
    return snap_job(&rig, OP_SNAPSHOT_REVERT, name);
}

static inline struct job *del(const char *name)
{
    return snap_job(&rig, OP_SNAPSHOT_DELETE, name);
}

static inline int begin(void **state)
{
    (void)state;
    snap_start(&rig, false);
    return 0;
}

static inline int begin_with_raw(void **state)
{
    (void)state;
    snap_start(&rig, true);
    return 0;
}

static inline int open_host(void **state)
{
    (void)state;
    snap_open(&rig);
    return 0;
}

static inline int close_host(void **state)
{
    (void)state;
    snap_close(&rig);
    return 0;
}

#define TEST(function)     cmocka_unit_test_setup(function, begin)
#define TEST_RAW(function) cmocka_unit_test_setup(function, begin_with_raw)

/* Also takes the name of one test from the command line. */
static inline bool possible(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (!rig_possible())
        puts("skipped: needs root and QEMU");
    return rig_possible();
}
