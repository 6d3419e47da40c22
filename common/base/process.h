#pragma once
/*
 * Runs a tool (qemu-img) without a shell: posix_spawn, a minimal environment (PATH, LC_ALL=C), stdin from /dev/null, CLOEXEC everywhere but `inherit_fd`.
 * The child gets PDEATHSIG-free life: it may outlive us, so a caller that must know passes the descriptor of a file that it has flock()ed as inherit_fd: while
 * the child lives the lock is held (settle() reads that as BUSY). Any thread.
 */
#include <stdbool.h>
#include <stddef.h>

struct err;

struct process_options {
    int inherit_fd;              /* -1: none */
    int timeout_ms;              /* 0: none; past it the child is killed and the result is ERR_RETRY */
    bool (*stop)(void *context); /* asked every 500 ms; true: the child is killed, ERR_CANCELLED */
    void (*line)(void *context,
                 const char *line); /* each line or \r-terminated piece of stdout, for progress; may be NULL */
    void *context;
    size_t output_max; /* stdout beyond it is an error; 0: 1 MiB */
};

/* stdout (NUL-terminated, caller frees) if out_stdout is not NULL. A child that exits non-zero is ERR_PERMANENT with `code` = exit code and its stderr in the text,
 * unless out_status is not NULL: then any exit code is success and is written there. */
int process_run(const char *const argv[], const struct process_options *options, char **out_stdout, int *out_status,
                struct err *err);
