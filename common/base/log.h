#pragma once
/*
 * Logging: one line per event to stderr, logfmt or plain; with systemd's priority prefix (<3>) when stderr is the journal ($JOURNAL_STREAM).
 * The subject is a parameter of every call. Thread-safe; a line is written by one write(2). Secrets are never passed here.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level); /* from main, before threads start */
void log_write(enum log_level level, const char *subject, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_error(subject, ...)   log_write(LOG_LEVEL_ERROR, subject, __VA_ARGS__)
#define log_warning(subject, ...) log_write(LOG_LEVEL_WARNING, subject, __VA_ARGS__)
#define log_info(subject, ...)    log_write(LOG_LEVEL_INFO, subject, __VA_ARGS__)
#define log_debug(subject, ...)   log_write(LOG_LEVEL_DEBUG, subject, __VA_ARGS__)
