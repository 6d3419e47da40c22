#include "worker/surveyor.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/options.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

enum { GATHER_MS = 200, KINDS_MAX = 8 };

struct surveyor {
    struct surveyor_setup setup;
    pthread_t thread;
    struct backend *handles[KINDS_MAX]; /* by place in setup.kinds; the thread's own */
    bool watching[KINDS_MAX];
    int64_t looked_ms;     /* the thread's own */
    pthread_mutex_t mutex; /* protects changed, urgent and stopping */
    pthread_cond_t woken;  /* CLOCK_MONOTONIC */
    bool changed, urgent, stopping;
};

static void changed(void *context, const char *target_id)
{
    struct surveyor *surveyor = context;

    (void)target_id; /* a whole look costs little more than one target */
    LOCK_SCOPE(&surveyor->mutex);
    surveyor->changed = true;
    pthread_cond_signal(&surveyor->woken);
}

/* libvirt has no event for a snapshot or a checkpoint, and who asked for one looks at the list right after. */
void surveyor_wake(struct surveyor *surveyor)
{
    LOCK_SCOPE(&surveyor->mutex);
    surveyor->changed = surveyor->urgent = true;
    pthread_cond_signal(&surveyor->woken);
}

static struct timespec at_ms(int64_t monotonic_ms)
{
    return (struct timespec){.tv_sec = monotonic_ms / 1000, .tv_nsec = monotonic_ms % 1000 * 1000000};
}

/* False: the worker stops. */
static bool wait_for_change(struct surveyor *surveyor)
{
    struct timespec until = at_ms(clock_monotonic_ms() + surveyor->setup.interval_ms);

    LOCK_SCOPE(&surveyor->mutex);
    while (!surveyor->changed && !surveyor->stopping)
        if (pthread_cond_timedwait(&surveyor->woken, &surveyor->mutex, &until) != 0)
            break;
    until = at_ms((surveyor->urgent ? surveyor->looked_ms : clock_monotonic_ms()) + GATHER_MS);
    while (surveyor->changed && !surveyor->stopping)
        if (pthread_cond_timedwait(&surveyor->woken, &surveyor->mutex, &until) != 0)
            break;
    surveyor->changed = surveyor->urgent = false;
    return !surveyor->stopping;
}

static int found_target(void *context, const struct inventory_target *target, struct err *err)
{
    struct survey *survey = context;
    struct inventory_target *copy = list_add(&survey->targets, &inventory_target_record, err);

    if (!copy)
        return -1;
    record_clear(&inventory_target_record, copy);
    return record_copy(&inventory_target_record, copy, target, err);
}

static void note_failure(struct survey *survey, const char *kind, const struct err *why)
{
    struct list *backends = &survey->host.backends;
    struct inventory_backend *last = backends->count ? list_at(backends, struct inventory_backend, backends->count - 1)
                                                     : NULL;
    struct err err;

    strings_add(&survey->failed_kinds, kind, &err);
    if (!last || !last->kind || strcmp(last->kind, kind) != 0)
        last = list_add(backends, &inventory_backend_record, &err);
    if (!last || string_set(&last->kind, kind, &err) < 0 || string_set(&last->text, why->text, &err) < 0)
        return;
    last->ok = false;
}

static void survey_kind(struct surveyor *surveyor, size_t index, struct survey *survey)
{
    const char *kind = surveyor->setup.kinds->items[index];
    const struct backend_ops *ops = backend_find(kind);
    struct backend **handle = &surveyor->handles[index];
    struct err err = {0};

    if (!ops || !ops->inventory)
        return;
    if (!*handle && ops->open(surveyor->setup.backends, handle, &err) < 0) {
        note_failure(survey, kind, &err);
        return;
    }
    if (ops->watch && !surveyor->watching[index])
        surveyor->watching[index] = ops->watch(surveyor->setup.backends, changed, surveyor, &err) == 0;
    if (ops->inventory(*handle, &survey->host, found_target, survey, &err) < 0) {
        log_warning("inventory", "%s: %s", kind, err.text);
        note_failure(survey, kind, &err);
    }
    if (ops->tidy && ops->tidy(*handle, &err) < 0)
        log_warning("kept", "%s: %s; tried again at the next look", kind, err.text);
}

static void look(struct surveyor *surveyor)
{
    struct survey *survey = calloc(1, sizeof *survey);

    if (!survey)
        return; /* the next look */
    surveyor->looked_ms = clock_monotonic_ms();
    survey->message.kind = MESSAGE_INVENTORY;
    for (size_t i = 0; i < surveyor->setup.kinds->count && i < KINDS_MAX; i++)
        survey_kind(surveyor, i, survey);
    queue_push(surveyor->setup.to_loop, &survey->message.item);
}

static void *surveyor_main(void *context)
{
    struct surveyor *surveyor = context;

    pthread_setname_np(pthread_self(), "surveyor");
    do
        look(surveyor);
    while (wait_for_change(surveyor));
    return NULL;
}

static int init_locks(struct surveyor *surveyor)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&surveyor->woken, &attributes) || pthread_mutex_init(&surveyor->mutex, NULL);
    pthread_condattr_destroy(&attributes);
    return failed ? -1 : 0;
}

int surveyor_start(const struct surveyor_setup *setup, struct surveyor **out, struct err *err)
{
    struct surveyor *surveyor = calloc(1, sizeof *surveyor);

    if (!surveyor || init_locks(surveyor) < 0) {
        free(surveyor);
        return err_memory(err, "inventory");
    }
    surveyor->setup = *setup;
    int failed = pthread_create(&surveyor->thread, NULL, surveyor_main, surveyor);
    if (failed) {
        free(surveyor);
        return err_errno(err, failed, "inventory: thread");
    }
    *out = surveyor;
    return 0;
}

static void close_handles(struct surveyor *surveyor)
{
    for (size_t i = 0; i < surveyor->setup.kinds->count && i < KINDS_MAX; i++) {
        const struct backend_ops *ops = backend_find(surveyor->setup.kinds->items[i]);
        if (surveyor->watching[i] && ops->unwatch)
            ops->unwatch();
        if (surveyor->handles[i])
            ops->close(surveyor->handles[i]);
    }
}

void surveyor_close(struct surveyor *surveyor)
{
    if (!surveyor)
        return;
    pthread_mutex_lock(&surveyor->mutex);
    surveyor->stopping = true;
    pthread_cond_signal(&surveyor->woken);
    pthread_mutex_unlock(&surveyor->mutex);
    pthread_join(surveyor->thread, NULL);
    close_handles(surveyor);
    pthread_cond_destroy(&surveyor->woken);
    pthread_mutex_destroy(&surveyor->mutex);
    free(surveyor);
}

void survey_free(struct survey *survey)
{
    inventory_host_clear(&survey->host);
    for (size_t i = 0; i < survey->targets.count; i++)
        inventory_target_clear(list_at(&survey->targets, struct inventory_target, i));
    free(survey->targets.items);
    strings_clear(&survey->failed_kinds);
    free(survey);
}
