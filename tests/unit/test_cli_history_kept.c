/* Forged histories of restore points: what a rule kept and a job deleted all the same. */
#include "history_world.h"

static struct params_backup_delete params;

/* The job of every test: deletes POINT alone. */
static struct job deleting(void)
{
    struct job job = job_of(JOB, OP_BACKUP_DELETE);

    params = (struct params_backup_delete){.point = (char *)POINT};
    job.params = &params;
    return job;
}

static struct restore_point backup(const char *id)
{
    return (struct restore_point){.id = (char *)id,
                                  .kind = (char *)"backup",
                                  .state = POINT_COMPLETE,
                                  .target = {(char *)"libvirt", (char *)MACHINE, (char *)"shop-1"},
                                  .repository = (char *)PLACE,
                                  .completed_at_ms = ledger_began_ms + MINUTE_MS};
}

/* Both backups are made by the old job, so that nobody asks who made them. */
static void made(const struct restore_point *point)
{
    int then_minute = minute;

    minute = 1;
    catalog(point->id, OLD, point);
    minute = then_minute;
}

static void the_repository_is_made(void)
{
    static struct params_repository_init init;
    struct job job = job_of("77777777-7777-4777-8777-777777777777", OP_REPOSITORY_INIT);

    init = (struct params_repository_init){.name = (char *)"backups"};
    job.params = &init;
    job.target = (struct target){(char *)"repository", (char *)PLACE, (char *)"backups"};
    minute = 0;
    prepared(&job, NULL);
    minute = 10;
}

static void pin(int at_minute, bool gone)
{
    int then_minute = minute;

    minute = at_minute;
    ledger(&(struct ledger_entry){.kind = LEDGER_PIN, .id = (char *)POINT, .gone = gone});
    minute = then_minute;
}

static void done(const struct job *job)
{
    published(job);
    SAY(12, RUNNING, .token = TOKEN);
    SAY(13, SUCCEEDED, .token = TOKEN);
}

/* Two good backups; POINT is deleted. */
static void delete_one_of_two(const struct job *job)
{
    struct restore_point point = backup(POINT), better = backup(BETTER);

    prepared(job, NULL);
    then();
    made(&point);
    made(&better);
    done(job);
    catalog(POINT, JOB, NULL);
}

static void one_of_two_is_deleted(void **state)
{
    struct job job = deleting();

    (void)state;
    the_repository_is_made();
    delete_one_of_two(&job);
    is_clean();
    assert_int_equal(history_tally(history, RULE_KEPT).checked, 1);
}

/* ---- pins ---- */

static void a_pinned_one_is_deleted(void **state)
{
    struct job job = deleting();

    (void)state;
    pin(5, false);
    delete_one_of_two(&job);
    breaks(RULE_KEPT, POINT, "it was pinned, and backup.delete on libvirt:" MACHINE " deleted it");
}

static void one_that_was_unpinned_before(void **state)
{
    struct job job = deleting();

    (void)state;
    pin(5, false);
    pin(9, true);
    delete_one_of_two(&job);
    is_clean();
}

static void one_that_is_unpinned_and_pinned_again(void **state)
{
    struct job job = deleting();

    (void)state;
    pin(5, false);
    pin(6, true);
    pin(7, false);
    delete_one_of_two(&job);
    breaks(RULE_KEPT, POINT, "it was pinned");
}

/* Until Redis has it nobody is kept from anything. */
static void one_that_was_pinned_just_now(void **state)
{
    struct job job = deleting();

    (void)state;
    pin(10, false);
    delete_one_of_two(&job);
    is_clean();
}

/* ---- who deletes what ---- */

static void one_that_nobody_named(void **state)
{
    struct job job = deleting();

    (void)state;
    params.point = (char *)BETTER;
    delete_one_of_two(&job);
    breaks(RULE_KEPT, POINT, "was to delete another one only");
}

static void one_that_builds_on_the_named(void **state)
{
    struct job job = deleting();

    (void)state;
    params.point = (char *)BETTER;
    params.scope = SCOPE_CHILDREN;
    delete_one_of_two(&job);
    is_clean();
}

