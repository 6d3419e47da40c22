/*
 * How many jobs a second go through the whole safe path, and what a job costs each process.
 *
 *     bench_jobs COORDINATOR.YAML HOST JOBS OPEN NAME=PID... -- WORKER COMMAND...
 *
 * This process is the coordinator (its library, started as its main does) and the one who asks: jobs are handed to its main loop in batches, as the API's threads hand them over, but
 * without HTTP. The worker is the real program with the null backend; Kafka and Redis are real. A job counts when the coordinator's ledger knows its end, so a job has gone through ledger,
 * ticket, MAC, topic, journal, lock, runner, outbox, status, view and ledger again. One line per figure; CPU is user + system of each process per job, and of the coordinator's threads.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "coordinator/coordinator.h"
#include "coordinator/options.h"
#include "wire/wire.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ASKERS = 4,
    BATCH = 256,
    WARM_UP = 15000 /* the broker compiles its code */,
    PROCESSES_MAX = 8,
    THREADS_MAX = 32,
    READY_MS = 60000,
    DONE_MS = 300000
};

struct process {
    const char *name;
    pid_t pid;
    double cpu_before;
};

struct thread_cpu {
    char name[32];
    double seconds;
};

struct bench {
    struct coordinator *coordinator;
    const char *host;
    long open_max;    /* jobs that may be open before more are asked for */
    atomic_long left; /* jobs that no asker has taken yet */
    atomic_long refused;
    struct process processes[PROCESSES_MAX];
    size_t process_count;
};

extern char **environ;

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench_jobs: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

/* User and system time of a process in seconds: proc(5), /proc/PID/stat, fields 14 and 15. */
static double cpu_of(pid_t pid)
{
    CLEANUP(freep) char *text = NULL;
    unsigned long user = 0, system = 0;
    char path[64];
    const char *rest;
    FILE *file;
    size_t size = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (getline(&text, &size, file) > 0 && (rest = strrchr(text, ')')) != NULL)
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void read_word(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");

    if (file && fgets(out, (int)size, file))
        out[strcspn(out, " \n")] = '\0';
    if (file)
        fclose(file);
}

static double cpu_of_self(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* CPU seconds of our threads by name (several of one name together), into `out`; how many names. Of those that live: proc(5), /proc/PID/task/TID/schedstat, field 1. */
static size_t cpu_of_threads(struct thread_cpu out[THREADS_MAX])
{
    DIR *tasks = opendir("/proc/self/task");
    size_t count = 0;

    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        char path[300], name[32] = "", nanoseconds[32] = "";

        snprintf(path, sizeof path, "/proc/self/task/%.200s/comm", task->d_name);
        read_word(path, name, sizeof name);
        snprintf(path, sizeof path, "/proc/self/task/%.200s/schedstat", task->d_name);
        read_word(path, nanoseconds, sizeof nanoseconds);
        size_t at = 0;
        while (at < count && strcmp(out[at].name, name) != 0)
            at++;
        if (!*name || at == THREADS_MAX)
            continue;
        if (at == count) {
            snprintf(out[at].name, sizeof out[at].name, "%s", name);
            out[at].seconds = 0;
            count++;
        }
        out[at].seconds += strtod(nanoseconds, NULL) / 1e9;
    }
    if (tasks)
        closedir(tasks);
    return count;
}

static void print_threads(const struct thread_cpu *before, size_t before_count, long jobs)
{
    struct thread_cpu after[THREADS_MAX];
    size_t count = cpu_of_threads(after);

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < before_count; j++)
            if (strcmp(after[i].name, before[j].name) == 0)
                after[i].seconds -= before[j].seconds;
        if (after[i].seconds * 1e6 / (double)jobs >= 0.1)
            printf("  thread %-13s %8.1f us/job\n", after[i].name, after[i].seconds * 1e6 / (double)jobs);
    }
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5 * 1000000L}, NULL);
}

static void wait_until(struct bench *bench,
                       bool (*done)(const struct bench *bench, const struct coordinator_state *state), int timeout_ms,
                       const char *what)
{
    int64_t until = clock_monotonic_ms() + timeout_ms;
    struct coordinator_state state;

    do {
        coordinator_state(bench->coordinator, &state);
        if (done(bench, &state))
            return;
        nap();
    } while (clock_monotonic_ms() < until);
    fprintf(stderr, "leading %d, redis %s, kafka %s, open %lld\n", state.leading, state.redis_problem,
            state.kafka_problem, (long long)state.jobs_open);
    die(what, NULL);
}

static bool is_leading(const struct bench *bench, const struct coordinator_state *state)
{
    (void)bench;
    return state->leading && state->redis_ok;
}
/* A fleet's jobs come as they go: without this the measure would be of a queue of all jobs. */
static bool is_room(const struct bench *bench, const struct coordinator_state *state)
{
    return state->jobs_open < bench->open_max;
}
static bool is_done(const struct bench *bench, const struct coordinator_state *state)
{
    (void)bench;
    return state->jobs_open == 0;
}

