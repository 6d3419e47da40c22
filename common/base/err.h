#pragma once
/*
 * Errors as values. A fallible function returns 0 or -1, takes `struct err *err` last, and writes its outputs only on success.
 * The kind is decided where the library's own code is known, never by parsing text; each layer that knows the subject wraps once.
 * A function either returns its error or logs it, never both. An expected answer is an enum, not an error.
 */
enum err_kind {
    ERR_NONE = 0,
    ERR_RETRY,     /* may work later: connection, busy, time-out, space after cleaning */
    ERR_PERMANENT, /* will never work as asked */
    ERR_CONFLICT,  /* the world is not what the job expected; nothing was touched */
    ERR_CANCELLED, /* asked to stop, and stopped clean */
    ERR_UNKNOWN,   /* it may or may not have happened */
};

struct err {
    enum err_kind kind;
    int code;       /* the library's own code (virErrorNumber, CURLcode, rd_kafka_resp_err_t, errno), 0 if none */
    char text[512]; /* "snapshot web-1/pre-deploy: domain has no disk" */
    char hint[256]; /* the way out, for people: "start the agent, or --quiesce never"; empty if none */
};

/* All return -1, so that `return err_set(err, …)` is the whole error path. `err` may be NULL. Any thread. */
int err_set(struct err *err, enum err_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
int err_set_code(struct err *err, enum err_kind kind, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int err_wrap(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* "<format>: <old text>"; hint, kind and code stay */
int err_hint(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
int err_memory(struct err *err, const char *subject); /* ERR_RETRY "<subject>: out of memory" */
int err_errno(
    struct err *err, int code,
    const char *subject); /* kind from errno (ENOSPC, EAGAIN, EIO, ETIMEDOUT … RETRY; else PERMANENT), text from strerror */
const char *err_kind_name(enum err_kind kind); /* "retry", "permanent", … ; "none" */
