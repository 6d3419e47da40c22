#pragma once
/* What `fleetsnap-worker restore` shows: progress on standard error, what came of it on standard output; its exit codes. One thread. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct err;

enum restore_exit { EXIT_OK = 0, EXIT_BAD = 1, EXIT_MISUSE = 2, EXIT_OPEN = 3, EXIT_UNDONE = 4 };

struct screen {
    bool terminal, json;
    char phase[64];
    int64_t shown_ms, begun_ms, begun_bytes; /* by the monotonic clock */
    bool line_open;                          /* a line of progress has no end yet */
};

/* Says what is wrong, and what to do; the code again. */
int screen_complain(const struct err *err, int code);
void screen_close_line(struct screen *screen);
/* An event of a restore that runs; context: the screen. */
void screen_event(void *context, const json_t *event);
/* That the worker does not begin it: its text and hint; the exit code. */
int screen_refused(struct screen *screen, const json_t *refused);
/* How it ended; the exit code. */
int screen_outcome(struct screen *screen, const json_t *outcome);
/* The backups of a repository. */
void screen_points(const json_t *points, bool json);
