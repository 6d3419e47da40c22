/* One table of tests that every backend must pass: what the runner relies on in its tables of verbs and steps. A new backend is in it by its line in backend.c. */
#include "base/err.h"
#include "model/op.h"
#include "worker/backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_payment(const struct backend_ops *ops, const struct step_type *type)
{
    for (const struct step_type *const *other = ops->steps; *other; other++)
        if ((*other)->owes == type)
            return true;
    return false;
}

static void check_names(const struct backend_ops *ops)
{
    for (size_t i = 0; ops->steps[i]; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(ops->steps[i]->name, ops->steps[k]->name) == 0)
                fail_msg("%s: two steps are called %s", ops->kind, ops->steps[i]->name);
    for (size_t i = 0; ops->verbs[i].op != OP_NONE; i++)
        for (size_t k = 0; k < i; k++)
            if (ops->verbs[i].op == ops->verbs[k].op)
                fail_msg("%s: two verbs for %s", ops->kind, op_names[ops->verbs[i].op]);
}

/* What a step must have follows from what it is. */
static void check_step(const struct backend_ops *ops, const struct step_type *type)
{
    bool payment = is_payment(ops, type);

    if (!type->render || !type->execute)
        fail_msg("%s: step %s lacks render or execute", ops->kind, type->name);
    if (type->class != STEP_READS && !payment && !type->settle)
        fail_msg("%s: step %s changes the world and cannot say after a crash what became of it", ops->kind, type->name);
    if (type->final && type->undo)
        fail_msg("%s: step %s is final and has an undo", ops->kind, type->name);
    if (type->class == STEP_DESTROYS && !type->undo && !type->owes && !type->final)
        fail_msg("%s: step %s takes something away: undo, a debt, or final", ops->kind, type->name);
    if (type->owes && backend_step(ops, type->owes->name) != type->owes)
        fail_msg("%s: step %s owes %s, which is not in the table", ops->kind, type->name, type->owes->name);
    if (type->pay_first && !payment)
        fail_msg("%s: step %s is pay_first, but nothing owes it", ops->kind, type->name);
    if (type->with_next && type->class == STEP_READS)
        fail_msg("%s: step %s reads, so it has no INTENT to join", ops->kind, type->name);
}

static void test_tables(void **state)
{
    (void)state;
    for (const struct backend_ops *const *ops = backend_table; *ops; ops++) {
        assert_non_null((*ops)->open);
        assert_non_null((*ops)->close);
        assert_non_null((*ops)->inventory);
        check_names(*ops);
        for (const struct step_type *const *type = (*ops)->steps; *type; type++)
            check_step(*ops, *type);
        for (const struct verb *verb = (*ops)->verbs; verb->op != OP_NONE; verb++)
            assert_non_null(verb->plan);
    }
}

static void test_backends_are_found_by_kind(void **state)
{
    (void)state;
    for (const struct backend_ops *const *ops = backend_table; *ops; ops++)
        assert_ptr_equal(backend_find((*ops)->kind), *ops);
    assert_null(backend_find("no-such-backend"));
}

/* The journal of a restarted worker names steps: each name finds its type again, and a name that is gone is not guessed. */
static void test_plans_survive_the_journal(void **state)
{
    (void)state;
    for (const struct backend_ops *const *ops = backend_table; *ops; ops++) {
        struct plan plan = {0}, again = {0};
        struct err err = {0};
        char *json;

        for (const struct step_type *const *type = (*ops)->steps; *type; type++)
            assert_non_null(plan_add(&plan, *type, &err, "name", "a \"b\" é", NULL));
        assert_int_equal(plan_to_json(&plan, &json, &err), 0);
        assert_int_equal(plan_from_json(json, *ops, &again, &err), 0);
        assert_int_equal(again.count, plan.count);
        for (size_t i = 0; i < plan.count; i++) {
            assert_ptr_equal(again.steps[i].type, plan.steps[i].type);
            assert_true(facts_equal(&again.steps[i].args, &plan.steps[i].args));
        }
        free(json);
        plan_clear(&plan);
        plan_clear(&again);
        assert_int_equal(
            plan_from_json("{\"steps\":[{\"step\":\"gone\",\"class\":\"adds\",\"args\":{}}]}", *ops, &again, &err), -1);
        assert_int_equal(err.kind, ERR_UNKNOWN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_backends_are_found_by_kind),
        cmocka_unit_test(test_plans_survive_the_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
