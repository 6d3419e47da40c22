/* Jobs that a person should know of: LOST, PARKED and not resolved, stuck in a call; and the records that nobody could read or trust. */
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/api/doctor.h"

#include <stdio.h>
#include <string.h>

enum { LINES_MAX = 10, PAGE = 1000, PAGES_MAX = 10 };
static const int64_t LETTERS_MS = 24LL * 3600 * 1000;

static bool says(const json_t *object, const char *member, const char *text)
{
    const char *own = json_text(object, member);

    return own && strcmp(own, text) == 0;
}

static bool is_lost(const json_t *job)
{
    return json_is_true(json_object_get(job, "lost"));
}

static bool is_parked(const json_t *job)
{
    return says(job, "state", "PARKED") && !json_text(job, "resolved");
}

static bool is_stuck(const json_t *job)
{
    return !is_lost(job) && says(job, "state", "RUNNING") && says(job, "note", "stuck");
}

/* "snapshot.revert of shop-1 on alpha" */
static void describe(const json_t *job, char *out, size_t size)
{
    const json_t *target = json_object_get(job, "target");
    const char *op = json_text(job, "op"), *name = json_text(target, "name"), *id = json_text(target, "id"),
               *host = json_text(job, "host");

    snprintf(out, size, "%s of %s on %s", op ? op : "?", name ? name : id ? id : "?", host ? host : "?");
}

static void add_lost(const json_t *job, const char *subject, const char *what, const char *id, json_t *checks)
{
    char hint[200];

    snprintf(hint, sizeof hint, "It ends by itself when the host is back: fleetsnap job show %.8s%s%.8s", id,
             says(job, "class", "C") ? " " : "; or start it again: fleetsnap job retry ",
             says(job, "class", "C") ? "-v" : id);
    doctor_add(checks, "fail", subject, hint, "%s is LOST: its host is silent, and what it has done is not known", what);
}

static void add_parked(const json_t *job, const char *subject, const char *what, const char *id, json_t *checks)
{
    const char *why = json_text(json_object_get(job, "error"), "text");
    char hint[200];

    snprintf(hint, sizeof hint,
             "Look (fleetsnap job show %.8s -v), then: fleetsnap job resolve %.8s --as done|failed "
             "--reason …",
             id, id);
    doctor_add(checks, "fail", subject, hint, "%s is PARKED, and its target closed: %s", what,
               why ? why : "what it has done is not known");
}

static void add_stuck(const json_t *job, const char *subject, const char *what, const char *id, json_t *checks)
{
    const char *phase = json_text(job, "phase");
    char hint[200];

    snprintf(hint, sizeof hint,
             "On the host: look at libvirt and the storage; a restart of the worker settles it. fleetsnap job show %.8s",
             id);
    doctor_add(checks, "fail", subject, hint, "%s is stuck in %s: the call does not return, its target stays locked",
               what, phase ? phase : "a step");
}

typedef bool job_is(const json_t *job);
typedef void add_job(const json_t *job, const char *subject, const char *what, const char *id, json_t *checks);

static void add_all(const json_t *jobs, job_is *wanted, add_job *add, const char *state, json_t *checks)
{
    size_t index, count = 0;
    json_t *job;

    json_array_foreach(jobs, index, job)
    {
        const char *id = json_text(job, "job_id");
        char subject[32], what[400];
        if (!id || !wanted(job) || ++count > LINES_MAX)
            continue;
        snprintf(subject, sizeof subject, "job %.8s", id);
        describe(job, what, sizeof what);
        add(job, subject, what, id, checks);
    }
    if (count > LINES_MAX)
        doctor_add(checks, "fail", "jobs", "All of them: fleetsnap jobs --open, fleetsnap jobs --state PARKED",
                   "%zu more are %s", count - LINES_MAX, state);
}

void doctor_job_lines(const json_t *jobs, json_t *checks)
{
    add_all(jobs, is_lost, add_lost, "LOST", checks);
    add_all(jobs, is_parked, add_parked, "PARKED", checks);
    add_all(jobs, is_stuck, add_stuck, "stuck", checks);
}

void doctor_dead_letter_line(const json_t *letters, bool more, int64_t now_ms, json_t *checks)
{
    size_t count = json_array_size(letters);
    const json_t *newest = json_array_get(letters, 0);
    const char *at = json_text(newest, "at"), *reason = json_text(newest, "reason");
    int64_t at_ms = 0;
    char age[32];

    if (count == 0)
        return;
    if (!at || parse_time(at, &at_ms, NULL) < 0)
        at_ms = now_ms;
    doctor_add(checks, "warn", "dead letters", "fleetsnap dlq list, fleetsnap dlq show PARTITION OFFSET",
               "%s%zu record%s of the last 24 h could not be read or trusted; the newest %s ago: %s",
               more ? "at least " : "", count, count == 1 ? "" : "s",
               format_duration((now_ms - at_ms) / 1000 * 1000, age, sizeof age), reason ? reason : "?");
}

/* ---- asking the view ---- */

/* What the caller may see of the jobs that pass the filter, appended to `all`. */
static void collect(struct api_request *request, struct view_filter *filter, job_is *wanted, json_t *all)
{
    char cursor[256] = "";

    filter->limit = PAGE;
    for (int i = 0; i < PAGES_MAX && (i == 0 || *cursor); i++) {
        json_t *page = NULL, *job;
        size_t index;
        filter->after = *cursor ? cursor : NULL;
        if (view_jobs(request->reader, filter, &page, NULL) < 0)
            return;
        if (api_scope_filter(request, page, "target", NULL) == 0) {
            json_array_foreach(json_object_get(page, "items"), index, job)
            {
                if (wanted(job))
                    json_array_append(all, job);
            }
        }
        const char *next = json_text(page, "next");
        snprintf(cursor, sizeof cursor, "%s", next ? next : "");
        json_decref(page);
    }
}

json_t *doctor_jobs(struct api_request *request)
{
    struct view_filter lost = {.state = "LOST"}, parked = {.state = "PARKED"},
                       running = {.state = "RUNNING", .open_only = true};
    json_t *jobs = json_array();

    collect(request, &lost, is_lost, jobs);
    collect(request, &parked, is_parked, jobs);
    collect(request, &running, is_stuck, jobs);
    return jobs;
}

int64_t doctor_parked_on(const json_t *jobs, const char *host)
{
    int64_t count = 0;
    size_t index;
    json_t *job;

    json_array_foreach(jobs, index, job) count += is_parked(job) && says(job, "host", host);
    return count;
}

void doctor_dead_letters(struct api_request *request, json_t *checks)
{
    int64_t now_ms = clock_real_ms();
    struct view_filter filter = {.limit = PAGE, .since_ms = now_ms - LETTERS_MS};
    json_t *page = NULL;

    if (request->caller.selector || view_dead_letters(request->reader, &filter, &page, NULL) < 0)
        return;
    doctor_dead_letter_line(json_object_get(page, "items"), json_text(page, "next"), now_ms, checks);
    json_decref(page);
}
