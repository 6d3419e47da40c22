/*
 * Texts are built in a buffer of their own first: the arguments of a call may well point into the error that is being replaced
 * (err_set(err, …, "%s", err->text)), and a cut-off text is better than none.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that was cut in the middle of a UTF-8 character could not be sent to anybody: the rest of it goes too. */
static void end_whole(char *text, size_t size)
{
    size_t len = strnlen(text, size);
    size_t start = len;

    if (len + 1 < size)
        return;
    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0 || !((unsigned char)text[start - 1] & 0x80))
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (len - start + 1 < wanted)
        text[start - 1] = '\0';
}

static void set_text(struct err *err, enum err_kind kind, int code, const char *format, va_list args)
{
    char text[sizeof err->text];

    vsnprintf(text, sizeof text, format, args);
    end_whole(text, sizeof text);
    memcpy(err->text, text, sizeof text);
    err->kind = kind;
    err->code = code;
    err->hint[0] = '\0';
}

int err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
    va_list args;

    if (!err)
        return -1;
    va_start(args, format);
    set_text(err, kind, 0, format, args);
    va_end(args);
    return -1;
}

int err_set_code(struct err *err, enum err_kind kind, int code, const char *format, ...)
{
    va_list args;

    if (!err)
        return -1;
    va_start(args, format);
    set_text(err, kind, code, format, args);
    va_end(args);
    return -1;
}

int err_wrap(struct err *err, const char *format, ...)
{
    char old[sizeof err->text];
    char text[sizeof err->text];
    va_list args;

    if (!err)
        return -1;
    memcpy(old, err->text, sizeof old);
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);

    size_t used = strnlen(text, sizeof text - 1);
    snprintf(text + used, sizeof text - used, ": %s", old);
    end_whole(text, sizeof text);
    memcpy(err->text, text, sizeof text);
    return -1;
}

int err_hint(struct err *err, const char *format, ...)
{
    char hint[sizeof err->hint];
    va_list args;

    if (!err)
        return -1;
    va_start(args, format);
    vsnprintf(hint, sizeof hint, format, args);
    va_end(args);
    end_whole(hint, sizeof hint);
    memcpy(err->hint, hint, sizeof hint);
    return -1;
}

int err_memory(struct err *err, const char *subject)
{
    return err_set(err, ERR_RETRY, "%s: out of memory", subject);
}

static enum err_kind kind_of_errno(int code)
{
    static const int passing[] = {EAGAIN,  EINTR,       ENOMEM,   ENOSPC,       EDQUOT,       EIO,   ETIMEDOUT,
                                  EBUSY,   EMFILE,      ENFILE,   ECONNRESET,   ECONNREFUSED, EPIPE, ESTALE,
                                  ENOBUFS, ENETUNREACH, ENETDOWN, EHOSTUNREACH, ECONNABORTED};

    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (passing[i] == code)
            return ERR_RETRY;
    return ERR_PERMANENT;
}

int err_errno(struct err *err, int code, const char *subject)
{
    char buffer[128];

    return err_set_code(err, kind_of_errno(code), code, "%s: %s", subject, strerror_r(code, buffer, sizeof buffer));
}

const char *err_kind_name(enum err_kind kind)
{
    switch (kind) {
    case ERR_NONE: return "none";
    case ERR_RETRY: return "retry";
    case ERR_PERMANENT: return "permanent";
    case ERR_CONFLICT: return "conflict";
    case ERR_CANCELLED: return "cancelled";
    case ERR_UNKNOWN: return "unknown";
    }
    return "unknown";
}
