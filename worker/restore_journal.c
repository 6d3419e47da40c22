#include "worker/restore_journal.h"

#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { JOURNAL_MAX = 8 << 20 };

/* The lock is on a file of its own: the journal itself is replaced at each write. */
static int lock_of(const char *path, struct err *err)
{
    char name[PATH_MAX];

    snprintf(name, sizeof name, "%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, errno, name);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    close(fd);
    return err_set(err, ERR_RETRY, "%s: another process executes this restore", path);
}

static void forget_steps(struct restore_journal *journal)
{
    for (size_t i = 0; i < journal->step_count; i++)
        facts_clear(&journal->steps[i].facts);
    free(journal->steps);
    journal->steps = NULL;
    journal->step_count = 0;
}

void restore_journal_free(struct restore_journal *journal)
{
    if (!journal)
        return;
    if (journal->lock >= 0)
        close(journal->lock);
    forget_steps(journal);
    job_free(journal->job);
    free(journal->plan);
    free(journal->path);
    free(journal);
}

void restore_journal_end(struct restore_journal *journal)
{
    char lock[PATH_MAX];

    if (journal->path) {
        snprintf(lock, sizeof lock, "%s.lock", journal->path);
        file_remove(journal->path, NULL);
        file_remove(lock, NULL);
    }
    restore_journal_free(journal);
}

static int folder_of(const char *state_directory, char out[PATH_MAX], struct err *err)
{
    if (snprintf(out, PATH_MAX, "%s/restores", state_directory) >= PATH_MAX - 64)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", state_directory);
    return 0;
}

int restore_journal_new(const char *state_directory, struct job *job, struct restore_journal **out, struct err *err)
{
    struct restore_journal *journal = calloc(1, sizeof *journal);
    char folder[PATH_MAX];

    if (!journal)
        return err_memory(err, "restore");
    journal->lock = -1;
    if (!state_directory) {
        journal->job = job;
        *out = journal;
        return 0;
    }
    if (folder_of(state_directory, folder, err) < 0 || file_make_directories(folder, 0700, err) < 0 ||
        asprintf(&journal->path, "%s/%s.json", folder, job->job_id) < 0) {
        free(journal);
        err_wrap(err, "a restore is journaled in the state directory");
        return err_hint(err, "--state_directory=DIR chooses another");
    }
    journal->lock = lock_of(journal->path, err);
    if (journal->lock < 0) {
        restore_journal_free(journal);
        return -1;
    }
    journal->job = job;
    *out = journal;
    return 0;
}

/* ---- writing ---- */

static json_t *step_json(const struct journaled_step *step)
{
    CLEANUP(freep) char *facts = NULL;

    facts_to_json(&step->facts, &facts, NULL);
    return json_pack("{s:s, s:o?}", "state", step_state_names[step->state], "facts",
                     facts ? json_loads(facts, 0, NULL) : NULL);
}

static int write_all(const struct restore_journal *journal, struct err *err)
{
    CLEANUP(freep) char *job = NULL;
    CLEANUP(freep) char *text = NULL;
    json_auto_t *root = json_object();
    json_t *steps = json_array();

    for (size_t i = 0; i < journal->step_count; i++)
        json_array_append_new(steps, step_json(&journal->steps[i]));
    json_object_set_new(root, "steps", steps);
    if (record_to_json(&job_record, journal->job, false, &job, err) < 0)
        return -1;
    json_object_set_new(root, "job", json_loads(job, 0, NULL));
    json_object_set_new(root, "plan", json_string(journal->plan));
    text = json_dumps(root, JSON_COMPACT);
    return text ? file_write_atomic(journal->path, text, strlen(text), 0600, err) : err_memory(err, journal->path);
}

static size_t count_steps(const char *plan_json)
{
    json_auto_t *plan = json_loads(plan_json, 0, NULL);

    return json_array_size(json_object_get(plan, "steps"));
}

int restore_journal_plan(struct restore_journal *journal, const char *plan_json, struct err *err)
{
    size_t count = count_steps(plan_json);

    forget_steps(journal);
    journal->steps = calloc(count + 1, sizeof *journal->steps);
    if (!journal->steps || string_set(&journal->plan, plan_json, err) < 0)
        return err_memory(err, "plan");
    journal->step_count = count;
    return write_all(journal, err);
}

int restore_journal_steps(struct restore_journal *journal, const struct step_change *changes, size_t count,
                          struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct journaled_step *step = &journal->steps[changes[i].index];

        step->state = changes[i].state;
        facts_clear(&step->facts);
        if (changes[i].facts && facts_copy(&step->facts, changes[i].facts, err) < 0)
            return -1;
    }
    return write_all(journal, err);
}

