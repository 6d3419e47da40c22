#pragma once
/* Cleanup by scope: `CLEANUP(job_freep) struct job *job = NULL;` frees at every exit; TAKE_PTR hands the value over visibly. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* The value of `pointer`, which becomes NULL: ownership leaves this scope. */
#define TAKE_PTR(pointer)                             \
    ({                                                \
        __typeof__(pointer) *take_from_ = &(pointer); \
        __typeof__(pointer) taken_ = *take_from_;     \
        *take_from_ = NULL;                           \
        taken_;                                       \
    })

/* Defines x_freep(struct x **) from x_free(struct x *), which must accept NULL. */
#define DEFINE_FREEP(type, function)                                       \
    static inline __attribute__((unused)) void function##p(type **pointer) \
    {                                                                      \
        function(*pointer);                                                \
    }

static inline void freep(void *pointer)
{
    free(*(void **)pointer);
}

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline __attribute__((unused)) void unlockp_(pthread_mutex_t **mutex)
{
    pthread_mutex_unlock(*mutex);
}

/* Holds `mutex` until the end of the scope. No I/O while one is held. */
#define LOCK_SCOPE(mutex) \
    CLEANUP(unlockp_) pthread_mutex_t *locked_ __attribute__((unused)) = (pthread_mutex_lock(mutex), (mutex))