static void ask_batch(struct bench *bench, size_t count)
{
    static const struct caller caller = {(char *)"bench", (char *)"local", (char *)"admin", (char *)"ABC", NULL};
    static _Thread_local char ids[BATCH][37];
    static _Thread_local struct err errs[BATCH];
    static atomic_long number;
    struct params_noop params = {0};
    struct job jobs[BATCH];
    const struct job *list[BATCH] = {0};
    char names[BATCH][32];
    struct err err = {0};

    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "t%ld", atomic_fetch_add(&number, 1));
        jobs[i] = (struct job){.op = OP_NOOP, .host = (char *)bench->host, .params = &params, .priority = 5};
        jobs[i].target = (struct target){(char *)"null", names[i], names[i]};
        list[i] = &jobs[i];
    }
    if (coordinator_submit_many(bench->coordinator, &caller, list, NULL, count, ids, errs, &err) < 0)
        die("submit", &err);
    for (size_t i = 0; i < count; i++)
        if (errs[i].kind != ERR_NONE && atomic_fetch_add(&bench->refused, 1) == 0)
            fprintf(stderr, "bench_jobs: refused: %s\n", errs[i].text);
}

static void *asker(void *context)
{
    struct bench *bench = context;

    for (;;) {
        long before = atomic_fetch_sub(&bench->left, BATCH);

        if (before <= 0)
            return NULL;
        wait_until(bench, is_room, DONE_MS, "jobs do not end");
        ask_batch(bench, before < BATCH ? (size_t)before : BATCH);
    }
}

static void ask(struct bench *bench, long jobs)
{
    pthread_t threads[ASKERS];

    atomic_store(&bench->left, jobs);
    for (int i = 0; i < ASKERS; i++)
        pthread_create(&threads[i], NULL, asker, bench);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    wait_until(bench, is_done, DONE_MS, "jobs do not end");
}

static void *run_coordinator(void *context)
{
    struct err err = {0};

    if (coordinator_run(context, &err) < 0)
        die("coordinator", &err);
    return NULL;
}

static void enroll(struct bench *bench, const char *key_file)
{
    static const struct caller caller = {(char *)"bench", (char *)"local", (char *)"admin", (char *)"ABC", NULL};
    CLEANUP(freep) char *key = NULL;
    struct err err = {0};

    if (coordinator_enroll(bench->coordinator, &caller, bench->host, false, &key, &err) < 0 ||
        file_write_atomic(key_file, key, strlen(key), 0600, &err) < 0)
        die("enroll", &err);
}

static pid_t start_worker(char *const argv[])
{
    pid_t pid;

    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
        die("worker does not start", NULL);
    return pid;
}

static void measure(struct bench *bench, long jobs)
{
    struct thread_cpu threads[THREADS_MAX];
    size_t thread_count = cpu_of_threads(threads);
    double self = cpu_of_self(), wall, all = 0, ours;
    int64_t begin = clock_monotonic_us();

    for (size_t i = 0; i < bench->process_count; i++)
        bench->processes[i].cpu_before = cpu_of(bench->processes[i].pid);
    ask(bench, jobs);
    wall = (double)(clock_monotonic_us() - begin) / 1e6;
    self = cpu_of_self() - self;
    printf(
        "jobs                 %10ld\nrefused              %10ld\nwall                 %10.2f s\nrate                 %10.0f jobs/s\n",
        jobs, atomic_load(&bench->refused), wall, (double)jobs / wall);
    printf("cpu coordinator      %10.1f us/job   (and the one who asks)\n", self * 1e6 / (double)jobs);
    print_threads(threads, thread_count, jobs);
    ours = all = self;
    for (size_t i = 0; i < bench->process_count; i++) {
        double cpu = cpu_of(bench->processes[i].pid) - bench->processes[i].cpu_before;

        printf("cpu %-16s %10.1f us/job\n", bench->processes[i].name, cpu * 1e6 / (double)jobs);
        all += cpu;
        if (strcmp(bench->processes[i].name, "worker") == 0)
            ours += cpu;
    }
    printf("cpu ours             %10.1f us/job\ncpu all              %10.1f us/job\n", ours * 1e6 / (double)jobs,
           all * 1e6 / (double)jobs);
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    struct coordinator_options options = {0};
    struct err err = {0};
    char key_file[4096];
    pthread_t loop;
    int at = 5;

    if (argc < 7) {
        fprintf(stderr, "usage: bench_jobs COORDINATOR.YAML HOST JOBS OPEN NAME=PID... -- WORKER COMMAND...\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_WARNING);
    wire_init();
    bench.host = argv[2];
    bench.open_max = atol(argv[4]);
    for (; at < argc && strcmp(argv[at], "--") != 0 && bench.process_count + 1 < PROCESSES_MAX; at++) {
        char *pid = strchr(argv[at], '=');

        if (!pid)
            die(argv[at], NULL);
        *pid = '\0';
        bench.processes[bench.process_count++] = (struct process){.name = argv[at], .pid = (pid_t)atoi(pid + 1)};
    }
    if (coordinator_options_load(argv[1], NULL, &options, &err) < 0)
        die("options", &err);
    snprintf(key_file, sizeof key_file, "%s/bench-host.key", options.state_directory);
    if (coordinator_start(&options, &bench.coordinator, &err) < 0)
        die("start", &err);
    pthread_create(&loop, NULL, run_coordinator, bench.coordinator);
    wait_until(&bench, is_leading, READY_MS, "does not lead");
    enroll(&bench, key_file);
    bench.processes[bench.process_count++] = (struct process){.name = "worker", .pid = start_worker(&argv[at + 1])};
    ask(&bench, WARM_UP);
    measure(&bench, atol(argv[3]));
    kill(bench.processes[bench.process_count - 1].pid, SIGTERM);
    waitpid(bench.processes[bench.process_count - 1].pid, NULL, 0);
    coordinator_stop(bench.coordinator);
    pthread_join(loop, NULL);
    coordinator_free(bench.coordinator);
    return atomic_load(&bench.refused) ? 1 : 0;
}
