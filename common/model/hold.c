#include "model/hold.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>

static const char *const prefixes[] = {
    [HOLD_NONE] = "", [HOLD_ALL] = "all", [HOLD_HOST] = "host:", [HOLD_TARGET] = "target:", [HOLD_SELECTOR] = "selector:"};

enum hold_scope hold_scope_of(const char *id)
{
    if (strcmp(id, prefixes[HOLD_ALL]) == 0)
        return HOLD_ALL;
    for (enum hold_scope scope = HOLD_HOST; scope <= HOLD_SELECTOR; scope++) {
        size_t len = strlen(prefixes[scope]);
        if (strncmp(id, prefixes[scope], len) == 0 && id[len])
            return scope;
    }
    return HOLD_NONE;
}

const char *hold_subject(const char *id)
{
    const char *colon = strchr(id, ':');

    return colon ? colon + 1 : "";
}

int hold_id(enum hold_scope scope, const char *subject, char out[HOLD_ID_MAX + 1], struct err *err)
{
    int len = snprintf(out, HOLD_ID_MAX + 1, "%s%s", prefixes[scope], scope == HOLD_ALL ? "" : subject);

    if (len > HOLD_ID_MAX)
        return err_set(err, ERR_PERMANENT, "%s is over %d bytes", out, HOLD_ID_MAX);
    return strchr(out, '@') ? err_set(err, ERR_PERMANENT, "%s: a hold cannot be about what has an @", out) : 0;
}

bool hold_over(const struct ledger_entry *entry, int64_t now_ms)
{
    int64_t until_ms = facts_get_int(&entry->values, "until_ms", 0);

    return until_ms && until_ms <= now_ms;
}
