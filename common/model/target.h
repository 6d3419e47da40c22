#pragma once
/* What a job acts on, written kind:id — "libvirt:<uuid>", "canister:<principal>", "repository:<uuid>", "null:<name>" (tests, benchmarks). */
#include <stdbool.h>
#include <stddef.h>

struct err;

enum { TARGET_TEXT = 256 };

struct target {
    char *kind;
    char *id;
    char *name; /* what people call it; never an identity */
};

extern const struct record_type target_record;
int target_parse(const char *text, struct target *out, struct err *err); /* out zeroed */
bool target_valid(const struct target *target); /* kind known, id of that kind's form, name (if any) allowed */
char *target_format(const struct target *target, char out[TARGET_TEXT]); /* "kind:id"; returns out */

/* Allow-lists for names that come from outside. Each is a pure function. */
bool name_valid_host(const char *name);  /* [a-z0-9][a-z0-9._-]{0,62} */
bool name_valid_plain(const char *name); /* repositories, policies, tokens, runs: [A-Za-z0-9][A-Za-z0-9._-]{0,127} */
bool name_valid_snapshot(const char *name); /* 1..255 bytes of valid UTF-8 without control characters, '/' and a leading '.' */
bool name_valid_domain(const char *name); /* the same rules */
bool utf8_valid(const char *text);        /* RFC 3629: no overlong forms, no surrogates */
size_t utf8_step(const char *text);       /* bytes of the character at `text`; 0 if it is none */
bool text_printable(const char *text,
                    bool lines); /* valid UTF-8 without control characters (C0, DEL, C1); `lines` allows newline and tab */
