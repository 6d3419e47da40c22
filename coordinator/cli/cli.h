#pragma once
/*
 * The command `fleetsnap`. One table of commands (commands.c) drives parsing, --help, completion and the manual; a command is a function over an invocation. What a program
 * reads goes to `out`, what a person watches to `err`.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct err;
struct http;

enum exit_code { /* verbs.md, and the manual */
                 EXIT_DONE = 0,
                 EXIT_FAILED = 1,      /* failed, rejected, conflict */
                 EXIT_USAGE = 2,       /* usage, or no such target */
                 EXIT_UNKNOWN = 3,     /* PARKED, LOST */
                 EXIT_DECLINED = 4,    /* cancelled, expired, declined */
                 EXIT_UNREACHABLE = 5, /* not submitted */
                 EXIT_UNSEEN = 6,      /* submitted, outcome not seen */
                 EXIT_SOME = 7,        /* some of several failed */
                 EXIT_FORBIDDEN = 8,
};

struct cli {
    FILE *in, *out, *err;
    bool in_terminal, out_terminal, err_terminal;
    bool colour; /* of out */
    bool utc, json, verbose;
    int width;      /* of out; 80 when not a terminal */
    int64_t now_ms; /* 0: the clock; tests set it */
    int retry_ms;   /* how long a 503 is asked again */
    char *url, *token;
    struct http *http; /* opened at first use */
};

/* argv[0] is the program. Returns the exit code. */
int cli_main(struct cli *cli, int argc, const char *const argv[]);
void cli_close(struct cli *cli);

struct http *cli_http(struct cli *cli); /* NULL: said why on err (exit 2: no token, bad URL) */
int64_t cli_now(const struct cli *cli);

/* ^C: from now on noted instead of ending the process. */
void cli_catch_interrupts(void);
bool cli_interrupted(void);
void cli_interrupt(void); /* as if ^C were pressed: the handler, and tests */

/* "snapshot create shop-1: text\nhint" on err; returns code. */
int cli_fail(struct cli *cli, int code, const char *subject, const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
int cli_fail_err(struct cli *cli, int code, const char *subject, const struct err *err);

/* ---- JSON ---- */

const char *member_text(const json_t *object, const char *member); /* "" if absent or null */
int64_t member_int(const json_t *object, const char *member);      /* 0 if absent */
bool member_true(const json_t *object, const char *member);
int64_t member_time(const json_t *object, const char *member); /* ms; 0 if absent */
void cli_print_json(struct cli *cli, const json_t *json);      /* one line */
