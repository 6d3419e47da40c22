/* The snapshot verbs on real QEMU, step by step: each has its way back and survives a dead worker. */
#include "support/snapshot_scene.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "worker/backends/libvirt/kept.h"

#include <string.h>

static void tree_of_two(void)
{
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_ok(&rig, create("one"), NULL);
    snap_write(&rig, "vda", 2);
    snap_ok(&rig, create("two"), NULL);
    snap_write(&rig, "vda", 3);
}

static void a_cancelled_revert_changes_nothing(void **state)
{
    (void)state;
    tree_of_two();
    int files = snap_files(&rig), at;

    for (at = 1; snap_cancelled_at(&rig, revert("one"), at); at++) {
        snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
        snap_expect(&rig, "vda", 3);
        snap_expect_current(&rig, "two");
        assert_int_equal(snap_files(&rig), files);
    }
    assert_true(at > 5);
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 1);
}

static void a_worker_may_die_in_a_revert(void **state)
{
    (void)state;
    tree_of_two();
    for (int at = 1; snap_dies_at(&rig, revert(at % 2 ? "one" : "two"), at); at++) {
        snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
        snap_expect(&rig, "vda", at % 2 ? 1 : 2);
        snap_expect_current(&rig, at % 2 ? "one" : "two");
        snap_write(&rig, "vda", 7);
    }
}

/* The worker dies after the effect of libvirt's own revert, to a snapshot that was the current one already: check, note_state, revert. */
static struct job *die_in_native_revert(struct outcome *out)
{
    struct job *job = revert("ram");

    snap_write(&rig, "vda", 2);
    rig.die_at = 3;
    snap_run(&rig, job, out);
    rig.die_at = 0;
    assert_int_equal(out->kind, OUTCOME_LEFT);
    assert_int_equal(rig.states[1], STEP_DONE);
    assert_int_equal(rig.states[2], STEP_INTENT);
    snap_expect(&rig, "vda", 1);
    return job;
}

static void a_guest_that_a_person_used_is_not_reverted_again(void **state)
{
    struct job *job = create("ram");

    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_create_params(job)->memory = MEMORY_YES;
    snap_ok(&rig, job, NULL);
    for (int person = 0; person < 3; person++) {
        struct outcome out = {0};

        job = die_in_native_revert(&out);
        if (person > 0) {
            rig_power(&rig.host, false);
            rig_power(&rig.host, true);
            snap_write(&rig, "vda", 5);
        }
        if (person == 2)
            rig_power(&rig.host, false);
        snap_recover(&rig, job, &out);
        assert_int_equal(out.kind, OUTCOME_ENDED);
        assert_int_equal(out.state, person ? STATE_PARKED : STATE_SUCCEEDED);
        if (person == 2)
            rig_power(&rig.host, true);
        snap_expect(&rig, "vda", person ? 5 : 1);
        outcome_clear(&out);
        job_free(job);
    }
}

/* Each keeps what is now the disk, for a day; then time passes. */
static void what_is_kept_goes_when_its_time_is_over_and_nobody_uses_it(void **state)
{
    static const char stranger[] = "00000000-0000-4000-8000-000000000001";
    const struct backend_config *config = rig.backend->config;
    struct outcome out = {0};
    struct job *job;
    struct err err = {0};
    int64_t until;

    (void)state;
    rig_power(&rig.host, true);
    snap_ok(&rig, create("one"), NULL);
    job = revert("one");
    CLEANUP(freep) char *id = strdup(job->job_id);
    snap_ok(&rig, job, &out);
    CLEANUP(freep) char *kept = strdup(facts_get(&out.report.result->facts, "kept.vda"));
    assert_true(facts_get_int(&out.report.result->facts, "kept_until", 0) > clock_real_ms() + 23 * 3600 * 1000);
    outcome_clear(&out);
    CLEANUP(freep) char *now = snap_source(&rig, "vda");
    assert_string_not_equal(kept, now);
    assert_int_equal(kept_add(config, stranger, "vda", now, &err), 0);
    assert_int_equal(kept_until(config, stranger, 0, &until, &err), 0);
    assert_int_equal(libvirt_backend_ops.tidy(rig.backend, &err), 0);
    assert_true(file_exists(kept)); /* there is time */
    assert_true(file_exists(now));  /* in use, whatever the list says */
    assert_int_equal(kept_until(config, id, 0, &until, &err), 0);
    assert_int_equal(libvirt_backend_ops.tidy(rig.backend, &err), 0);
    assert_false(file_exists(kept));
    assert_true(file_exists(now));
    assert_int_equal(kept_until(config, id, KEPT_FOR_EVER, &until, &err), 0); /* its entry is gone, too */
    assert_int_equal(kept_remove(config, stranger, "vda", &err), 0);
    snap_write(&rig, "vda", 4);
    snap_ok(&rig, revert("one"), NULL);
}