/* ---- reading ---- */

static int read_steps(struct restore_journal *journal, const json_t *steps, struct err *err)
{
    size_t index;
    json_t *entry;

    journal->steps = calloc(json_array_size(steps) + 1, sizeof *journal->steps);
    if (!journal->steps)
        return err_memory(err, "steps");
    journal->step_count = json_array_size(steps);
    json_array_foreach(steps, index, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "state"));
        int state = name ? name_index(step_state_names, name) : -1;
        CLEANUP(freep) char *facts = json_dumps(json_object_get(entry, "facts"), JSON_COMPACT);

        if (state < 0 || (facts && facts_from_json(&journal->steps[index].facts, facts, err) < 0))
            return err_set(err, ERR_UNKNOWN, "%s: not the journal of a restore", journal->path);
        journal->steps[index].state = (enum step_state)state;
    }
    return 0;
}

static int read_all(struct restore_journal *journal, const char *text, struct err *err)
{
    json_auto_t *root = json_loads(text, 0, NULL);
    CLEANUP(freep) char *job = json_dumps(json_object_get(root, "job"), JSON_COMPACT);
    const char *plan = json_string_value(json_object_get(root, "plan"));

    journal->job = calloc(1, sizeof *journal->job);
    if (!journal->job || !job || !plan)
        return err_set(err, ERR_UNKNOWN, "%s: not the journal of a restore", journal->path);
    if (record_from_json(&job_record, journal->job, job, strlen(job), err) < 0)
        return err_wrap(err, "%s", journal->path);
    return string_set(&journal->plan, plan, err) < 0 ? -1 : read_steps(journal, json_object_get(root, "steps"), err);
}

/* NULL: another process executes it. */
static int open_one(const char *path, struct restore_journal **out, struct err *err)
{
    struct restore_journal *journal = calloc(1, sizeof *journal);
    CLEANUP(freep) char *text = NULL;
    struct err busy = {0};
    size_t len;

    *out = NULL;
    if (!journal)
        return err_memory(err, path);
    journal->path = strdup(path);
    journal->lock = lock_of(path, &busy);
    if (!journal->path || journal->lock < 0) {
        restore_journal_free(journal);
        return 0;
    }
    if (file_read(path, JOURNAL_MAX, &text, &len, err) < 0 || read_all(journal, text, err) < 0) {
        restore_journal_free(journal);
        return err_hint(err, "look at what it made, then remove %s", path);
    }
    *out = journal;
    return 0;
}

int restore_journal_find(const char *state_directory, struct restore_journal **out, struct err *err)
{
    char folder[PATH_MAX], path[PATH_MAX + 256];
    struct dirent *entry;
    int result = 0;
    DIR *dir;

    *out = NULL;
    if (folder_of(state_directory, folder, err) < 0)
        return -1;
    dir = opendir(folder);
    while (dir && result == 0 && !*out && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);

        if (len < 6 || strcmp(entry->d_name + len - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        result = open_one(path, out, err);
    }
    if (dir)
        closedir(dir);
    return result;
}

int restore_journal_resume(const struct restore_journal *journal, const struct backend_ops *ops,
                           struct journaled_plan *out, struct err *err)
{
    struct journaled_plan plan = {0};

    if (plan_from_json(journal->plan, ops, &plan.plan, err) < 0)
        return -1;
    plan.steps = calloc(plan.plan.count + 1, sizeof *plan.steps);
    if (!plan.steps || plan.plan.count != journal->step_count) {
        journaled_plan_clear(&plan);
        return err_set(err, ERR_UNKNOWN, "%s: plan and steps do not fit", journal->path);
    }
    for (size_t i = 0; i < journal->step_count; i++) {
        plan.steps[i].state = journal->steps[i].state;
        if (facts_copy(&plan.steps[i].facts, &journal->steps[i].facts, err) < 0) {
            journaled_plan_clear(&plan);
            return -1;
        }
    }
    *out = plan;
    return 0;
}
