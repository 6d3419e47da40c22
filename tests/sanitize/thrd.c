/*
 * ThreadSanitizer of gcc 12 intercepts pthread_create, but not C11's thrd_create, by which librdkafka starts its threads: an unknown thread that touches instrumented code crashes.
 * In the tsan build every program has these two in front of the C library's. (glibc's thrd_t is its pthread_t.)
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

struct start {
    thrd_start_t function;
    void *argument;
};

static void *run(void *context)
{
    struct start start = *(struct start *)context;

    free(context);
    return (void *)(intptr_t)start.function(start.argument);
}

int thrd_create(thrd_t *out, thrd_start_t function, void *argument)
{
    struct start *start = malloc(sizeof *start);

    if (!start)
        return thrd_nomem;
    *start = (struct start){function, argument};
    if (pthread_create(out, NULL, run, start) == 0)
        return thrd_success;
    free(start);
    return thrd_error;
}

int thrd_join(thrd_t thread, int *out_result)
{
    void *result;

    if (pthread_join(thread, &result) != 0)
        return thrd_error;
    if (out_result)
        *out_result = (int)(intptr_t)result;
    return thrd_success;
}
