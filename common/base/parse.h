#pragma once
/* Text ↔ numbers for options, parameters and people. Everything rejects trailing junk. Any thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

int parse_int(const char *text, int64_t min, int64_t max, int64_t *out, struct err *err);
int parse_bool(const char *text, bool *out, struct err *err); /* true/false, yes/no, on/off, 1/0 */
int parse_size(const char *text, int64_t *out_bytes,
               struct err *err); /* "4096", "10K", "512MiB", "1.5G", "2TB": powers of 1024, TB etc. of 1000 */
int parse_duration(const char *text, int64_t *out_ms,
                   struct err *err); /* "250ms", "30s", "5m", "24h", "7d", "2w", "1h30m" */
int parse_time(const char *text, int64_t *out_ms,
               struct err *err); /* RFC 3339, or "YYYY-MM-DD[ HH:MM[:SS]]" in local time */

/* Each returns `out`. */
char *format_size(int64_t bytes, char *out, size_t size);        /* "412 MiB", "1.3 GiB", "0 B" */
char *format_duration(int64_t ms, char *out, size_t size);       /* "38 ms", "3.4 s", "2 h 51 min" */
char *format_time(int64_t ms, bool utc, char *out, size_t size); /* "2026-11-20 14:02" local, or UTC with Z */
char *format_rfc3339(int64_t ms, char *out, size_t size);        /* "2026-11-20T14:02:03.123Z" */
