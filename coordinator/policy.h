#pragma once
/* Policies as people write them: read, checked, and asked which targets they mean. Pure, but for time zones, which are read from the system. */
#include "coordinator/retention.h"
#include "model/policy.h"

struct facts;
struct text;

struct policy_text { /* one document of a file */
    struct policy *policy;
    char *source; /* as it was written, comments included */
};
struct policy_texts {
    struct policy_text *items;
    size_t count;
};

/* All policies of a YAML file, or none: errors are "file:line:column: path: what". Caller clears. */
int policies_read(const char *file, const char *text, size_t len, struct policy_texts *out, struct err *err);
void policy_texts_clear(struct policy_texts *texts);
/* What the table cannot say. *out_path (200 bytes): where, as in "schedules[0].cron". */
int policy_check(const struct policy *policy, char *out_path, struct err *err);
bool policy_samples(const struct policy *policy); /* it verifies a sample, not the newest */
struct retention_rules policy_rules(const struct policy_retention *retention);
/* The schema for editors: docs/policy.schema.json. */
void policy_schema(struct text *out);

/* What a policy's selector needs to know of a target. */
struct policy_target {
    const char *kind, *name, *host;
    const struct facts *labels;
};
struct policy_matcher; /* a selector, ready to be asked often */
int policy_matcher_new(const struct policy *policy, struct policy_matcher **out, struct err *err);
void policy_matcher_free(struct policy_matcher *matcher);
static inline void policy_matcher_freep(struct policy_matcher **matcher)
{
    policy_matcher_free(*matcher);
}
bool policy_selects(const struct policy_matcher *matcher, const struct policy_target *target);