static void by_a_job_that_only_adds(void **state)
{
    struct job job = adding();

    (void)state;
    delete_one_of_two(&job);
    breaks(RULE_KEPT, POINT, "may not delete anything");
}

static void by_a_job_of_another_machine(void **state)
{
    struct job job = deleting();

    (void)state;
    pin(5, false);
    job.target.id = (char *)OTHER;
    delete_one_of_two(&job); /* readers do not believe it, so it changes nothing */
    is_clean();
    assert_int_equal(history_tally(history, RULE_KEPT).checked, 0);
}

/* ---- the last good one ---- */

static void delete_the_only(const struct job *job, const struct restore_point *point)
{
    prepared(job, NULL);
    then();
    made(point);
    done(job);
    catalog(POINT, JOB, NULL);
}

static void the_last_good_one(void **state)
{
    struct job job = deleting();
    struct restore_point point = backup(POINT);

    (void)state;
    the_repository_is_made();
    delete_the_only(&job, &point);
    breaks(RULE_KEPT, POINT, "it was the last good restore point");
}

static void the_last_good_one_as_wished(void **state)
{
    struct job job = deleting();
    struct restore_point point = backup(POINT);

    (void)state;
    params.really_last = true;
    the_repository_is_made();
    delete_the_only(&job, &point);
    is_clean();
}

static void the_other_one_was_not_complete(void **state)
{
    struct job job = deleting();
    struct restore_point point = backup(POINT), other = backup(BETTER);

    (void)state;
    other.state = POINT_INCOMPLETE;
    the_repository_is_made();
    prepared(&job, NULL);
    then();
    made(&point);
    made(&other);
    done(&job);
    catalog(POINT, JOB, NULL);
    breaks(RULE_KEPT, POINT, "it was the last good restore point");
}

static void both_at_once(void **state)
{
    struct job job = deleting();

    (void)state;
    params.scope = SCOPE_ALL;
    the_repository_is_made();
    delete_one_of_two(&job);
    catalog(BETTER, JOB, NULL);
    breaks(RULE_KEPT, BETTER, "it was the last good restore point");
}

static void one_that_was_damaged(void **state)
{
    struct point_verification failed = {.at_ms = ledger_began_ms + 2 * MINUTE_MS, .depth = VERIFY_CHECKSUM};
    struct job job = deleting();
    struct restore_point point = backup(POINT);

    (void)state;
    point.verified = (struct list){.items = &failed, .count = 1};
    the_repository_is_made();
    delete_the_only(&job, &point);
    is_clean();
}

/* There may be others, of which the catalog does not know yet. */
static void in_a_repository_that_was_there_before(void **state)
{
    struct job job = deleting();
    struct restore_point point = backup(POINT);

    (void)state;
    delete_the_only(&job, &point);
    not_known(RULE_KEPT, 1);
}

static void in_a_catalog_that_was_compacted(void **state)
{
    struct job job = deleting();
    struct restore_point point = backup(POINT);

    (void)state;
    the_repository_is_made();
    offsets[TOPIC_CATALOG] = 3;
    delete_the_only(&job, &point);
    not_known(RULE_KEPT, 1);
}

static void of_which_only_the_tombstone_is_left(void **state)
{
    struct job job = deleting();

    (void)state;
    the_repository_is_made();
    prepared(&job, NULL);
    then();
    done(&job);
    catalog(POINT, JOB, NULL);
    not_known(RULE_KEPT, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, history_setup, history_teardown)
    const struct CMUnitTest tests[] = {
        CASE(one_of_two_is_deleted),
        CASE(a_pinned_one_is_deleted),
        CASE(one_that_was_unpinned_before),
        CASE(one_that_is_unpinned_and_pinned_again),
        CASE(one_that_was_pinned_just_now),
        CASE(one_that_nobody_named),
        CASE(one_that_builds_on_the_named),
        CASE(by_a_job_that_only_adds),
        CASE(by_a_job_of_another_machine),
        CASE(the_last_good_one),
        CASE(the_last_good_one_as_wished),
        CASE(the_other_one_was_not_complete),
        CASE(both_at_once),
        CASE(one_that_was_damaged),
        CASE(in_a_repository_that_was_there_before),
        CASE(in_a_catalog_that_was_compacted),
        CASE(of_which_only_the_tombstone_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
