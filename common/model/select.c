/*
 * Grammar, as kubectl's: requirement ("," requirement)*, where a requirement is KEY, !KEY, KEY=V, KEY==V, KEY!=V, KEY in (V,…), KEY notin (V,…).
 * != and notin also hold for a target without the label; that is what Kubernetes does, and what "not in production" should mean.
 */
#include "model/select.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/facts.h"
#include "model/record.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096, REQUIREMENTS_MAX = 64 };
enum relation { EXISTS, ABSENT, IN, NOT_IN };

struct requirement {
    enum relation relation;
    char *key;
    struct strings values;
};

struct selector {
    struct requirement items[REQUIREMENTS_MAX];
    size_t count;
};

struct parser {
    const char *text;
    const char *at;
    struct err *err;
};

DEFINE_FREEP(struct selector, selector_free)

void selector_free(struct selector *selector)
{
    if (!selector)
        return;
    for (size_t i = 0; i < selector->count; i++) {
        free(selector->items[i].key);
        strings_clear(&selector->items[i].values);
    }
    free(selector);
}

static int expected(struct parser *parser, const char *what)
{
    return err_set(parser->err, ERR_PERMANENT, "selector \"%.200s\": column %zu: expected %s", parser->text,
                   (size_t)(parser->at - parser->text) + 1, what);
}

static void skip_blanks(struct parser *parser)
{
    while (*parser->at == ' ')
        parser->at++;
}

static bool take(struct parser *parser, const char *token)
{
    size_t len = strlen(token);

    skip_blanks(parser);
    if (strncmp(parser->at, token, len) != 0)
        return false;
    parser->at += len;
    return true;
}

static size_t word_length(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@+");
}

/* "in" and "notin" are words only before a parenthesis: a label may be called "in". */
static bool take_word_operator(struct parser *parser, const char *word)
{
    struct parser ahead = *parser;

    if (!take(&ahead, word) || word_length(ahead.at) > 0)
        return false;
    skip_blanks(&ahead);
    if (*ahead.at != '(')
        return false;
    parser->at = ahead.at;
    return true;
}

static int take_value(struct parser *parser, struct strings *values)
{
    skip_blanks(parser);
    size_t len = word_length(parser->at);
    CLEANUP(freep) char *value = strndup(parser->at, len);

    if (!value)
        return err_memory(parser->err, "selector");
    parser->at += len;
    return strings_add(values, value, parser->err);
}

static int take_set(struct parser *parser, struct strings *values)
{
    if (!take(parser, "("))
        return expected(parser, "\"(\"");
    do {
        if (take_value(parser, values) < 0)
            return -1;
    } while (take(parser, ","));
    return take(parser, ")") ? 0 : expected(parser, "\",\" or \")\"");
}

static int take_key(struct parser *parser, struct requirement *out)
{
    skip_blanks(parser);
    size_t len = word_length(parser->at);

    if (len == 0)
        return expected(parser, "the name of a label");
    out->key = strndup(parser->at, len);
    if (!out->key)
        return err_memory(parser->err, "selector");
    parser->at += len;
    return 0;
}

static int take_requirement(struct parser *parser, struct requirement *out)
{
    bool negated = take(parser, "!");

    out->relation = negated ? ABSENT : EXISTS;
    if (take_key(parser, out) < 0)
        return -1;
    if (negated)
        return 0;
    bool in = take_word_operator(parser, "in");
    if (in || take_word_operator(parser, "notin")) {
        out->relation = in ? IN : NOT_IN;
        return take_set(parser, &out->values);
    }
    bool unequal = take(parser, "!=");
    if (!unequal && !take(parser, "==") && !take(parser, "="))
        return 0;
    out->relation = unequal ? NOT_IN : IN;
    return take_value(parser, &out->values);
}

int selector_parse(const char *text, struct selector **out, struct err *err)
{
    CLEANUP(selector_freep) struct selector *selector = calloc(1, sizeof *selector);
    struct parser parser = {.text = text ? text : "", .at = text ? text : "", .err = err};

    if (!selector)
        return err_memory(err, "selector");
    if (strnlen(parser.text, TEXT_MAX + 1) > TEXT_MAX)
        return err_set(err, ERR_PERMANENT, "selector: longer than %d bytes", TEXT_MAX);
    skip_blanks(&parser);
    bool more = *parser.at != '\0';
    while (more) {
        if (selector->count == REQUIREMENTS_MAX)
            return err_set(err, ERR_PERMANENT, "selector: more than %d requirements", REQUIREMENTS_MAX);
        if (take_requirement(&parser, &selector->items[selector->count++]) < 0)
            return -1;
        more = take(&parser, ",");
    }
    skip_blanks(&parser);
    if (*parser.at)
        return expected(&parser, "\",\" or the end");
    *out = TAKE_PTR(selector);
    return 0;
}

static bool holds(const struct requirement *requirement, const struct facts *labels)
{
    const char *value = facts_get(labels, requirement->key);

    switch (requirement->relation) {
    case EXISTS: return value != NULL;
    case ABSENT: return value == NULL;
    case IN: return value && strings_have(&requirement->values, value);
    case NOT_IN: return !value || !strings_have(&requirement->values, value);
    }
    return false;
}

bool selector_match(const struct selector *selector, const struct facts *labels)
{
    for (size_t i = 0; selector && i < selector->count; i++)
        if (!holds(&selector->items[i], labels))
            return false;
    return true;
}
