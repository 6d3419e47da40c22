/* Plans as data: built by verbs, digested for confirmation, stored as JSON in the journal and found again after a restart. */
#include "worker/plan.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/digest.h"
#include "worker/backend.h"

#include <jansson.h>
#include <string.h>

static const char *const class_words[] = {"reads", "adds", "destroys", NULL};

void plan_clear(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        facts_clear(&plan->steps[i].args);
    free(plan->steps);
    strings_clear(&plan->lost);
    strings_clear(&plan->taken_points);
    free(plan->pins_key);
    facts_clear(&plan->facts);
    memset(plan, 0, sizeof *plan);
}

static struct step *plan_grow(struct plan *plan, const struct step_type *type, struct err *err)
{
    if (plan->count == plan->capacity) {
        size_t capacity = plan->capacity ? plan->capacity * 2 : 8;
        struct step *steps = reallocarray(plan->steps, capacity, sizeof *steps);

        if (!steps) {
            err_memory(err, "plan");
            return NULL;
        }
        plan->steps = steps;
        plan->capacity = capacity;
    }
    plan->steps[plan->count] = (struct step){.type = type, .class = type->class};
    return &plan->steps[plan->count++];
}

struct step *plan_add(struct plan *plan, const struct step_type *type, struct err *err, ...)
{
    struct step *step = plan_grow(plan, type, err);
    const char *key;
    int failed = 0;
    va_list list;

    if (!step)
        return NULL;
    va_start(list, err);
    while (!failed && (key = va_arg(list, const char *)) != NULL) {
        const char *value = va_arg(list, const char *);

        if (value)
            failed = facts_set(&step->args, key, value, err) < 0;
    }
    va_end(list);
    return failed ? NULL : step;
}

int plan_lose(struct plan *plan, struct err *err, const char *format, ...)
{
    char sentence[1024];
    va_list list;

    va_start(list, format);
    vsnprintf(sentence, sizeof sentence, format, list);
    va_end(list);
    return strings_add(&plan->lost, sentence, err);
}

/* Appends `value` with each occurrence of `job_id`, and of its first 13 characters (as short names use them), replaced. */
static void add_without_id(struct text *text, const char *value, const char *job_id)
{
    char brief[14] = "";

    if (strlen(job_id) >= 13)
        memcpy(brief, job_id, 13);
    while (*value) {
        if (*job_id && strncmp(value, job_id, strlen(job_id)) == 0) {
            text_add(text, "JOB");
            value += strlen(job_id);
        } else if (*brief && strncmp(value, brief, 13) == 0) {
            text_add(text, "JOB");
            value += 13;
        } else {
            text_add_len(text, value++, 1);
        }
    }
}

void plan_digest(const struct plan *plan, const char *job_id, char out[65])
{
    CLEANUP(text_freep) struct text text = {0};

    for (size_t i = 0; i < plan->count; i++) {
        const struct step *step = &plan->steps[i];

        text_addf(&text, "%s %s\n", step->type->name, class_words[step->class]);
        for (size_t k = 0; k < step->args.count; k++) {
            text_addf(&text, " %s=", step->args.items[k].key);
            add_without_id(&text, step->args.items[k].value, job_id);
            text_add(&text, "\n");
        }
    }
    digest_bytes(text_str(&text), text.len, out);
}

enum step_class plan_class(const struct plan *plan)
{
    enum step_class class = STEP_READS;

    for (size_t i = 0; i < plan->count; i++)
        if (plan->steps[i].class > class)
            class = plan->steps[i].class;
    return class;
}

static json_t *facts_json(const struct facts *facts)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < facts->count; i++)
        json_object_set_new(object, facts->items[i].key, json_string(facts->items[i].value));
    return object;
}

static json_t *strings_json(const struct strings *strings)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < strings->count; i++)
        json_array_append_new(array, json_string(strings->items[i]));
    return array;
}

int plan_to_json(const struct plan *plan, char **out, struct err *err)
{
    json_auto_t *steps = json_array(), *object = NULL;
    char *json;

    for (size_t i = 0; i < plan->count; i++) {
        const struct step *step = &plan->steps[i];

        json_array_append_new(steps, json_pack("{s:s, s:s, s:o}", "step", step->type->name, "class",
                                               class_words[step->class], "args", facts_json(&step->args)));
    }
    object = json_pack("{s:O, s:o, s:o, s:s?}", "steps", steps, "facts", facts_json(&plan->facts), "taken_points",
                       strings_json(&plan->taken_points), "pins_key", plan->pins_key);
    json = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (!json)
        return err_memory(err, "plan");
    *out = json;
    return 0;
}

static int read_facts(const json_t *object, struct facts *out, struct err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key,
                        value) if (facts_set(out, key, json_string_value(value) ? json_string_value(value) : "", err) <
                                   0) return -1;
    return 0;
}

static int read_step(const json_t *entry, const struct backend_ops *ops, struct plan *plan, struct err *err)
{
    const char *name = json_string_value(json_object_get(entry, "step"));
    const char *class = json_string_value(json_object_get(entry, "class"));
    const struct step_type *type = name ? backend_step(ops, name) : NULL;
    struct step *step;

    if (!type || !class || name_index(class_words, class) < 0)
        return err_set(err, ERR_UNKNOWN, "journaled plan: this worker has no step \"%s\" in its backend %s",
                       name ? name : "?", ops->kind);
    step = plan_grow(plan, type, err);
    if (!step)
        return -1;
    step->class = (enum step_class)name_index(class_words, class);
    return read_facts(json_object_get(entry, "args"), &step->args, err);
}

int plan_from_json(const char *json, const struct backend_ops *ops, struct plan *out, struct err *err)
{
    json_auto_t *object = json_loads(json, 0, NULL);
    struct plan plan = {0};
    const char *pins_key = json_string_value(json_object_get(object, "pins_key"));
    size_t index;
    json_t *entry;
    int failed = 0;

    if (!object)
        return err_set(err, ERR_UNKNOWN, "journaled plan: not JSON");
    json_array_foreach(json_object_get(object, "steps"), index, entry)
        failed = failed || read_step(entry, ops, &plan, err) < 0;
    json_array_foreach(json_object_get(object, "taken_points"), index, entry)
        failed = failed ||
                 strings_add(&plan.taken_points, json_string_value(entry) ? json_string_value(entry) : "", err) < 0;
    failed = failed || read_facts(json_object_get(object, "facts"), &plan.facts, err) < 0 ||
             string_set(&plan.pins_key, pins_key, err) < 0;
    if (failed) {
        plan_clear(&plan);
        return -1;
    }
    *out = plan;
    return 0;
}
