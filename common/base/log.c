/*
 * One line, one write(2): lines of several threads and of two processes on one pipe never mix. Three forms: with systemd's priority prefix and without a
 * time when stderr is the journal; short for people on a terminal; logfmt otherwise. What is not printable is escaped, so that text from outside can
 * neither forge a line nor move somebody's cursor.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MESSAGE_MAX = 2048,
    SUBJECT_MAX = 512,
    LINE_MAX_BYTES = 8192,
    LINE_END = 3 /* two closing quotes and the newline */
};
enum form { FORM_UNKNOWN, FORM_JOURNAL, FORM_TERMINAL, FORM_LOGFMT };

static _Atomic int log_level = LOG_LEVEL_INFO;
static _Atomic int log_form = FORM_UNKNOWN;

struct line {
    char data[LINE_MAX_BYTES];
    size_t len;
};

void log_set_level(enum log_level level)
{
    atomic_store(&log_level, (int)level);
}

/* $JOURNAL_STREAM is "device:inode" of the stream that systemd gave us; a redirected stderr has another. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat now;
    char mine[64];

    if (!stream || fstat(STDERR_FILENO, &now) < 0)
        return false;
    snprintf(mine, sizeof mine, "%llu:%llu", (unsigned long long)now.st_dev, (unsigned long long)now.st_ino);
    return strcmp(stream, mine) == 0;
}

static enum form find_form(void)
{
    int form = atomic_load(&log_form);

    if (form == FORM_UNKNOWN) {
        form = stderr_is_journal() ? FORM_JOURNAL : isatty(STDERR_FILENO) ? FORM_TERMINAL : FORM_LOGFMT;
        atomic_store(&log_form, form);
    }
    return (enum form)form;
}

/* Leaves room for what ends the line, however much was cut. */
static void add(struct line *line, const char *text)
{
    size_t len = strlen(text);
    size_t room = sizeof line->data - LINE_END - line->len;

    if (len > room)
        len = room;
    memcpy(line->data + line->len, text, len);
    line->len += len;
}

static void add_escaped(struct line *line, const char *text, bool quotes)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        char piece[8] = {*text, '\0'};

        if (byte == '\n')
            snprintf(piece, sizeof piece, "\\n");
        else if (byte < 0x20 || byte == 0x7f)
            snprintf(piece, sizeof piece, "\\x%02x", byte);
        else if (quotes && (byte == '"' || byte == '\\'))
            snprintf(piece, sizeof piece, "\\%c", byte);
        add(line, piece);
    }
}

static void add_quoted(struct line *line, const char *text)
{
    add(line, "\"");
    add_escaped(line, text, true);
    line->data[line->len++] = '"';
}

static void build_logfmt(struct line *line, const char *level, const char *subject, const char *message)
{
    char now[40];

    add(line, "ts=");
    add(line, format_rfc3339(clock_real_ms(), now, sizeof now));
    add(line, " level=");
    add(line, level);
    add(line, " subject=");
    add_quoted(line, subject);
    add(line, " msg=");
    add_quoted(line, message);
}

static void build(struct line *line, enum log_level level, const char *subject, const char *message)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
    enum form form = find_form();

    if (form == FORM_LOGFMT) {
        build_logfmt(line, names[level], subject, message);
    } else {
        add(line, form == FORM_JOURNAL ? priorities[level] : names[level]);
        add(line, form == FORM_JOURNAL ? "" : " ");
        add_escaped(line, subject, false);
        add(line, ": ");
        add_escaped(line, message, false);
    }
    line->data[line->len++] = '\n';
}

void log_write(enum log_level level, const char *subject, const char *format, ...)
{
    char message[MESSAGE_MAX];
    char about[SUBJECT_MAX];
    struct line line = {.len = 0};
    int saved = errno;
    va_list args;

    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    snprintf(about, sizeof about, "%s", subject ? subject : "");
    build(&line, level, about, message);
    ssize_t written = write(STDERR_FILENO, line.data, line.len);
    (void)written; /* nobody is left to be told */
    errno = saved;
}
