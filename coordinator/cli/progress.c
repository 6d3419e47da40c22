#include "coordinator/cli/progress.h"

#include "base/parse.h"
#include "coordinator/cli/cli.h"
#include "coordinator/cli/table.h"
#include "model/job_state.h"
#include "model/record.h"

#include <stdio.h>
#include <string.h>

enum { SAMPLE_MS = 400, BAR = 17, PHASE_COLUMNS = 9 };

void progress_begin(struct progress *progress, const char *target, const char *host, const char *op, int64_t now_ms)
{
    *progress = (struct progress){.begun_ms = now_ms, .phase_ms = now_ms, .sample_ms = now_ms};
    snprintf(progress->target, sizeof progress->target, "%s", target);
    snprintf(progress->host, sizeof progress->host, "%s", host);
    snprintf(progress->op, sizeof progress->op, "%s", op);
}

void progress_clear(struct progress *progress)
{
    text_free(&progress->phases);
}

static bool copy(char *out, size_t size, const char *value)
{
    if (strncmp(out, value, size - 1) == 0 && strlen(value) < size)
        return false;
    snprintf(out, size, "%s", value);
    return true;
}

static void note_class(struct progress *progress)
{
    const json_t *step;
    size_t index;

    json_array_foreach(progress->steps, index, step)
    {
        if (strcmp(member_text(step, "name"), progress->phase) == 0 && strcmp(member_text(step, "class"), "C") == 0)
            progress->class_c_begun = true;
    }
    if (!progress->steps) /* nobody knows: rather say that it has begun */
        progress->class_c_begun = true;
}

static void new_phase(struct progress *progress, int64_t now_ms)
{
    progress->phase_ms = progress->sample_ms = now_ms;
    progress->sample_done = 0;
    progress->rate = 0;
    progress->done = progress->total = 0;
    if (*progress->phase) {
        text_addf(&progress->phases, "%s%s", progress->phases.len ? " · " : "", progress->phase);
        note_class(progress);
    }
}

/* What it did before says nothing of the time that is left now. */
static void take_limit(struct progress *progress, const json_t *event, int64_t now_ms)
{
    const json_t *limit = json_object_get(event, "rate_limit");

    if (!limit || json_integer_value(limit) == progress->limit)
        return;
    progress->limit = json_integer_value(limit);
    progress->rate = 0;
    progress->sample_ms = now_ms;
    progress->sample_done = progress->done;
}

static void take_bytes(struct progress *progress, const json_t *event, int64_t now_ms)
{
    int64_t done = member_int(event, "done"), total = member_int(event, "total");
    int64_t elapsed = now_ms - progress->sample_ms;

    if (total <= 0)
        return;
    if (!progress->total)
        progress->sample_done = done;
    progress->done = done;
    progress->total = total;
    if (elapsed < SAMPLE_MS || done <= progress->sample_done)
        return;
    double rate = (double)(done - progress->sample_done) * 1000.0 / (double)elapsed;
    progress->rate = progress->rate > 0 ? progress->rate * 0.6 + rate * 0.4 : rate;
    progress->sample_ms = now_ms;
    progress->sample_done = done;
}

static bool is_terminal(const char *state)
{
    int index = name_index(job_state_names, state);

    return index >= 0 && job_state_terminal((enum job_state)index);
}

/* Its ends count: what was never published is cancelled there. */
static bool of_coordinator(const json_t *event)
{
    return strcmp(member_text(event, "origin"), "coordinator") == 0 && !member_true(event, "lost") &&
           !is_terminal(member_text(event, "state"));
}

bool progress_worth_a_line(const struct progress *progress)
{
    return strcmp(progress->state, "WAITING") == 0 || (strcmp(progress->state, "RUNNING") == 0 && *progress->phase);
}

bool progress_event(struct progress *progress, const json_t *event, int64_t now_ms)
{
    const char *state = member_text(event, "state"), *phase = member_text(event, "phase");
    if (of_coordinator(event) && progress->with_host) /* it notes "published" when the host is already at work */
        return false;
    progress->with_host = progress->with_host || strcmp(member_text(event, "origin"), "worker") == 0;
    bool changed = *state && copy(progress->state, sizeof progress->state, state);

    changed = copy(progress->waiting, sizeof progress->waiting,
                   strcmp(state, "WAITING") == 0 ? member_text(event, "waiting") : "") ||
              changed;
    if (strcmp(state, "RUNNING") == 0 && *phase && strcmp(phase, "plan") != 0 &&
        copy(progress->phase, sizeof progress->phase, phase)) {
        new_phase(progress, now_ms);
        changed = true;
    }
    take_limit(progress, event, now_ms);
    take_bytes(progress, event, now_ms);
    progress->lost = member_true(event, "lost");
    progress->terminal = is_terminal(progress->state);
    return changed;
}

