#include "worker/backends/libvirt/chain_sums.h"

#include "base/clock.h"
#include "base/err.h"
#include "worker/backends/libvirt/chain_files.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { LOOK_MS = 500 };

struct chain_sums {
    struct list chain;
    struct chain_files files;
    pthread_t thread;
    pthread_mutex_t mutex; /* protects ended */
    pthread_cond_t wake;
    bool ended;
    atomic_bool stopping, bad;
    struct err err; /* the thread's until it has ended */
};

static bool go_on(void *context, int64_t bytes)
{
    (void)bytes;
    return !((struct chain_sums *)context)->stopping;
}

static int compare_all(struct chain_sums *sums)
{
    char sum[DIGEST_TEXT];

    for (size_t i = 0; i < sums->files.count; i++)
        if (sums->files.items[i].disk->sha256 &&
            chain_file_check_sum(&sums->files.items[i], DIGEST_KEEP, go_on, sums, sum, &sums->err) < 0)
            return -1;
    return 0;
}

static void *compare(void *context)
{
    struct chain_sums *sums = context;

    pthread_setname_np(pthread_self(), "chain-sums");
    sums->bad = compare_all(sums) < 0;
    LOCK_SCOPE(&sums->mutex);
    sums->ended = true;
    pthread_cond_signal(&sums->wake);
    return NULL;
}

static void sums_free(struct chain_sums *sums)
{
    chain_files_clear(&sums->files);
    points_clear(&sums->chain);
    pthread_cond_destroy(&sums->wake);
    pthread_mutex_destroy(&sums->mutex);
    free(sums);
}

static struct chain_sums *sums_new(void)
{
    struct chain_sums *sums = calloc(1, sizeof *sums);
    pthread_condattr_t monotonic;

    if (!sums)
        return NULL;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sums->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&sums->mutex, NULL);
    return sums;
}

static int read_chain(struct chain_sums *sums, const struct chain_sums_of *of, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};

    if (repository_open(of->repository, NULL, &repository, err) < 0 ||
        repository_chain(&repository, of->source, of->point, &sums->chain, err) < 0)
        return -1;
    return chain_files(&sums->chain, of->chain_folder, of->disk, &sums->files, err);
}

static bool any_known(const struct chain_sums *sums)
{
    for (size_t i = 0; i < sums->files.count; i++)
        if (sums->files.items[i].disk->sha256)
            return true;
    return false;
}

int chain_sums_begin(const struct chain_sums_of *of, struct chain_sums **out, struct err *err)
{
    struct chain_sums *sums = sums_new();

    if (!sums)
        return err_memory(err, "checksums");
    *out = NULL;
    int failed = read_chain(sums, of, err);
    if (failed || !any_known(sums)) {
        sums_free(sums);
        return failed;
    }
    if (pthread_create(&sums->thread, NULL, compare, sums) != 0) {
        sums_free(sums);
        return err_set(err, ERR_RETRY, "checksums: no thread");
    }
    *out = sums;
    return 0;
}

bool chain_sums_bad(const struct chain_sums *sums)
{
    return sums && sums->bad;
}

static bool ended_within(struct chain_sums *sums, int64_t ms)
{
    int64_t until_ms = clock_monotonic_ms() + ms;
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    LOCK_SCOPE(&sums->mutex);

    while (!sums->ended && pthread_cond_timedwait(&sums->wake, &sums->mutex, &until) == 0)
        ;
    return sums->ended;
}

int chain_sums_wait(struct chain_sums *sums, bool (*stop)(void *context), void *context, struct err *err)
{
    if (!sums)
        return 0;
    do {
        if (stop(context))
            return err_set(err, ERR_CANCELLED, "checksums: stopped");
    } while (!ended_within(sums, LOOK_MS));
    if (!sums->bad)
        return 0;
    *err = sums->err;
    return -1;
}

void chain_sums_end(struct chain_sums *sums)
{
    if (!sums)
        return;
    sums->stopping = true;
    pthread_join(sums->thread, NULL);
    sums_free(sums);
}
