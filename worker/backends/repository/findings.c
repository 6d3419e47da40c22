/* How what was found comes from a step to the result of its job: as facts, because those are what a journal keeps of a step. */
#include "base/parse.h"
#include "base/text.h"
#include "worker/backends/repository/repository_backend.h"

#include <stdio.h>
#include <string.h>

static const char prefix[] = "finding.";

void findings_clear(struct list *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        job_finding_clear(list_at(findings, struct job_finding, i));
    free(findings->items);
    *findings = (struct list){0};
}

int findings_learn(const struct list *findings, const struct facts *known, struct facts *learned, struct err *err)
{
    int64_t found = facts_get_int(known, "found", 0);

    for (size_t i = 0; i < findings->count; i++, found++) {
        CLEANUP(freep) char *json = NULL;
        char key[32];

        if (found >= FINDINGS_KEPT)
            continue;
        snprintf(key, sizeof key, "%s%05lld", prefix, (long long)found);
        if (record_to_json(&job_finding_record, list_at(findings, struct job_finding, i), false, &json, err) < 0 ||
            facts_set(learned, key, json, err) < 0)
            return -1;
    }
    return facts_set_int(learned, "found", found, err);
}

static int take(struct job_result *result, const struct fact *fact, struct err *err)
{
    struct job_finding *finding = list_add(&result->findings, &job_finding_record, err);

    if (!finding)
        return -1;
    job_finding_clear(finding);
    return record_from_json_lenient(&job_finding_record, finding, fact->value, strlen(fact->value), err);
}

int findings_report(struct report *report, struct err *err)
{
    struct job_result *result = report->result;
    struct facts rest = {0};

    for (size_t i = 0; i < result->facts.count; i++) {
        const struct fact *fact = &result->facts.items[i];
        bool finding = strncmp(fact->key, prefix, sizeof prefix - 1) == 0;

        if ((finding ? take(result, fact, err) : facts_set(&rest, fact->key, fact->value, err)) < 0) {
            facts_clear(&rest);
            return -1;
        }
    }
    result->truncated = result->truncated || facts_get_int(&rest, "found", 0) > FINDINGS_KEPT;
    facts_clear(&result->facts);
    result->facts = rest;
    return 0;
}
