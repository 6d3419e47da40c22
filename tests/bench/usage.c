#include "bench/usage.h"

#include "base/clock.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

double usage_wall(void)
{
    return (double)clock_monotonic_us() / 1e6;
}

double usage_process(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void read_word(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");

    out[0] = '\0';
    if (file && fgets(out, (int)size, file))
        out[strcspn(out, " \n")] = '\0';
    if (file)
        fclose(file);
}

/* /proc/PID/task/TID/schedstat, field 1: nanoseconds. */
double usage_thread(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    double seconds = 0;

    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        char path[300], word[64];

        snprintf(path, sizeof path, "/proc/self/task/%.200s/comm", task->d_name);
        read_word(path, word, sizeof word);
        if (strcmp(word, name) != 0)
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%.200s/schedstat", task->d_name);
        read_word(path, word, sizeof word);
        seconds += strtod(word, NULL) / 1e9;
    }
    if (tasks)
        closedir(tasks);
    return seconds;
}

long usage_memory_kib(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    size_t len = strlen(name);
    char line[256];
    long kib = 0;

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, len) == 0 && line[len] == ':')
            kib = strtol(line + len + 1, NULL, 10);
    if (file)
        fclose(file);
    return kib;
}

void usage_forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");

    if (!file)
        return;
    fputs("5", file);
    fclose(file);
}

static int compare(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return one < other ? -1 : one > other;
}

double usage_percentile(double *values, size_t count, double percent)
{
    size_t at = (size_t)((double)count * percent / 100);

    if (!count)
        return 0;
    qsort(values, count, sizeof *values, compare);
    return values[at < count ? at : count - 1];
}
