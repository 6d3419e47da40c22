/* Restore points in the view: a tombstone closes its id, and what is said of it afterwards, or was said before and is replayed, changes nothing. */
#include "integration/support/coordinator_rig.h"

#include "base/uuid.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_there(struct rig_coordinator *coordinator, const char *id)
{
    json_t *answer = rig_insist(coordinator, 10000, "view points"),
           *items = json_object_get(json_object_get(answer, "view"), "items"), *item;
    size_t index;
    bool found = false;

    json_array_foreach(items, index, item)
    {
        const char *said = json_string_value(json_object_get(item, "id"));
        found = found || (said && strcmp(said, id) == 0);
    }
    json_decref(answer);
    return found;
}

static void wait_there(struct rig_coordinator *coordinator, const char *id, bool wanted)
{
    for (int i = 0; i < 200 && is_there(coordinator, id) != wanted; i++)
        poll(NULL, 0, 50);
    assert_int_equal(is_there(coordinator, id), wanted);
}

static void a_tombstone_closes_its_point_for_good(void **state)
{
    struct rig *rig = rig_open("alpha");
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    char job[40], point[UUID_TEXT], other[UUID_TEXT], command[400];

    (void)state;
    uuid_random(point);
    uuid_random(other);
    rig_wait_leading(coordinator, 60000);
    json_decref(rig_insist(coordinator, 10000, "enroll alpha"));
    json_t *answer = rig_insist(coordinator, 10000, "submit alpha t1 -");
    snprintf(job, sizeof job, "%s", json_string_value(json_object_get(answer, "job_id")));
    json_decref(answer);
    rig_wait_job(rig, job, 60000);

    rig_catalog(rig, job, point, 1, false);
    rig_catalog(rig, job, point, 3, false);
    wait_there(coordinator, point, true);
    rig_catalog(rig, job, point, 2, true); /* old: not above the revision that is known */
    rig_catalog(rig, job, other, 1, false);
    wait_there(coordinator, other, true); /* so the one before it was read */
    assert_true(is_there(coordinator, point));
    rig_catalog(rig, job, point, 4, true);
    wait_there(coordinator, point, false);

    rig_catalog(rig, job, point, 3, false); /* a replay, and one that claims to be newer */
    rig_catalog(rig, job, point, 9, false);
    rig_catalog(rig, job, other, 2, true);
    wait_there(coordinator, other, false);
    assert_false(is_there(coordinator, point));

    coordinator_rig_stop(coordinator, 0); /* nor is it there when everything is read again */
    snprintf(command, sizeof command, "rm %s/c1/view.db*", rig_directory(rig));
    assert_int_equal(system(command), 0);
    coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    rig_wait_leading(coordinator, 60000);
    assert_false(is_there(coordinator, point));
    assert_false(is_there(coordinator, other));
    coordinator_rig_stop(coordinator, 0);
    rig_close(rig);
}

static void new_job(struct rig *rig, struct rig_coordinator *coordinator, const char *target, char out[40])
{
    json_t *answer = rig_insist(coordinator, 10000, "submit alpha %s -", target);

    snprintf(out, 40, "%s", json_string_value(json_object_get(answer, "job_id")));
    json_decref(answer);
    rig_wait_job(rig, out, 60000);
}

static void nobody_speaks_first_of_anothers_point(void **state)
{
    struct rig *rig = rig_open("alpha");
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    char foreign[40], maker[40], second[40], stranger[UUID_TEXT];

    (void)state;
    uuid_random(stranger);
    rig_wait_leading(coordinator, 60000);
    json_decref(rig_insist(coordinator, 10000, "enroll alpha"));
    new_job(rig, coordinator, "t1", foreign);
    new_job(rig, coordinator, "t2", maker);
    new_job(rig, coordinator, "t2", second);

    rig_catalog(rig, foreign, maker, 9, true); /* closes it before it is known; or is it first by a record? */
    rig_catalog(rig, foreign, maker, 9, false);
    rig_catalog(rig, foreign, stranger, 9, true); /* no job made it, and this one does not name it */
    rig_catalog(rig, maker, maker, 1, false);
    rig_catalog(rig, maker, stranger, 1, false);
    wait_there(coordinator, maker, true);
    wait_there(coordinator, stranger, true);

    rig_catalog(rig, maker, second, 5, true); /* of the same target: its own deletion may be heard before it */
    rig_catalog(rig, second, second, 4, false);
    rig_catalog(rig, maker, maker, 10, true);
    wait_there(coordinator, maker, false);
    assert_false(is_there(coordinator, second));
    coordinator_rig_stop(coordinator, 0);
    rig_close(rig);
}

int main(int argc, char **argv)
{
    rig_child(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tombstone_closes_its_point_for_good),
        cmocka_unit_test(nobody_speaks_first_of_anothers_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
