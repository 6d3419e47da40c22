/* backup.verify --depth boot on real QEMU: a boot sector that says so on the serial port is the whole operating system. */
#include "support/backup_rig.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "worker/backends/libvirt/boot_copy.h"
#include "worker/backends/libvirt/delete_choice.h"
#include "worker/backends/libvirt/inventory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;
static char point[37];

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig, "web-1");
    rig_boot_sector(&rig);
    rig_power(&rig, true);
    rig_succeed(&rig, rig_job(&rig, OP_BACKUP_CREATE), point);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

static struct job *boot_job(const char *console)
{
    struct job *job = rig_job(&rig, OP_BACKUP_VERIFY);
    struct params_backup_verify *params = job->params;

    params->point = strdup(point);
    params->depth = VERIFY_BOOT;
    params->console = console ? strdup(console) : NULL;
    params->timeout_ms = 60000;
    return job;
}

static void assert_nothing_left(const char *job_id)
{
    char folder[PATH_MAX], name[BOOT_NAME];
    virDomainPtr domain = virDomainLookupByUUIDString(rig.connection, job_id);

    assert_null(domain);
    snprintf(folder, sizeof folder, "%s/%s", rig.pools.items[0], boot_copy_name(job_id, name));
    assert_false(file_exists(folder));
    assert_int_equal(virDomainIsActive(rig.domain), 1); /* the source has not noticed */
}

static struct point_verification newest(size_t count)
{
    struct restore_point manifest;
    struct point_verification found;

    rig_manifest(&rig, point, &manifest);
    assert_int_equal(manifest.verified.count, count);
    found = *list_at(&manifest.verified, struct point_verification, count - 1);
    found.text = found.job_id = NULL;
    assert_false(point_damaged(&manifest));
    restore_point_clear(&manifest);
    return found;
}

static struct {
    int booted;   /* copies seen */
    int reported; /* targets that an inventory told meanwhile */
    char *xml;
} seen;

static int count_target(void *context, const struct inventory_target *target, struct err *err)
{
    (void)context;
    (void)target;
    (void)err;
    seen.reported++;
    return 0;
}

/* While the copy waits for its time to end. */
static void look_around(struct rig *host, const char *phase)
{
    struct inventory_host record = {0};
    struct err err = {0};
    virDomainPtr *domains = NULL;
    int count;

    if (strcmp(phase, "boot-remove") != 0)
        return;
    count = virConnectListAllDomains(host->connection, &domains, 0);
    for (int i = 0; i < count; i++) {
        if (boot_copy_is(domains[i])) {
            seen.booted++;
            seen.xml = virDomainGetXMLDesc(domains[i], 0);
        }
        virDomainFree(domains[i]);
    }
    free(domains);
    assert_int_equal(libvirt_inventory(host->backend, &record, count_target, NULL, &err), 0);
    inventory_host_clear(&record);
}

static void a_copy_boots_and_is_gone(void **state)
{
    struct job *job = boot_job(RIG_SAYS);
    struct point_verification found;
    struct outcome out;
    char id[37];

    (void)state;
    snprintf(id, sizeof id, "%s", job->job_id);
    rig.on_phase = look_around;
    rig_run(&rig, job, &out);
    rig.on_phase = NULL;
    assert_string_equal(out.err.text, "");
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_string_equal(facts_get(&out.report.result->facts, "booted"), "console");
    outcome_clear(&out);
    assert_int_equal(seen.booted, 1);
    assert_int_equal(seen.reported, 1); /* the source alone: a copy is no target */
    assert_non_null(seen.xml);
    assert_null(strstr(seen.xml, "<interface"));
    assert_null(strstr(seen.xml, rig.uuid));
    assert_null(strstr(seen.xml, rig.repository));
    free(seen.xml);
    found = newest(1);
    assert_true(found.ok);
    assert_int_equal(found.depth, VERIFY_BOOT);
    assert_nothing_left(id);
}

static void one_that_does_not_is_told_and_gone(void **state)
{
    struct job *job = boot_job("a prompt");
    struct params_backup_verify *params = job->params;
    struct point_verification found;
    char id[37];

    (void)state;
    snprintf(id, sizeof id, "%s", job->job_id);
    params->timeout_ms = 5000;
    rig_refused(&rig, job, "\"a prompt\" is on no console");
    found = newest(2);
    assert_false(found.ok);
    assert_int_equal(found.depth, VERIFY_BOOT);
    assert_nothing_left(id);
    params = (job = rig_job(&rig, OP_BACKUP_VERIFY))->params;
    params->point = strdup(point);
    rig_succeed(&rig, job, NULL);
    assert_true(newest(3).ok);
}

static void without_an_agent_a_text_is_needed(void **state)
{
    (void)state;
    rig_refused(&rig, boot_job(NULL), "no guest agent");
}

static void who_cancels_leaves_nothing(void **state)
{
    struct job *job = boot_job("a prompt");
    struct outcome out;
    char id[37];

    (void)state;
    snprintf(id, sizeof id, "%s", job->job_id);
    rig.cancel_at_phase = "verify-boot";
    rig_run(&rig, job, &out);
    rig.cancel_at_phase = NULL;
    assert_int_equal(out.state, STATE_CANCELLED);
    outcome_clear(&out);
    newest(3); /* nothing was found */
    assert_nothing_left(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_boots_and_is_gone),
        cmocka_unit_test(one_that_does_not_is_told_and_gone),
        cmocka_unit_test(without_an_agent_a_text_is_needed),
        cmocka_unit_test(who_cancels_leaves_nothing),
    };

    if (!rig_possible()) {
        fprintf(stderr, "skipped: needs root and qemu-system-x86_64\n");
        return 0;
    }
    return cmocka_run_group_tests_name("libvirt boot", tests, set_up, tear_down);
}