static void a_worker_may_die_in_create_and_delete(void **state)
{
    bool creating = true, deleting = true;

    (void)state;
    rig_power(&rig.host, true);
    for (int at = 1; creating || deleting; at++) {
        snap_write(&rig, "vda", at);
        creating = snap_dies_at(&rig, create("one"), at);
        assert_int_equal(snap_count(&rig), 1);
        snap_write(&rig, "vda", at + 100);
        deleting = snap_dies_at(&rig, del("one"), at);
        assert_int_equal(snap_count(&rig), 0);
        assert_int_equal(snap_files(&rig), 3);
        snap_expect(&rig, "vda", at + 100);
    }
}

static void a_cancelled_create_leaves_nothing(void **state)
{
    struct outcome out = {0};
    struct job *job = create("one");

    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    rig.die_at = 4;            /* three overlays, and the snapshot */
    snap_run(&rig, job, &out); /* made, and not written down */
    assert_int_equal(out.kind, OUTCOME_LEFT);
    snap_write(&rig, "vda", 2);
    rig.cancelled = true;
    struct journaled_plan plan = {0};
    struct err err = {0};
    assert_int_equal(plan_from_json(rig.plan, &libvirt_backend_ops, &plan.plan, &err), 0);
    struct facts none = {0};
    struct step_run run = {rig.backend, job, &none, NULL};
    assert_int_equal(plan.plan.count, 4);
    for (int i = 7; i >= 0; i--) { /* each twice */
        const struct step *step = &plan.plan.steps[i / 2];

        if (step->type->undo(&run, step, &none, &err) < 0)
            fail_msg("%s: %s", step->type->name, err.text);
    }
    journaled_plan_clear(&plan);
    outcome_clear(&out);
    job_free(job);
    assert_int_equal(snap_count(&rig), 0);
    assert_int_equal(snap_files(&rig), 3);
    snap_expect(&rig, "vda", 2);
}

static void a_dry_run_does_nothing(void **state)
{
    struct outcome out = {0};
    struct job *job;

    (void)state;
    tree_of_two();
    job = revert("one");
    job->dry_run = true;
    snap_ok(&rig, job, &out);
    assert_true(out.report.result->steps.count >= 6);
    for (size_t i = 0; getenv("RIG_VERBOSE") && i < out.report.result->steps.count; i++)
        fprintf(stderr, "%s: %.300s\n", list_at(&out.report.result->steps, struct plan_step, i)->name,
                list_at(&out.report.result->steps, struct plan_step, i)->command);
    for (size_t i = 0; getenv("RIG_VERBOSE") && i < out.report.result->lost.count; i++)
        fprintf(stderr, "lost: %s\n", out.report.result->lost.items[i]);
    outcome_clear(&out);
    snap_expect(&rig, "vda", 3);
    snap_expect_current(&rig, "two");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cancelled_revert_changes_nothing),
        TEST(a_worker_may_die_in_a_revert),
        TEST(a_guest_that_a_person_used_is_not_reverted_again),
        TEST(what_is_kept_goes_when_its_time_is_over_and_nobody_uses_it),
        TEST_RAW(a_worker_may_die_in_create_and_delete),
        TEST_RAW(a_cancelled_create_leaves_nothing),
        TEST(a_dry_run_does_nothing),
    };

    return possible(argc, argv) ? cmocka_run_group_tests(tests, open_host, close_host) : 77;
}