int64_t progress_left_ms(const struct progress *progress)
{
    if (progress->rate < 1 || progress->total <= 0)
        return -1;
    return (int64_t)((double)(progress->total - progress->done) * 1000.0 / progress->rate);
}

/* Whole seconds: an estimate that flickers in tenths looks like knowledge. */
static char *left(const struct progress *progress, char *out, size_t size)
{
    int64_t ms = progress_left_ms(progress);

    *out = '\0';
    if (ms >= 0 && progress->done < progress->total) {
        int64_t seconds = (ms + 999) / 1000;
        if (seconds < 60)
            snprintf(out, size, "%lld s left", (long long)seconds);
        else
            snprintf(out, size, "%lld min %lld s left", (long long)(seconds / 60), (long long)(seconds % 60));
    }
    return out;
}

static int percent(const struct progress *progress)
{
    if (progress->total <= 0)
        return 0;
    int64_t value = (int64_t)((double)progress->done * 100.0 / (double)progress->total);
    return value > 100 ? 100 : value < 0 ? 0 : (int)value;
}

static void add_bar(const struct progress *progress, struct text *out)
{
    int full = percent(progress) * BAR / 100;

    for (int i = 0; i < BAR; i++)
        text_add(out, i < full ? "█" : "░");
}

static const char *what(const struct progress *progress)
{
    if (*progress->phase && strcmp(progress->state, "RUNNING") == 0)
        return progress->phase;
    if (strcmp(progress->state, "WAITING") == 0)
        return "waits";
    if (strcmp(progress->state, "RUNNING") == 0)
        return "plans";
    if (strcmp(progress->state, "ACCEPTED") == 0)
        return "waits its turn";
    return *progress->state ? "on its way" : "asked";
}

static void add_bytes(const struct progress *progress, const char *gap, struct text *out)
{
    char done[32], total[32], rate[32], time[48];

    text_addf(out, "%d %%%s%s of %s", percent(progress), gap, format_size(progress->done, done, sizeof done),
              format_size(progress->total, total, sizeof total));
    if (progress->rate >= 1)
        text_addf(out, "%s%s/s", gap, format_size((int64_t)progress->rate, rate, sizeof rate));
    if (progress->limit > 0)
        text_addf(out, "%sat most %s/s", gap, format_size(progress->limit, rate, sizeof rate));
    if (*left(progress, time, sizeof time))
        text_addf(out, "%s%s", gap, time);
}

void progress_line(const struct progress *progress, int64_t now_ms, size_t width, struct text *out)
{
    char elapsed[32];
    struct text line = {0};
    const char *name = what(progress);

    text_addf(&line, "  %s%*s", name,
              text_columns(name) < PHASE_COLUMNS ? (int)(PHASE_COLUMNS - text_columns(name)) : 1, "");
    if (progress->total > 0 && strcmp(progress->state, "RUNNING") == 0) {
        add_bar(progress, &line);
        text_add(&line, "  ");
        add_bytes(progress, "   ", &line);
    } else {
        format_duration((now_ms - progress->phase_ms) / 100 * 100, elapsed, sizeof elapsed);
        text_addf(&line, "%s%s%s", elapsed, *progress->waiting ? "   " : "", progress->waiting);
    }
    text_add_len(out, text_str(&line), text_cut(text_str(&line), width));
    text_free(&line);
}

void progress_plain(const struct progress *progress, int64_t now_ms, struct text *out)
{
    char elapsed[32];

    text_addf(out, "%s%s%s: %s", progress->target, *progress->host ? " on " : "", progress->host, what(progress));
    if (progress->total > 0 && strcmp(progress->state, "RUNNING") == 0) {
        text_add(out, ", ");
        add_bytes(progress, ", ", out);
    } else if (now_ms - progress->phase_ms >= 1000) {
        text_addf(out, ", %s", format_duration(now_ms - progress->phase_ms, elapsed, sizeof elapsed));
    }
    if (*progress->waiting)
        text_addf(out, " (%s)", progress->waiting);
}
