#include "model/job.h"
#include "model/topics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_operation_has_name_params_and_doc(void **state)
{
    (void)state;
    for (int op = OP_NONE + 1; op < OP_COUNT; op++) {
        const struct op_info *info = op_info((enum op)op);
        assert_string_equal(info->name, op_names[op]);
        assert_int_equal(op_from_name(info->name), op);
        assert_non_null(info->params);
        assert_true(strlen(info->doc) > 0);
    }
    assert_null(op_names[OP_COUNT]);
    assert_int_equal(op_from_name("none"), OP_NONE);
    assert_int_equal(op_from_name("snapshot.destroy"), OP_NONE);
    assert_int_equal(op_from_name(""), OP_NONE);
}

static enum job_class class_of(enum op op, const void *params)
{
    /* job_class() only reads; a job owns its params otherwise */
    union {
        const void *in;
        void *out;
    } cast = {.in = params};
    struct job job = {.op = (int)op, .params = cast.out};
    struct job dry = job;

    dry.dry_run = true;
    assert_int_equal(job_class(&dry), CLASS_A);
    return job_class(&job);
}

static void classes_follow_the_parameters(void **state)
{
    (void)state;
    assert_int_equal(class_of(OP_NOOP, &(struct params_noop){0}), CLASS_B);
    assert_int_equal(class_of(OP_NOOP, &(struct params_noop){.destroys = true}), CLASS_C);
    assert_int_equal(class_of(OP_SNAPSHOT_CREATE, &(struct params_snapshot_create){0}), CLASS_B);
    assert_int_equal(class_of(OP_SNAPSHOT_CREATE, &(struct params_snapshot_create){.halt = true}), CLASS_C);
    assert_int_equal(class_of(OP_SNAPSHOT_CREATE, &(struct params_snapshot_create){.reuse_external = true}), CLASS_C);
    assert_int_equal(class_of(OP_SNAPSHOT_LIST, &(struct params_snapshot_list){0}), CLASS_A);
    assert_int_equal(class_of(OP_SNAPSHOT_SHOW, &(struct params_snapshot_show){0}), CLASS_A);
    assert_int_equal(class_of(OP_SNAPSHOT_REVERT, &(struct params_snapshot_revert){0}), CLASS_C);
    assert_int_equal(class_of(OP_SNAPSHOT_DELETE, &(struct params_snapshot_delete){.metadata_only = true}), CLASS_C);
    assert_int_equal(class_of(OP_BACKUP_CREATE, &(struct params_backup_create){0}), CLASS_B);
    assert_int_equal(class_of(OP_BACKUP_RESTORE, &(struct params_backup_restore){0}), CLASS_B);
    assert_int_equal(class_of(OP_BACKUP_RESTORE, &(struct params_backup_restore){.in_place = true}), CLASS_C);
    assert_int_equal(class_of(OP_BACKUP_VERIFY, &(struct params_backup_verify){.depth = VERIFY_IMAGE}), CLASS_A);
    assert_int_equal(class_of(OP_BACKUP_VERIFY, &(struct params_backup_verify){.depth = VERIFY_BOOT}), CLASS_B);
    assert_int_equal(class_of(OP_BACKUP_DELETE, &(struct params_backup_delete){0}), CLASS_C);
    assert_int_equal(class_of(OP_REPOSITORY_INIT, &(struct params_repository_init){0}), CLASS_B);
    assert_int_equal(class_of(OP_REPOSITORY_CHECK, &(struct params_repository_check){0}), CLASS_A);
    assert_int_equal(class_of(OP_REPOSITORY_CLEAN, &(struct params_repository_clean){0}), CLASS_C);
    assert_int_equal(class_of(OP_REPOSITORY_IMPORT, &(struct params_repository_import){0}), CLASS_B);
    assert_int_equal(class_of(OP_REPOSITORY_REMOVE, &(struct params_repository_remove){0}), CLASS_C);
    assert_int_equal(class_of(OP_BACKUP_COPY, &(struct params_backup_copy){0}), CLASS_B);
    assert_int_equal(class_of(OP_TARGET_RETIRE, &(struct params_target_retire){0}), CLASS_C);
    assert_int_equal(class_of(OP_JOB_UNDO, &(struct params_job_undo){0}), CLASS_C);
    assert_int_equal(class_of(OP_TARGET_EXPORT, &(struct params_target_export){0}), CLASS_B);
    assert_int_equal(class_of(OP_TARGET_EXPORT_FINISH, &(struct params_target_export_finish){0}), CLASS_A);
    assert_int_equal(class_of(OP_TARGET_EXPORT_FINISH, &(struct params_target_export_finish){.how = FINISH_CANCEL}),
                     CLASS_C);
}

static void what_is_not_known_gets_the_strictest_guards(void **state)
{
    (void)state;
    assert_int_equal(class_of(OP_SNAPSHOT_LIST, NULL), CLASS_C);
    assert_int_equal(class_of(OP_NONE, &(struct params_noop){0}), CLASS_C);
    assert_int_equal(class_of((enum op)77, &(struct params_noop){0}), CLASS_C);
}

static void topics_are_as_the_design_says(void **state)
{
    (void)state;
    for (int i = 0; i < TOPIC_COUNT; i++) {
        const struct topic_info *topic = &topic_table[i];
        assert_memory_equal(topic->name, "fleetsnap.", 10);
        assert_true(topic->partitions >= 1 && topic->partitions_dev >= 1 && topic->partitions_dev <= topic->partitions);
        assert_true(topic->compacted ? topic->retention_ms == -1 : topic->retention_ms > 0);
        assert_true(topic->max_bytes >= 64 * 1024);
    }
    assert_int_equal(topic_table[TOPIC_LEDGER].partitions, 1);
    assert_int_equal(topic_table[TOPIC_JOBS].max_bytes, 64 * 1024);
    assert_int_equal(topic_table[TOPIC_JOBS].retention_ms, 14LL * 86400 * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_has_name_params_and_doc),
        cmocka_unit_test(classes_follow_the_parameters),
        cmocka_unit_test(what_is_not_known_gets_the_strictest_guards),
        cmocka_unit_test(topics_are_as_the_design_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
