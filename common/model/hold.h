#pragma once
/* What an entry of kind hold is about is in its id; values.reason says why, values.until_ms (absent: until it is released) how long. Pure. */
#include "model/ledger_entry.h"

enum hold_scope { HOLD_NONE, HOLD_ALL, HOLD_HOST, HOLD_TARGET, HOLD_SELECTOR };
enum { HOLD_ID_MAX = 255 }; /* bytes */

/* "all", "host:<host>", "target:<kind:id>", "selector:<labels>" (targets that match, now or later). HOLD_NONE: nothing of that. */
enum hold_scope hold_scope_of(const char *id);
const char *hold_subject(const char *id); /* behind the first colon; "" of all */
/* The id of a hold. `subject` is ignored of all. ERR_PERMANENT: it would be too long, or holds an @. */
int hold_id(enum hold_scope scope, const char *subject, char out[HOLD_ID_MAX + 1], struct err *err);
bool hold_over(const struct ledger_entry *entry, int64_t now_ms);
